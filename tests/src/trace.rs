//! Exchange scripts, run against one side of a transfer in virtual time.
//!
//! ```text
//! +0         > RRQ "file" octet
//! +0         < DATA 1 len 512
//! +timeout   < DATA 1 len 512
//! +10ms      > ACK 1
//! ```
//! Packets of the peer are passed to the side under test; packets of that side are compared with
//! the datagrams it sends, byte by byte. The notation is that of [`crate::exchange`] with one
//! addition: a packet of the side under test at `+timeout` is sent by a timer, at any time. The blocks
//! of DATA are cut from [`content`].

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::exchange::{self, Numbering, ScriptError, Side, Step};
use crate::link;
use crate::packet::Packet;

/// One side of a transfer, without sockets and clock.
pub trait Endpoint {
    /// The result of a transfer.
    type Outcome: Debug + PartialEq;

    /// Processes a datagram of the peer.
    fn receive(&mut self, datagram: &[u8], now: Instant);

    /// Processes the expiry of the timer that [`deadline`](Self::deadline) returns.
    fn expire(&mut self, now: Instant);

    /// Moves the datagrams that are due to `sent`.
    fn poll(&mut self, now: Instant, sent: &mut VecDeque<Vec<u8>>);

    /// The time at which the next timer expires.
    fn deadline(&self) -> Option<Instant>;

    /// Bytes in a full block, as negotiated.
    fn blksize(&self) -> usize;

    /// The bytes of the file received so far; empty for a sender.
    fn stored(&self) -> &[u8];

    /// The result, once the transfer has ended.
    fn outcome(&self) -> Option<&Self::Outcome>;
}

/// A side of a transfer with a virtual clock and the datagrams that no script has named yet.
#[derive(Debug)]
pub struct Trace<E> {
    endpoint: E,
    side: Side,
    start: Instant,
    now: Instant,
    sent: VecDeque<Vec<u8>>,
    numbers: Numbering,
    /// Stored bytes that were compared.
    checked: usize,
}

/// The first `len` bytes of the file that all traces transfer: 0 to 250, repeated, so that no two
/// blocks that follow each other are equal.
pub fn content(len: usize) -> Vec<u8> {
    slice(0, len)
}

/// The `len` bytes of [`content`] from `begin` on.
fn slice(begin: usize, len: usize) -> Vec<u8> {
    (0..=250).cycle().skip(begin % 251).take(len).collect()
}

impl<E: Endpoint> Trace<E> {
    /// A trace of `endpoint`, which is the `side` of its scripts.
    pub fn new(endpoint: E, side: Side) -> Self {
        let start = link::beginning();
        let mut trace = Self {
            endpoint,
            side,
            start,
            now: start,
            sent: VecDeque::new(),
            numbers: Numbering::default(),
            checked: 0,
        };
        trace.endpoint.poll(start, &mut trace.sent);
        trace
    }

    /// Runs a script, after those that ran before.
    ///
    /// # Panics
    /// If a line cannot be read; if the side under test sends other packets than the script, or at
    /// other times; or if it stores bytes that differ from the beginning of [`content`].
    #[track_caller]
    pub fn run(&mut self, script: &str) -> &mut Self {
        for (number, text) in (1..).zip(script.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let line = Line::parse(number, text).unwrap_or_else(|error| panic!("{error}"));
            if line.from == self.side {
                self.expect(&line, text);
            } else {
                self.deliver(&line, text);
            }
        }
        self.expect_nothing("the end of the script");
        let stored = self.endpoint.stored();
        let new = stored.get(self.checked..).expect("a file that grows");
        assert!(
            *new == *slice(self.checked, new.len()),
            "other bytes are stored than were sent"
        );
        self.checked = stored.len();
        self
    }

    /// Lets time pass without a datagram of the peer until this side sends one or has ended, and
    /// returns the time that passed.
    ///
    /// # Panics
    /// When a datagram has been sent that no script has named.
    #[track_caller]
    pub fn idle(&mut self) -> Duration {
        self.expect_nothing("a time without datagrams of the peer");
        let before = self.now;
        while self.sent.is_empty() {
            let Some(deadline) = self.endpoint.deadline() else {
                break;
            };
            self.now = deadline;
            self.act(E::expire);
        }
        self.now - before
    }

    /// Does to the side under test what no datagram and no timer does.
    pub fn act(&mut self, act: impl FnOnce(&mut E, Instant)) -> &mut Self {
        act(&mut self.endpoint, self.now);
        self.endpoint.poll(self.now, &mut self.sent);
        self
    }

