//! Exchange scripts: the packets between one client and a server, as text.
//!
//! ```text
//! # Comments name the source.
//! +0        > RRQ "boot.img" octet
//! +0.4ms    < DATA 1 len 512
//! +12ms     > ACK 1
//! ...
//! +0        < DATA 9 len 0
//! +0        > ACK 9
//! ```
//! `>` goes to the server, `<` to the client. The time counts from the line before. `...` stands
//! for packets that the recording lacks. `fixtures/README.md` describes the format in full, and
//! [`trace`](crate::trace) runs it against one side of a transfer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::packet::{Packet, PacketError};
use crate::pcap::Datagram;

/// The packets between one client and a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Exchange {
    /// The comments at the head, without their `#`.
    pub notes: Vec<String>,
    /// The packets in the order of the recording.
    pub steps: Vec<Step>,
}

/// A line of a script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A packet.
    Packet {
        /// The time since the packet before it.
        after: Duration,
        /// The sender.
        from: Side,
        /// The packet itself.
        packet: Packet,
    },
    /// Packets that the recording lacks: left out of it, or lost before.
    Gap,
}

/// One of the two endpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// `>`
    Client,
    /// `<`
    Server,
}

/// A line that does not belong into a script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The time or the direction is missing.
    #[error(
        "line {0}: expected `+TIME > PACKET` or `+TIME < PACKET`, where TIME is 0 or a number with us, ms or s"
    )]
    Line(usize),
    /// The packet cannot be read.
    #[error("line {line}: the packet cannot be read")]
    Packet {
        /// The line's number, from 1 on.
        line: usize,
        /// The cause.
        source: PacketError,
    },
}

impl Exchange {
    /// Reads a script.
    ///
    /// # Errors
    /// If a line is neither a comment, a gap, nor a packet with time and direction.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut exchange = Self::default();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if let Some(note) = text.strip_prefix('#') {
                exchange.notes.push(note.trim().to_owned());
            } else if text == "..." {
                exchange.steps.push(Step::Gap);
            } else if !text.is_empty() {
                exchange.steps.push(step(line, text)?);
            }
        }
        Ok(exchange)
    }

    /// Returns the packets, without times and gaps.
    pub fn packets(&self) -> impl Iterator<Item = (Side, &Packet)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Packet { from, packet, .. } => Some((*from, packet)),
            Step::Gap => None,
        })
    }

    /// Collects the packets of a capture from and to the client with this address, over all
    /// requests that it sent from there. The server's port is 69 for requests, any for the rest.
    pub fn recorded(datagrams: &[Datagram], client: SocketAddr) -> Self {
        let mut exchange = Self::default();
        let mut last = None;
        let mut seen: BTreeMap<SocketAddr, Blocks> = BTreeMap::new();
        let of_client =
            |datagram: &&Datagram| datagram.source == client || datagram.destination == client;
        for datagram in datagrams.iter().filter(of_client) {
            let Some(packet) = Packet::from_bytes(&datagram.payload, datagram.length) else {
                continue;
            };
            let from = if datagram.source == client {
                Side::Client
            } else {
                Side::Server
            };
            let server = if from == Side::Client {
                datagram.destination
            } else {
                datagram.source
            };
            if seen.entry(server).or_default().leaves_out(&packet) {
                exchange.steps.push(Step::Gap);
            }
            let after = last.map_or(Duration::ZERO, |last| datagram.time.saturating_sub(last));
            last = Some(datagram.time);
            exchange.steps.push(Step::Packet {
                after,
                from,
                packet,
            });
        }
        exchange
    }
}

/// The blocks of one transfer in a recording so far.
#[derive(Default)]
struct Blocks {
    numbers: Numbering,
    ended: bool,
}

impl Blocks {
    /// Notes a packet; returns true if packets before it are missing from the recording.
    fn leaves_out(&mut self, packet: &Packet) -> bool {
        let (number, allowed) = match *packet {
            Packet::Data { block, .. } => (block, 1),
            Packet::Ack(block) => (block, 0),
            Packet::Error { .. } => {
                self.ended = true;
                return false;
            }
            _ => return false,
        };
        let highest = self.numbers.highest;
        // A packet after an ERROR is no part of the transfer: some clients acknowledge it.
        self.numbers.note(number) > highest + allowed && !self.ended
    }
}

/// Converts block numbers on the wire into numbers that do not wrap.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// The highest one so far.
    highest: i64,
}

