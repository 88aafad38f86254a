//! TFTP packets: decoded from captures, and in the text form of exchange scripts.
//!
//! A second implementation of the codec, on purpose: suites that decoded packets with the crate under
//! test would share its mistakes.

use std::fmt;

/// A TFTP packet; of DATA only the length is kept. Option names and values stay as they were sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    /// RRQ or WRQ ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5), RFC 2347).
    Request {
        /// WRQ, not RRQ.
        write: bool,
        /// The file's name.
        name: String,
        /// `octet` or `netascii`, in the client's spelling.
        mode: String,
        /// Names and values in their order.
        options: Vec<(String, String)>,
    },
    /// A block of the file.
    Data {
        /// The number on the wire.
        block: u16,
        /// Bytes of the file in it.
        length: usize,
    },
    /// An acknowledgement, with the number on the wire.
    Ack(u16),
    /// The end of a transfer or its refusal.
    Error {
        /// RFC 1350, appendix; 8 is RFC 2347's.
        code: u16,
        /// For people.
        message: String,
    },
    /// The options a server takes ([RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).
    Oack(Vec<(String, String)>),
}

/// A line, or a part of it, that is no packet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no packet: {reason}")]
pub struct PacketError {
    /// The input.
    pub text: String,
    /// The reason.
    pub reason: &'static str,
}

impl Packet {
    /// Reads a datagram, of which a capture may have kept less than its `length`.
    pub fn from_bytes(payload: &[u8], length: usize) -> Option<Self> {
        let (opcode, body) = payload.split_first_chunk()?;
        let number = || body.first_chunk().map(|number| u16::from_be_bytes(*number));
        match u16::from_be_bytes(*opcode) {
            kind @ (1 | 2) => {
                let mut strings = strings(body);
                let (name, mode) = (strings.next()?, strings.next()?);
                Some(Self::Request {
                    write: kind == 2,
                    name,
                    mode,
                    options: pairs(strings),
                })
            }
            3 => Some(Self::Data {
                block: number()?,
                length: length.checked_sub(4)?,
            }),
            4 => Some(Self::Ack(number()?)),
            5 => Some(Self::Error {
                code: number()?,
                message: strings(body.get(2..)?).next().unwrap_or_default(),
            }),
            6 => Some(Self::Oack(pairs(strings(body)))),
            _ => None,
        }
    }

    /// The bytes on the wire; a block of DATA is filled with the low byte of its number.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = |numbers: &[u16]| {
            numbers
                .iter()
                .flat_map(|number| number.to_be_bytes())
                .collect::<Vec<_>>()
        };
        match self {
            Self::Request {
                write,
                name,
                mode,
                options,
            } => {
                let mut bytes = numbers(&[if *write { 2 } else { 1 }]);
                put_strings(&mut bytes, [name, mode]);
                put_strings(
                    &mut bytes,
                    options.iter().flat_map(|(name, value)| [name, value]),
                );
                bytes
            }
            Self::Data { block, length } => {
                let [_, low] = block.to_be_bytes();
                let mut bytes = numbers(&[3, *block]);
                bytes.resize(4 + length, low);
                bytes
            }
            Self::Ack(block) => numbers(&[4, *block]),
            Self::Error { code, message } => {
                let mut bytes = numbers(&[5, *code]);
                put_strings(&mut bytes, [message]);
                bytes
            }
            Self::Oack(options) => {
                let mut bytes = numbers(&[6]);
                put_strings(
                    &mut bytes,
                    options.iter().flat_map(|(name, value)| [name, value]),
                );
                bytes
            }
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// When a word is missing, unknown, or one too many.
    pub fn from_text(text: &str) -> Result<Self, PacketError> {
        let error = |reason| PacketError {
            text: text.to_owned(),
            reason,
        };
        let words = words(text).ok_or_else(|| error("a quotation is not closed"))?;
        let mut words = words.iter().map(String::as_str);
        let mut next = || words.next();
        let packet = match next().ok_or_else(|| error("it is empty"))? {
            kind @ ("RRQ" | "WRQ") => {
                let name = next()
                    .ok_or_else(|| error("the file's name is missing"))?
                    .to_owned();
                let mode = next()
                    .ok_or_else(|| error("the mode is missing"))?
                    .to_owned();
                let options = options(&mut next).ok_or_else(|| error("an option has no `=`"))?;
                Self::Request {
                    write: kind == "WRQ",
                    name,
                    mode,
                    options,
                }
            }
            "DATA" => {
                let block = number(next()).ok_or_else(|| error("the block's number is missing"))?;
                let named = next() == Some("len");
                let length = next().and_then(|word| word.parse().ok()).filter(|_| named);
                Self::Data {
                    block,
                    length: length.ok_or_else(|| error("`len N` is missing"))?,
                }
            }
            "ACK" => {
                Self::Ack(number(next()).ok_or_else(|| error("the block's number is missing"))?)
            }
            "ERROR" => {
                let code = number(next()).ok_or_else(|| error("the code is missing"))?;
                Self::Error {
                    code,
                    message: next().unwrap_or_default().to_owned(),
                }
            }
            "OACK" => Self::Oack(options(&mut next).ok_or_else(|| error("an option has no `=`"))?),
            _ => {
                return Err(error(
                    "it starts with none of RRQ, WRQ, DATA, ACK, ERROR, OACK",
                ));
            }
        };
        next().map_or(Ok(packet), |_| Err(error("there is more on the line")))
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                write,
                name,
                mode,
                options,
            } => {
                let kind = if *write { "WRQ" } else { "RRQ" };
                write!(
                    f,
                    "{kind} {} {}{}",
                    in_quotes(name),
                    quoted(mode),
                    Listed(options)
                )
            }
            Self::Data { block, length } => write!(f, "DATA {block} len {length}"),
            Self::Ack(block) => write!(f, "ACK {block}"),
            Self::Error { code, message } => write!(f, "ERROR {code} {}", in_quotes(message)),
            Self::Oack(options) => write!(f, "OACK{}", Listed(options)),
        }
    }
}