    /// Asserts that the transfer has ended with `outcome`: nothing more is sent, no timer runs.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn assert_ended(&mut self, outcome: &E::Outcome) {
        self.expect_nothing("the end of the transfer");
        assert_eq!(self.outcome(), Some(outcome), "after {:?}", self.elapsed());
        assert_eq!(self.endpoint.deadline(), None);
    }

    /// The result, once the transfer has ended.
    pub fn outcome(&self) -> Option<&E::Outcome> {
        self.endpoint.outcome()
    }

    /// The bytes of the file received so far.
    pub fn stored(&self) -> &[u8] {
        self.endpoint.stored()
    }

    /// The side under test.
    pub fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    #[track_caller]
    fn deliver(&mut self, line: &Line, text: &str) {
        let After::Time(after) = line.after else {
            panic!("only the side under test has a timer: {text}");
        };
        self.expect_nothing(text);
        self.now += after;
        let datagram = self.wire(&line.packet);
        self.act(|endpoint, now| endpoint.receive(&datagram, now));
    }

    #[track_caller]
    fn expect(&mut self, line: &Line, text: &str) {
        let waited = if self.sent.is_empty() && line.after != After::Time(Duration::ZERO) {
            self.idle()
        } else {
            Duration::ZERO
        };
        let sent = self.sent.pop_front();
        let sent = sent.unwrap_or_else(|| panic!("nothing is sent instead of {text}"));
        if let After::Time(after) = line.after {
            assert_eq!(waited, after, "the time of {text}");
        }
        let packet = Packet::from_bytes(&sent, sent.len());
        assert_eq!(
            packet.as_ref(),
            Some(&line.packet),
            "{text}, after {:?}",
            self.elapsed()
        );
        assert_eq!(sent, self.wire(&line.packet), "{text}");
    }

    #[track_caller]
    fn expect_nothing(&self, before: &str) {
        let sent = self.sent.iter();
        let sent: Vec<_> = sent
            .map(|sent| Packet::from_bytes(sent, sent.len()))
            .collect();
        assert!(sent.is_empty(), "sent before {before}: {sent:?}");
    }

    /// The bytes of a packet, DATA filled with its block of [`content`].
    fn wire(&mut self, packet: &Packet) -> Vec<u8> {
        let mut datagram = packet.to_bytes();
        if let Packet::Data { block, length } = *packet {
            let block = self.numbers.note(block);
            let index = usize::try_from(block - 1).expect("blocks are numbered from 1 on");
            datagram.truncate(4);
            datagram.extend(slice(index * self.endpoint.blksize(), length));
        }
        datagram
    }
}

/// A line of a script.
struct Line {
    after: After,
    from: Side,
    packet: Packet,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum After {
    /// Since the line before.
    Time(Duration),
    /// `+timeout`
    Timeout,
}

impl Line {
    fn parse(number: usize, text: &str) -> Result<Self, ScriptError> {
        if let Some(rest) = text.strip_prefix("+timeout") {
            let (from, packet) = exchange::directed(number, rest)?;
            return Ok(Self {
                after: After::Timeout,
                from,
                packet,
            });
        }
        match exchange::step(number, text)? {
            Step::Packet {
                after,
                from,
                packet,
            } => Ok(Self {
                after: After::Time(after),
                from,
                packet,
            }),
            Step::Gap => Err(ScriptError::Line(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each datagram with ACK 7, and repeats that after a second.
    #[derive(Debug, Default)]
    struct Seven {
        due: u32,
        deadline: Option<Instant>,
    }

    impl Endpoint for Seven {
        type Outcome = ();

        fn receive(&mut self, _: &[u8], now: Instant) {
            self.expire(now);
        }

        fn expire(&mut self, now: Instant) {
            self.due += 1;
            self.deadline = Some(now + Duration::from_secs(1));
        }

        fn poll(&mut self, _: Instant, sent: &mut VecDeque<Vec<u8>>) {
            sent.extend((0..self.due).map(|_| vec![0, 4, 0, 7]));
            self.due = 0;
        }

        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        fn blksize(&self) -> usize {
            512
        }

        fn stored(&self) -> &[u8] {
            &[]
        }

        fn outcome(&self) -> Option<&()> {
            None
        }
    }

    fn run(script: &str) -> Duration {
        let mut trace = Trace::new(Seven::default(), Side::Server);
        trace.run(script).elapsed()
    }

    #[test]
    fn time_passes_with_the_lines_of_the_peer_and_with_timers() {
        let script = "+5ms > ACK 1\n+0 < ACK 7\n# twice\n+1000ms < ACK 7\n+timeout < ACK 7\n";
        assert_eq!(run(script), Duration::from_millis(2005));
    }

    #[test]
    #[should_panic(expected = "sent before +0 > ACK 2")]
    fn a_datagram_that_no_line_names_fails() {
        run("+0 > ACK 1\n+0 > ACK 2\n");
    }

    #[test]
    #[should_panic(expected = "nothing is sent instead of +0 < ACK 7")]
    fn a_line_without_a_datagram_fails() {
        run("+0 < ACK 7\n");
    }

    #[test]
    #[should_panic(expected = "+0 < ACK 8, after 0ns")]
    fn another_packet_fails() {
        run("+0 > ACK 1\n+0 < ACK 8\n");
    }

    #[test]
    #[should_panic(expected = "the time of +900ms < ACK 7")]
    fn another_time_fails() {
        run("+0 > ACK 1\n+0 < ACK 7\n+900ms < ACK 7\n");
    }
}
