//! A transfer with the parts that its driver provides: the file, and datagrams as bytes.
//!
//! Shared by the suites `simulation` and `rfc`.

use std::{rc::Rc, time::Instant};

use tftpd::proto::{
    Ack, Data, Error, ErrorCode, Input, Oack, Opening, Options, Output, Receiver, ReceiverConfig,
    Rollover, Sender, SenderConfig, Transfer,
};

/// One end of a transfer.
pub(crate) struct End {
    pub(crate) transfer: Transfer,
    /// The file to send; empty at a receiver.
    file: Rc<[u8]>,
    blksize: usize,
    /// The bytes received.
    pub(crate) stored: Vec<u8>,
    /// Set when a receiver asks to commit the file.
    pub(crate) committed: bool,
}

impl End {
    /// Sends `file`, whose size is known.
    pub(crate) fn sending(
        config: SenderConfig,
        oack: Option<Options>,
        file: Rc<[u8]>,
        now: Instant,
    ) -> Self {
        assert_eq!(config.size, Some(file.len() as u64));
        let sender = Sender::new(config, oack, now);
        Self::new(sender, config.terms.blksize.bytes(), file)
    }

    /// Receives a file.
    pub(crate) fn receiving(config: ReceiverConfig, opening: Opening, now: Instant) -> Self {
        let receiver = Receiver::new(config, opening, now);
        Self::new(receiver, config.terms.blksize.bytes(), Rc::default())
    }

    pub(crate) fn new(transfer: impl Into<Transfer>, blksize: u16, file: Rc<[u8]>) -> Self {
        Self {
            transfer: transfer.into(),
            file,
            blksize: blksize.into(),
            stored: Vec::new(),
            committed: false,
        }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>, now: Instant) {
        if let Some(stored) = self.transfer.handle(input, now) {
            assert_eq!(
                stored.offset,
                self.stored.len() as u64,
                "a hole in the file"
            );
            self.stored.extend_from_slice(stored.payload);
        }
    }

    /// Passes due datagrams to `send`; returns the next deadline, or `None` after the end.
    pub(crate) fn drain(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) -> Option<Instant> {
        loop {
            match self.transfer.poll() {
                Output::Ack(block) => send(ack(block)),
                Output::Oack(options) => send(oack(options)),
                Output::Error(code) => send(error(code)),
                Output::Blocks { first, count } => self.blocks(first, count).for_each(&mut send),
                Output::Commit => {
                    self.committed = true;
                    self.transfer.committed(now);
                }
                Output::Wait(deadline) => return Some(deadline),
                Output::Done => return None,
                other => panic!("an output without a case here: {other:?}"),
            }
        }
    }

    /// Those of `count` blocks from `first` on that exist.
    fn blocks(&mut self, first: u64, count: u16) -> impl Iterator<Item = Vec<u8>> {
        let last = (self.file.len() / self.blksize + 1) as u64;
        let end = (first + u64::from(count)).min(last + 1);
        if end > last {
            self.transfer.ends_with(last);
        }
        (first..end).map(|number| self.block(number))
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let index = usize::try_from(number - 1).expect("a file that fits into memory");
        let rest = self.file.get(index * self.blksize..);
        let rest = rest.expect("the block exists");
        let mut datagram = Vec::with_capacity(4 + self.blksize);
        let data = Data {
            block: Rollover::Zero.to_wire(number),
            payload: rest.get(..self.blksize).unwrap_or(rest),
        };
        data.encode(&mut datagram);
        datagram
    }
}

fn ack(block: u16) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(4);
    Ack { block }.encode(&mut datagram);
    datagram
}

pub(crate) fn error(code: ErrorCode) -> Vec<u8> {
    let mut datagram = Vec::new();
    Error::new(code).encode(&mut datagram);
    datagram
}

fn oack(options: Options) -> Vec<u8> {
    let mut datagram = Vec::new();
    Oack { options }.encode(&mut datagram);
    datagram
}