impl Numbering {
    /// Returns the block with the number `wire` that is nearest to the highest so far, and not before
    /// the first.
    pub(crate) fn note(&mut self, wire: u16) -> i64 {
        let [.., high, low] = self.highest.to_be_bytes();
        let ahead = wire.wrapping_sub(u16::from_be_bytes([high, low]));
        let mut number = self.highest + i64::from(ahead.cast_signed());
        if number < 0 {
            number += 0x1_0000;
        }
        self.highest = self.highest.max(number);
        number
    }
}

/// Reads a line with time, direction and packet.
pub(crate) fn step(line: usize, text: &str) -> Result<Step, ScriptError> {
    let (time, rest) = text
        .split_once(char::is_whitespace)
        .ok_or(ScriptError::Line(line))?;
    let after = time
        .strip_prefix('+')
        .and_then(duration)
        .ok_or(ScriptError::Line(line))?;
    let (from, packet) = directed(line, rest)?;
    Ok(Step::Packet {
        after,
        from,
        packet,
    })
}

/// Reads direction and packet, the rest of a line after its time.
pub(crate) fn directed(line: usize, text: &str) -> Result<(Side, Packet), ScriptError> {
    let (from, packet) = match text.trim_start().split_at_checked(1) {
        Some((">", packet)) => (Side::Client, packet),
        Some(("<", packet)) => (Side::Server, packet),
        _ => return Err(ScriptError::Line(line)),
    };
    let packet =
        Packet::from_text(packet).map_err(|source| ScriptError::Packet { line, source })?;
    Ok((from, packet))
}

/// Reads a time such as `0`, `12ms`, `0.25ms`, `40us` or `3s`; no fraction of a microsecond is allowed.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = u32::try_from(fraction.len()).ok()?;
    let scale = 10_u64
        .checked_pow(digits)
        .filter(|scale| unit % scale == 0)?;
    let fraction: u64 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let whole: u64 = whole.parse().ok()?;
    whole
        .checked_mul(unit)?
        .checked_add(fraction * (unit / scale))
        .map(Duration::from_micros)
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "# {note}")?;
        }
        for step in &self.steps {
            match step {
                Step::Gap => writeln!(f, "...")?,
                Step::Packet {
                    after,
                    from,
                    packet,
                } => {
                    let arrow = if *from == Side::Client { '>' } else { '<' };
                    writeln!(f, "{:<12} {arrow} {packet}", shown(*after))?;
                }
            }
        }
        Ok(())
    }
}

/// Formats a time as `+0`, or in milliseconds with as many decimals as are needed.
fn shown(time: Duration) -> String {
    let micros = time.as_micros();
    if micros == 0 {
        return "+0".to_owned();
    }
    let number = format!("{}.{:03}", micros / 1_000, micros % 1_000);
    format!("+{}ms", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
# A read of 513 bytes.
+0           > RRQ \"f/513\" octet tsize=0
+0.25ms      < OACK tsize=513
+12ms        > ACK 0
...
+1000ms      < DATA 2 len 1
+0.001ms     > ACK 2
";

    #[test]
    fn a_script_is_read_and_written_unchanged() {
        let exchange = Exchange::parse(SCRIPT).expect("a script");
        assert_eq!(exchange.steps.len(), 6);
        assert_eq!(exchange.packets().count(), 5);
        assert_eq!(exchange.to_string(), SCRIPT);
    }

    #[test]
    fn times_are_read_in_every_unit() {
        for (text, micros) in [
            ("0", 0),
            ("40us", 40),
            ("1ms", 1_000),
            ("0.25ms", 250),
            ("2.5s", 2_500_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_micros(micros)),
                "{text}"
            );
        }
        for text in ["", "1", "ms", "1.5us", "0.0001ms", "-1ms", "1m"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let error = Exchange::parse("+0 > ACK 1\n\n+0 ACK 1\n").expect_err("no direction");
        assert!(error.to_string().starts_with("line 3:"), "{error}");
    }

    #[test]
    fn a_jump_in_the_numbers_is_a_gap_but_a_wrap_or_a_repetition_is_not() {
        let mut blocks = Blocks::default();
        let mut data = |block| blocks.leaves_out(&Packet::Data { block, length: 512 });
        assert!(!data(1));
        assert!(!data(1));
        assert!(data(65_534));
        assert!(!data(65_535));
        assert!(!data(0));
        assert!(!blocks.leaves_out(&Packet::Ack(0)));
        assert!(blocks.leaves_out(&Packet::Ack(1)));
    }
}
