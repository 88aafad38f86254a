//! ERROR packets, and errors of decoding.

use std::fmt;

use super::opcode::Opcode;

/// The longest text put into an ERROR packet, in bytes: clients keep it in small buffers.
pub const MAX_ERROR_TEXT: usize = 128;

/// The code of an ERROR packet ([RFC 1350, appendix](https://www.rfc-editor.org/rfc/rfc1350#appendix-I);
/// code 8: [RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 0: see the text.
    NotDefined,
    /// 1: there is no such file.
    FileNotFound,
    /// 2: the file may not be read or written.
    AccessViolation,
    /// 3: the disk is full, or the file is larger than allowed.
    DiskFull,
    /// 4: the packet makes no sense here.
    IllegalOperation,
    /// 5: the packet came from a port that has no part in this transfer.
    UnknownTransferId,
    /// 6: the file is there already.
    FileExists,
    /// 7: no such user.
    NoSuchUser,
    /// 8: the options are not acceptable.
    OptionNegotiation,
    /// Any other number that a peer sends.
    Other(u16),
}

impl ErrorCode {
    /// Returns the code with this number.
    pub const fn from_wire(number: u16) -> Self {
        match number {
            0 => Self::NotDefined,
            1 => Self::FileNotFound,
            2 => Self::AccessViolation,
            3 => Self::DiskFull,
            4 => Self::IllegalOperation,
            5 => Self::UnknownTransferId,
            6 => Self::FileExists,
            7 => Self::NoSuchUser,
            8 => Self::OptionNegotiation,
            other => Self::Other(other),
        }
    }

    /// Returns the number on the wire.
    pub const fn to_wire(self) -> u16 {
        match self {
            Self::NotDefined => 0,
            Self::FileNotFound => 1,
            Self::AccessViolation => 2,
            Self::DiskFull => 3,
            Self::IllegalOperation => 4,
            Self::UnknownTransferId => 5,
            Self::FileExists => 6,
            Self::NoSuchUser => 7,
            Self::OptionNegotiation => 8,
            Self::Other(other) => other,
        }
    }

    /// Returns the wording of the RFC.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotDefined | Self::Other(_) => "not defined",
            Self::FileNotFound => "File not found",
            Self::AccessViolation => "Access violation",
            Self::DiskFull => "Disk full or allocation exceeded",
            Self::IllegalOperation => "Illegal TFTP operation",
            Self::UnknownTransferId => "Unknown transfer ID",
            Self::FileExists => "File already exists",
            Self::NoSuchUser => "No such user",
            Self::OptionNegotiation => "Option negotiation failed",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.to_wire(), self.text())
    }
}

/// An ERROR packet, which ends a transfer ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5), figure 5-4).
/// It is neither acknowledged nor repeated.
///
/// ```text
///  2 bytes    2 bytes      string   1 byte
/// ┌──────────┬────────────┬────────┬───┐
/// │ opcode 5 │ error code │ text   │ 0 │
/// └──────────┴────────────┴────────┴───┘
/// ```
///
/// Closed: RFC 1350 fixes the fields. The type is a packet, not an error of this library.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1350 fixes the fields"
)]
pub struct Error<'a> {
    /// The reason.
    pub code: ErrorCode,
    /// The text for a person; bytes, because senders do not keep to the netascii of RFC 1350 §5.
    pub text: &'a [u8],
}

impl<'a> Error<'a> {
    /// Returns an ERROR packet with the wording of the RFC.
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            text: code.text().as_bytes(),
        }
    }

    /// Decodes the bytes after the opcode. The final NUL may be missing: the datagram ends the text.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] without a code.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (code, text) = body
            .split_first_chunk()
            .ok_or(DecodeError::Truncated { packet: "ERROR" })?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Self {
            code: ErrorCode::from_wire(u16::from_be_bytes(*code)),
            text,
        })
    }

    /// Appends the packet to `out`. The text is cut at [`MAX_ERROR_TEXT`] bytes and at a NUL.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Opcode::Error.to_wire());
        out.extend_from_slice(&self.code.to_wire().to_be_bytes());
        out.extend(
            self.text
                .iter()
                .copied()
                .take(MAX_ERROR_TEXT)
                .take_while(|&byte| byte != 0),
        );
        out.push(0);
    }
}

/// The reason why a datagram is not a TFTP packet: the fault of its sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram ends before the packet does.
    #[error("{packet} packet is truncated")]
    Truncated {
        /// The packet's name in the RFC.
        packet: &'static str,
    },
    /// The first two bytes are not one of the six opcodes.
    #[error("unknown opcode {0}")]
    UnknownOpcode(u16),
    /// A request whose file name or mode is not ended by a NUL.
    #[error("request without a terminated {0}")]
    Unterminated(&'static str),
    /// A request with an empty file name.
    #[error("request with an empty file name")]
    EmptyFilename,
    /// A mode other than octet, netascii and mail.
    #[error("unknown transfer mode")]
    UnknownMode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        Error::new(ErrorCode::FileNotFound).encode(&mut bytes);
        assert_eq!(bytes, b"\x00\x05\x00\x01File not found\x00");
        assert_eq!(
            Error::decode(&bytes[2..]),
            Ok(Error::new(ErrorCode::FileNotFound))
        );
    }

    #[test]
    fn every_code_survives_the_wire() {
        for number in 0..=u16::MAX {
            assert_eq!(ErrorCode::from_wire(number).to_wire(), number);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_a_missing_nul_forgiven() {
        let mut bytes = Vec::new();
        Error {
            code: ErrorCode::NotDefined,
            text: &[b'x'; 500],
        }
        .encode(&mut bytes);
        assert_eq!(bytes.len(), 4 + MAX_ERROR_TEXT + 1);
        let parsed = Error::decode(b"\x00\x02no").expect("a code is there");
        assert_eq!(
            (parsed.code, parsed.text),
            (ErrorCode::AccessViolation, b"no".as_slice())
        );
        assert_eq!(
            Error::decode(b"\x00"),
            Err(DecodeError::Truncated { packet: "ERROR" })
        );
    }
}
