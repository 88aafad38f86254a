//! Exchange scripts, run against one side of a transfer in virtual time, for unit tests.
//!
//! ```text
//! +30ms      < DATA 1 len 512
//! +0         > ACK 1
//! +timeout   > ACK 1
//! = commit
//! ```
//! The notation is that of the fixtures: `>` marks a packet of the client, `<` one of the server,
//! the time counts from the line before. A packet at `+timeout` is sent by a timer. All bytes of
//! DATA are 7, and an ERROR without a message has the text of the RFC. A sender holds no bytes: its
//! packets are `DATA 5`, or `DATA 5-8` for the blocks of one window, with numbers of 64 bits.
//!
//! The steps of the driver are lines too:
//!
//! | line | step |
//! |---|---|
//! | `= commit` | the receiver asks for the file to be made durable |
//! | `= committed` | the driver reports that it is |
//! | `= abort CODE` | this side cannot continue |
//! | `= unreachable` | ICMP reports that the peer's port is closed |
//! | `= repeat` | the request is received again |
//! | `= ends BLOCK` | the last block of content of unknown size was read |

use std::time::{Duration, Instant};

use super::{Ack, Data, Error, ErrorCode, Input, Oack, Options, Outcome, Output, Transfer};

/// A state machine with a virtual clock, and the file that it stored.
pub(super) struct Trace {
    pub(super) transfer: Transfer,
    is_client: bool,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) file: Vec<u8>,
}

impl Trace {
    /// Returns a trace of the client or the server that `build` makes for the time of the start.
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    pub(super) fn new(is_client: bool, build: impl FnOnce(Instant) -> Transfer) -> Self {
        let start = Instant::now();
        Self {
            transfer: build(start),
            is_client,
            start,
            now: start,
            file: Vec::new(),
        }
    }

    /// Runs a script. Each packet of this side must be on a line, no line may lack its packet, and
    /// the transfer goes on after the last line.
    #[track_caller]
    pub(super) fn run(&mut self, script: &str) -> &mut Self {
        self.run_lines(script);
        self.expect_nothing("the end of the script")
    }

    /// Runs a script after which the transfer has ended with `outcome`.
    #[track_caller]
    pub(super) fn run_to_end(&mut self, script: &str, outcome: &Outcome) {
        self.run_lines(script);
        self.expect_end(outcome);
    }

    #[track_caller]
    fn run_lines(&mut self, script: &str) {
        let lines = script.lines().map(str::trim);
        for text in lines.filter(|text| !text.starts_with('#')) {
            if let Some(step) = text.strip_prefix("= ") {
                self.step(step);
                continue;
            }
            let line = Line::parse(text);
            if line.from_client == self.is_client {
                self.expect(&line, text);
            } else {
                self.expect_nothing(text);
                self.deliver(text);
            }
        }
    }

    #[track_caller]
    fn step(&mut self, step: &str) {
        let (name, argument) = step.split_once(' ').unwrap_or((step, ""));
        match name {
            "commit" => assert_eq!(self.transfer.poll(), Output::Commit),
            "committed" => self.transfer.committed(self.now),
            "abort" => {
                let code = ErrorCode::from_wire(argument.parse().expect("an error code"));
                self.transfer.handle(Input::Abort(code), self.now);
            }
            "unreachable" => {
                self.transfer.handle(Input::Unreachable, self.now);
            }
            "repeat" => self.transfer.repeat_first_reply(self.now),
            "ends" => self.transfer.ends_with(argument.parse().expect("a block")),
            _ => panic!("not a step of the driver: {step}"),
        }
    }

    /// Compares the next output with a line.
    #[track_caller]
    fn expect(&mut self, line: &Line, text: &str) {
        if line.after.is_none() {
            self.wait();
        } else {
            assert_eq!(line.after, Some(Duration::ZERO), "{text}");
        }
        let mut sent = Vec::new();
        let output = self.transfer.poll();
        match output {
            Output::Blocks { first, count } => {
                let sent = Content::Blocks { first, count };
                assert_eq!(sent, line.content, "{text}, after {:?}", self.elapsed());
                return;
            }
            Output::Ack(block) => Ack { block }.encode(&mut sent),
            Output::Oack(options) => Oack { options }.encode(&mut sent),
            Output::Error(code) => Error::new(code).encode(&mut sent),
            _ => panic!("{output:?} instead of {text}, after {:?}", self.elapsed()),
        }
        let sent = Content::Datagram(sent);
        assert_eq!(sent, line.content, "{text}, after {:?}", self.elapsed());
    }

    /// Asserts that this side sends nothing and waits.
    #[track_caller]
    pub(super) fn expect_nothing(&mut self, before: &str) -> &mut Self {
        let output = self.transfer.poll();
        let waits = matches!(output, Output::Wait(_));
        assert!(waits, "{output:?} before {before}");
        self
    }

    #[track_caller]
    pub(super) fn expect_end(&mut self, outcome: &Outcome) {
        let output = self.transfer.poll();
        assert_eq!(output, Output::Done, "after {:?}", self.elapsed());
        assert_eq!(self.transfer.outcome(), Some(outcome));
    }

