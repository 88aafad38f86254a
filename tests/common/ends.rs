//! The two state machines with what they leave to others: the file, and datagrams as bytes.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use tftpd::proto::{
    Ack, Data, Error, ErrorCode, Input, Oack, Opening, Options, Outcome, Receiver, ReceiverConfig,
    ReceiverOutput, Rollover, Sender, SenderConfig, SenderOutput,
};

/// A server's side of a transfer, whichever way the bytes go.
pub(crate) enum Transfer {
    Sending(Sending),
    Receiving(Receiving),
}

impl Transfer {
    pub(crate) fn handle(&mut self, input: Input<'_>, now: Instant) {
        match self {
            Self::Sending(sending) => sending.sender.handle(input, now),
            Self::Receiving(receiving) => receiving.handle(input, now),
        }
    }

    /// Hands what is due to `send`; answers when to come back, or nothing once it is over.
    pub(crate) fn drain(&mut self, now: Instant, send: impl FnMut(Vec<u8>)) -> Option<Instant> {
        match self {
            Self::Sending(sending) => sending.drain(send),
            Self::Receiving(receiving) => receiving.drain(now, send),
        }
    }

    pub(crate) fn repeat_first_reply(&mut self, now: Instant) {
        match self {
            Self::Sending(sending) => sending.sender.repeat_first_reply(),
            Self::Receiving(receiving) => receiving.receiver.repeat_first_reply(now),
        }
    }

    pub(crate) fn is_half_open(&self) -> bool {
        match self {
            Self::Sending(sending) => sending.sender.is_half_open(),
            Self::Receiving(receiving) => receiving.receiver.is_half_open(),
        }
    }

    pub(crate) fn progress_at(&self) -> Instant {
        match self {
            Self::Sending(sending) => sending.sender.progress_at(),
            Self::Receiving(receiving) => receiving.receiver.progress_at(),
        }
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Sending(sending) => sending.sender.outcome(),
            Self::Receiving(receiving) => receiving.receiver.outcome(),
        }
    }

    pub(crate) fn resent(&self) -> u32 {
        match self {
            Self::Sending(sending) => sending.sender.resent(),
            Self::Receiving(receiving) => receiving.receiver.resent(),
        }
    }
}

/// A sender that has its file.
pub(crate) struct Sending {
    pub(crate) sender: Sender,
    file: Rc<[u8]>,
    blksize: usize,
}

impl Sending {
    pub(crate) fn new(
        config: SenderConfig,
        oack: Option<Options>,
        file: Rc<[u8]>,
        now: Instant,
    ) -> Self {
        assert_eq!(config.size, Some(file.len() as u64));
        Self {
            sender: Sender::new(config, oack, now),
            file,
            blksize: config.terms.blksize.bytes().into(),
        }
    }

    /// A client's, which learns where its file ends by reading it.
    pub(crate) fn answered(
        config: SenderConfig,
        round_trip: Option<Duration>,
        file: Rc<[u8]>,
        now: Instant,
    ) -> Self {
        assert_eq!(config.size, None);
        Self {
            sender: Sender::answered(config, round_trip, now),
            file,
            blksize: config.terms.blksize.bytes().into(),
        }
    }

    /// Hands what is due to `send`; answers when to come back, or nothing once it is over.
    pub(crate) fn drain(&mut self, mut send: impl FnMut(Vec<u8>)) -> Option<Instant> {
        loop {
            match self.sender.poll() {
                SenderOutput::Oack(options) => send(oack(options)),
                SenderOutput::Blocks { first, count } => {
                    self.blocks(first, count).for_each(&mut send);
                }
                SenderOutput::Error(code) => send(error(code)),
                SenderOutput::Wait(deadline) => return Some(deadline),
                SenderOutput::Done => return None,
                other => panic!("an output the suite does not know: {other:?}"),
            }
        }
    }

    /// Those of `count` blocks from `first` on that there are.
    fn blocks(&mut self, first: u64, count: u16) -> impl Iterator<Item = Vec<u8>> {
        let last = (self.file.len() / self.blksize + 1) as u64;
        let end = (first + u64::from(count)).min(last + 1);
        if end > last {
            self.sender.ends_with(last);
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

/// A receiver with what it stored.
pub(crate) struct Receiving {
    pub(crate) receiver: Receiver,
    pub(crate) file: Vec<u8>,
    /// Whether the file was made to last.
    pub(crate) committed: bool,
}

impl Receiving {
    pub(crate) fn new(config: ReceiverConfig, opening: Opening, now: Instant) -> Self {
        Self {
            receiver: Receiver::new(config, opening, now),
            file: Vec::new(),
            committed: false,
        }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>, now: Instant) {
        if let Some(stored) = self.receiver.handle(input, now) {
            assert_eq!(stored.offset, self.file.len() as u64, "a hole in the file");
            self.file.extend_from_slice(stored.payload);
        }
    }

    /// Hands what is due to `send`; answers when to come back, or nothing once it is over.
    pub(crate) fn drain(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) -> Option<Instant> {
        loop {
            match self.receiver.poll() {
                ReceiverOutput::Ack(block) => send(ack(block)),
                ReceiverOutput::Oack(options) => send(oack(options)),
                ReceiverOutput::Error(code) => send(error(code)),
                ReceiverOutput::Commit => {
                    self.committed = true;
                    self.receiver.committed(now);
                }
                ReceiverOutput::Wait(deadline) => return Some(deadline),
                ReceiverOutput::Done => return None,
                other => panic!("an output the suite does not know: {other:?}"),
            }
        }
    }
}

pub(crate) fn ack(block: u16) -> Vec<u8> {
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