/// Options as a script writes them, each with a space before it.
struct Listed<'a>(&'a [(String, String)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, value)| write!(f, " {}", quoted(&format!("{name}={value}"))))
    }
}

/// A word as it is, or in quotation marks where it would not be read as one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '#');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        in_quotes(word)
    }
}

fn in_quotes(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', r#"\""#))
}

/// The words of a line; `"…"` is one word, in it `\` makes the next character plain.
/// A word that starts with `#` begins a comment. `None` when a quotation is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next().filter(|&first| first != '#') {
        let mut word = String::new();
        let mut characters = rest.chars();
        if first == '"' {
            characters.next();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => word.push(characters.next()?),
                    plain => word.push(plain),
                }
            }
        } else {
            word.extend(characters.by_ref().take_while(|c| !c.is_whitespace()));
        }
        words.push(word);
        rest = characters.as_str().trim_start();
    }
    Some(words)
}

fn number(word: Option<&str>) -> Option<u16> {
    word?.parse().ok()
}

fn options<'a>(next: &mut impl FnMut() -> Option<&'a str>) -> Option<Vec<(String, String)>> {
    std::iter::from_fn(next)
        .map(|word| {
            word.split_once('=')
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
        })
        .collect()
}

/// Strings that end with a zero byte; what follows the last one is left out.
fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    let end = bytes.iter().rposition(|&byte| byte == 0).unwrap_or(0);
    let strings = bytes.get(..end).filter(|_| bytes.contains(&0));
    let strings = strings
        .into_iter()
        .flat_map(|strings| strings.split(|&byte| byte == 0));
    strings.map(|string| String::from_utf8_lossy(string).into_owned())
}

fn pairs(mut strings: impl Iterator<Item = String>) -> Vec<(String, String)> {
    std::iter::from_fn(|| strings.next().zip(strings.next())).collect()
}

fn put_strings<'a>(bytes: &mut Vec<u8>, strings: impl IntoIterator<Item = &'a String>) {
    for string in strings {
        bytes.extend(string.as_bytes());
        bytes.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn both_ways(bytes: &[u8], text: &str) {
        let packet = Packet::from_bytes(bytes, bytes.len()).expect("a packet");
        assert_eq!(packet.to_string(), text);
        assert_eq!(Packet::from_text(text).as_ref(), Ok(&packet));
        assert_eq!(packet.to_bytes(), bytes);
    }

    #[test]
    fn packets_are_the_same_as_bytes_and_as_text() {
        both_ways(b"\0\x01a b\0octet\0", r#"RRQ "a b" octet"#);
        both_ways(
            b"\0\x02x\0netascii\0tsize\x00300\0",
            r#"WRQ "x" netascii tsize=300"#,
        );
        both_ways(
            b"\0\x01x\0octet\0multicast\0\0",
            r#"RRQ "x" octet multicast="#,
        );
        both_ways(b"\0\x03\0\x07\x07\x07", "DATA 7 len 2");
        both_ways(b"\0\x04\xff\xff", "ACK 65535");
        both_ways(b"\0\x05\0\x01say \"no\" \\\0", r#"ERROR 1 "say \"no\" \\""#);
        both_ways(
            b"\0\x06blksize\x001432\0tsize\x000\0",
            "OACK blksize=1432 tsize=0",
        );
    }

    #[test]
    fn a_block_that_was_cut_keeps_its_length() {
        let packet = Packet::from_bytes(&[0, 3, 0, 1, 9, 9], 516);
        assert_eq!(
            packet,
            Some(Packet::Data {
                block: 1,
                length: 512
            })
        );
    }

    #[test]
    fn a_line_with_a_word_too_few_or_too_many_is_refused() {
        for line in [
            "",
            "RRQ",
            r#"RRQ "a"#,
            "DATA 1 512",
            "DATA 1",
            "ACK",
            "ACK 65536",
            "ACK 1 2",
            "OACK x",
            "NAK 1",
        ] {
            assert!(Packet::from_text(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_comment_ends_the_line() {
        assert_eq!(
            Packet::from_text("ACK 1 # the last one"),
            Ok(Packet::Ack(1))
        );
    }
}