    /// Delivers the packet of a line, without a look at the output before or after.
    #[track_caller]
    pub(super) fn deliver(&mut self, text: &str) {
        let line = Line::parse(text);
        let Content::Datagram(datagram) = line.content else {
            panic!("a packet of the peer has a length: {text}");
        };
        self.now += line.after.expect("the peer has no timer here");
        self.receive(&datagram);
    }

    /// Delivers a datagram that no line can express.
    #[track_caller]
    pub(super) fn receive(&mut self, datagram: &[u8]) -> &mut Self {
        let stored = self.transfer.handle(Input::Datagram(datagram), self.now);
        if let Some(stored) = stored {
            assert_eq!(stored.offset, self.file.len() as u64, "a hole in the file");
            self.file.extend_from_slice(stored.payload);
        }
        self
    }

    /// Lets the time of the next deadline pass.
    #[track_caller]
    pub(super) fn wait(&mut self) -> &mut Self {
        self.now = self.deadline();
        self.transfer.handle(Input::Timer, self.now);
        self
    }

    /// Returns the time of the next timer, when nothing is left to send.
    #[track_caller]
    pub(super) fn deadline(&mut self) -> Instant {
        match self.transfer.poll() {
            Output::Wait(at) => at,
            other => panic!("{other:?} instead of a wait"),
        }
    }

    /// Returns the virtual time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

/// A packet of a script.
struct Line {
    /// The time since the line before; `None` for `+timeout`.
    after: Option<Duration>,
    from_client: bool,
    content: Content,
}

#[derive(Debug, Eq, PartialEq)]
enum Content {
    /// The bytes on the wire.
    Datagram(Vec<u8>),
    /// The blocks that a sender names.
    Blocks { first: u64, count: u16 },
}

impl Line {
    #[track_caller]
    fn parse(text: &str) -> Self {
        try_parse(text).unwrap_or_else(|| panic!("not a line of a script: {text}"))
    }
}

fn try_parse(text: &str) -> Option<Line> {
    let (head, message) = match text.split_once('"') {
        Some((head, message)) => (head, Some(message.strip_suffix('"')?)),
        None => (text, None),
    };
    let mut words = head.split_whitespace();
    let after = match words.next()?.strip_prefix('+')? {
        "timeout" => None,
        "0" => Some(Duration::ZERO),
        time => Some(Duration::from_millis(
            time.strip_suffix("ms")?.parse().ok()?,
        )),
    };
    let from_client = match words.next()? {
        ">" => true,
        "<" => false,
        _ => return None,
    };
    let name = words.next()?;
    let words: Vec<_> = words.collect();
    Some(Line {
        after,
        from_client,
        content: content(name, &words, message)?,
    })
}

fn content(name: &str, words: &[&str], message: Option<&str>) -> Option<Content> {
    let mut datagram = Vec::new();
    match (name, words, message) {
        ("DATA", [block, "len", len], None) => {
            let block = block.parse().ok()?;
            let payload = &*vec![7; len.parse().ok()?];
            Data { block, payload }.encode(&mut datagram);
        }
        ("DATA", [blocks], None) => {
            let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            let count = u16::try_from(last.checked_sub(first)? + 1).ok()?;
            return Some(Content::Blocks { first, count });
        }
        ("ACK", [block], None) => {
            let block = block.parse().ok()?;
            Ack { block }.encode(&mut datagram);
        }
        ("ERROR", [code], message) => {
            let mut error = Error::new(ErrorCode::from_wire(code.parse().ok()?));
            error.text = message.map_or(error.text, str::as_bytes);
            error.encode(&mut datagram);
        }
        ("OACK", pairs, None) => {
            let pairs: String = pairs
                .iter()
                .map(|pair| pair.replace('=', "\0") + "\0")
                .collect();
            let options = Options::from_oack(pairs.as_bytes()).ok()?;
            Oack { options }.encode(&mut datagram);
        }
        _ => return None,
    }
    Some(Content::Datagram(datagram))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Sender, SenderConfig};

    /// A server that sends 600 bytes: blocks 1 and 2.
    fn server() -> Trace {
        Trace::new(false, |start| {
            Sender::new(SenderConfig::new(600), None, start).into()
        })
    }

    #[test]
    #[should_panic(expected = "Blocks { first: 1, count: 1 } before +0 > ACK 1")]
    fn a_packet_without_a_line_fails() {
        server().run("+0 > ACK 1");
    }

    #[test]
    #[should_panic(expected = "instead of +0 < DATA 2")]
    fn a_line_without_a_packet_fails() {
        server().run("+0 < DATA 1\n+0 < DATA 2");
    }

    #[test]
    #[should_panic(expected = "+0 < DATA 1-2, after 0ns")]
    fn another_packet_fails() {
        server().run("+0 < DATA 1-2");
    }

    #[test]
    #[should_panic(expected = "Done before the end of the script")]
    fn an_end_that_the_script_does_not_expect_fails() {
        server().run("+0 < DATA 1\n+0 > ACK 1\n+0 < DATA 2\n+0 > ACK 2");
    }
}
