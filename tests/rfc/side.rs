//! One side of a transfer as it is seen from the wire: datagrams and silence in, datagrams out.

use std::{collections::VecDeque, time::Duration, time::Instant};

use tests::link::beginning;
use tftpd::proto::{
    Ack, Data, Direction, Error, ErrorCode, GrantLimits, Input, Oack, OackError, Opening, Options,
    Outcome, Output, Packet, Receiver, ReceiverConfig, Request, Rollover, Sender, SenderConfig,
    Terms, Transfer, accept, grant,
};

/// A server or a client in mid-conversation.
pub(crate) struct Conversation {
    transfer: Transfer,
    blksize: usize,
    file: Vec<u8>,
    start: Instant,
    now: Instant,
    deadline: Option<Instant>,
    sent: VecDeque<Vec<u8>>,
}

/// A server that has `file`, or is to store one, and was sent `request`. It stays for two seconds
/// after the last ACK, and grants what its limits allow by default.
#[track_caller]
pub(crate) fn server(request: &[u8], file: &[u8]) -> Conversation {
    let request = request_of(request);
    let size = match request.direction {
        Direction::Read => Some(file.len() as u64),
        Direction::Write => request.options.tsize,
    };
    let (terms, oack) = grant(&request.options, &GrantLimits::default(), size);
    match request.direction {
        Direction::Read => sending(terms, oack, file),
        Direction::Write => receiving(terms, oack.map_or(Opening::AckRequest, Opening::Oack)),
    }
}

/// A client that sent a read request with `options` and got `answer` as the first datagram.
///
/// # Errors
/// [`OackError`] if the answer is an OACK that must be refused.
pub(crate) fn client_of_read(options: &str, answer: &[u8]) -> Result<Conversation, OackError> {
    let Ok(Packet::Oack(body)) = Packet::decode(answer) else {
        let mut client = receiving(Terms::default(), Opening::AwaitData);
        client.recv(answer);
        return Ok(client);
    };
    let oack = Oack::decode(body)?;
    let terms = accept(&options_of(options), &oack.options)?;
    Ok(receiving(terms, Opening::Ack))
}

/// A client that sent a write request with `options` for `file` and got `answer`.
///
/// # Errors
/// [`OackError`] if the answer is an OACK that must be refused.
pub(crate) fn client_of_write(
    options: &str,
    answer: &[u8],
    file: &[u8],
) -> Result<Conversation, OackError> {
    let terms = match Packet::decode(answer) {
        Ok(Packet::Oack(body)) => accept(&options_of(options), &Oack::decode(body)?.options)?,
        _ => Terms::default(),
    };
    Ok(sending(terms, None, file))
}

fn sending(terms: Terms, oack: Option<Options>, file: &[u8]) -> Conversation {
    let start = beginning();
    let config = SenderConfig {
        terms,
        ..SenderConfig::new(file.len() as u64)
    };
    let sender = Sender::new(config, oack, start);
    Conversation::new(sender.into(), terms, file.to_vec(), start)
}

fn receiving(terms: Terms, opening: Opening) -> Conversation {
    let start = beginning();
    let config = ReceiverConfig {
        terms,
        dally: Duration::from_secs(2),
        ..ReceiverConfig::default()
    };
    let receiver = Receiver::new(config, opening, start);
    Conversation::new(receiver.into(), terms, Vec::new(), start)
}

impl Conversation {
    fn new(transfer: Transfer, terms: Terms, file: Vec<u8>, start: Instant) -> Self {
        let mut conversation = Self {
            transfer,
            blksize: terms.blksize.bytes().into(),
            file,
            start,
            now: start,
            deadline: None,
            sent: VecDeque::new(),
        };
        conversation.drain();
        conversation
    }

    /// Lets `ms` pass in which nothing arrives and no timer is due.
    pub(crate) fn after(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    /// A datagram from the peer arrives.
    pub(crate) fn recv(&mut self, datagram: impl AsRef<[u8]>) -> &mut Self {
        self.input(Input::Datagram(datagram.as_ref()))
    }

    /// The peer stays silent until this side does something about it.
    #[track_caller]
    pub(crate) fn silence(&mut self) -> &mut Self {
        self.expect_nothing();
        while self.sent.is_empty() {
            let Some(deadline) = self.deadline else { break };
            self.now = deadline;
            self.input(Input::Timer);
        }
        self
    }

    /// How long the peer had to stay silent for that.
    #[track_caller]
    pub(crate) fn length_of_silence(&mut self) -> Duration {
        let before = self.now;
        self.silence();
        self.now - before
    }

    /// The disk, or whoever runs this side, gives up.
    pub(crate) fn abort(&mut self, code: ErrorCode) -> &mut Self {
        self.input(Input::Abort(code))
    }

    /// The next datagram that goes out is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, datagram: impl AsRef<[u8]>) -> &mut Self {
        let sent = self.sent.pop_front().expect("something is sent");
        assert_eq!(sent, datagram.as_ref(), "after {:?}", self.elapsed());
        self
    }

