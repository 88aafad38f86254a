//! Lines of exchange scripts, for unit tests of the state machines.
//!
//! ```text
//! +30ms      < DATA 1 len 512
//! +0         > ACK 1
//! +timeout   > ACK 1
//! ```
//! The notation is that of the fixtures: `>` marks a packet of the client, `<` one of the server,
//! the time counts from the line before. A packet at `+timeout` is sent by a timer. All bytes of
//! DATA are 7, and an ERROR has the text of the RFC.

use std::time::Duration;

use super::{Ack, Data, Error, ErrorCode, Oack, Options};

/// A packet of a script.
pub(super) struct Line {
    /// The time since the line before; `None` for `+timeout`.
    pub(super) after: Option<Duration>,
    pub(super) from_client: bool,
    /// The bytes on the wire.
    pub(super) datagram: Vec<u8>,
}

impl Line {
    /// Parses a line.
    #[track_caller]
    pub(super) fn parse(text: &str) -> Self {
        try_parse(text).unwrap_or_else(|| panic!("not a line of a script: {text}"))
    }
}

fn try_parse(text: &str) -> Option<Line> {
    let mut words = text.split_whitespace();
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
    let mut datagram = Vec::new();
    match words.next()? {
        "DATA" => {
            let block = words.next()?.parse().ok()?;
            words.next().filter(|&word| word == "len")?;
            let payload = &*vec![7; words.next()?.parse().ok()?];
            Data { block, payload }.encode(&mut datagram);
        }
        "ACK" => {
            let block = words.next()?.parse().ok()?;
            Ack { block }.encode(&mut datagram);
        }
        "ERROR" => {
            let code = ErrorCode::from_wire(words.next()?.parse().ok()?);
            Error::new(code).encode(&mut datagram);
        }
        "OACK" => {
            let pairs: String = words
                .by_ref()
                .map(|pair| pair.replace('=', "\0") + "\0")
                .collect();
            let options = Options::from_oack(pairs.as_bytes()).ok()?;
            Oack { options }.encode(&mut datagram);
        }
        _ => return None,
    }
    words.next().is_none().then_some(Line {
        after,
        from_client,
        datagram,
    })
}