    /// The next `count` datagrams are full or last blocks of the file, from block `first` on.
    #[track_caller]
    pub(crate) fn expect_blocks(&mut self, first: u64, count: u64) -> &mut Self {
        for number in first..first + count {
            let block = self.block(number);
            self.expect(block);
        }
        self
    }

    /// Nothing more goes out.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) -> &mut Self {
        assert_eq!(self.sent, [] as [Vec<u8>; 0], "after {:?}", self.elapsed());
        self
    }

    /// Nothing more goes out, ever.
    #[track_caller]
    pub(crate) fn expect_end(&mut self, outcome: &Outcome) {
        self.expect_nothing();
        assert_eq!(self.outcome(), Some(outcome), "after {:?}", self.elapsed());
        assert_eq!(self.deadline, None);
    }

    /// The end of a transfer that worked, for those who do not care who said the last word.
    #[track_caller]
    pub(crate) fn expect_complete(&mut self) {
        self.expect_end(&Outcome::Completed { last_ack: true });
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.transfer.outcome()
    }

    /// What was received so far.
    pub(crate) fn file(&self) -> &[u8] {
        &self.file
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn input(&mut self, input: Input<'_>) -> &mut Self {
        if let Some(stored) = self.transfer.handle(input, self.now) {
            assert_eq!(stored.offset, self.file.len() as u64);
            self.file.extend_from_slice(stored.payload);
        }
        self.drain();
        self
    }

    fn drain(&mut self) {
        self.deadline = loop {
            let datagram = match self.transfer.poll() {
                Output::Blocks { first, count } => {
                    let blocks = first..first + u64::from(count);
                    let blocks: Vec<_> = blocks.map(|number| self.block(number)).collect();
                    self.sent.extend(blocks);
                    continue;
                }
                Output::Commit => {
                    self.transfer.committed(self.now);
                    continue;
                }
                Output::Ack(block) => ack(block),
                Output::Oack(options) => encoded(options),
                Output::Error(code) => error(code),
                Output::Wait(deadline) => break Some(deadline),
                Output::Done => break None,
                other => panic!("an output the suite does not know: {other:?}"),
            };
            self.sent.push_back(datagram);
        };
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let index = usize::try_from(number - 1).expect("a small file");
        let rest = self.file.get(index * self.blksize..);
        let rest = rest.expect("the block exists");
        data(
            Rollover::Zero.to_wire(number),
            rest.get(..self.blksize).unwrap_or(rest),
        )
    }
}

/// The request in a datagram.
#[track_caller]
pub(crate) fn request_of(datagram: &[u8]) -> Request<'_> {
    match Packet::decode(datagram) {
        Ok(Packet::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

/// RRQ for `file` in mode octet, with options as in `"blksize=1428 tsize=0"`.
pub(crate) fn rrq(options: &str) -> Vec<u8> {
    [b"\x00\x01file\x00octet\x00".as_slice(), &pairs(options)].concat()
}

/// WRQ alike.
pub(crate) fn wrq(options: &str) -> Vec<u8> {
    [b"\x00\x02file\x00octet\x00".as_slice(), &pairs(options)].concat()
}

/// OACK with options as in `"blksize=1428 tsize=0"`.
pub(crate) fn oack(options: &str) -> Vec<u8> {
    [b"\x00\x06".as_slice(), &pairs(options)].concat()
}

pub(crate) fn data(block: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    Data { block, payload }.encode(&mut datagram);
    datagram
}

pub(crate) fn ack(block: u16) -> Vec<u8> {
    let mut datagram = Vec::new();
    Ack { block }.encode(&mut datagram);
    datagram
}

pub(crate) fn error(code: ErrorCode) -> Vec<u8> {
    let mut datagram = Vec::new();
    Error::new(code).encode(&mut datagram);
    datagram
}

/// `len` bytes, each other than its neighbours.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn pairs(options: &str) -> Vec<u8> {
    let words = options.split_whitespace();
    words
        .flat_map(|word| format!("{}\0", word.replace('=', "\0")).into_bytes())
        .collect()
}

fn options_of(options: &str) -> Options {
    request_of(&rrq(options)).options
}

fn encoded(options: Options) -> Vec<u8> {
    let mut datagram = Vec::new();
    Oack { options }.encode(&mut datagram);
    datagram
}
