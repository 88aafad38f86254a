//! RRQ and WRQ: the packets that open a transfer.

use super::{
    error::DecodeError,
    mode::Mode,
    opcode::Opcode,
    option::{Options, split_string},
};

/// The direction of a transfer.
///
/// Closed: a file is read or written.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed: a file is read or written")]
pub enum Direction {
    /// From server to client (RRQ).
    Read,
    /// From client to server (WRQ).
    Write,
}

/// A request for a transfer ([RFC 1350 §5](https://www.rfc-editor.org/rfc/rfc1350#section-5), figure
/// 5-1; options: [RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)).
///
/// ```text
///  2 bytes      string    1   string  1   string  1   string  1
/// ┌────────────┬─────────┬───┬──────┬───┬────────┬───┬───────┬───┬ ┄
/// │ opcode 1/2 │ file    │ 0 │ mode │ 0 │ option │ 0 │ value │ 0 │
/// └────────────┴─────────┴───┴──────┴───┴────────┴───┴───────┴───┴ ┄
/// ```
///
/// Closed: RFC 1350 and RFC 2347 fix the layout; new options are fields of [`Options`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1350 and RFC 2347 fix the layout"
)]
pub struct Request<'a> {
    /// Read or write.
    pub direction: Direction,
    /// The name as it was sent: bytes, not text; never empty.
    pub filename: &'a [u8],
    /// The transfer mode.
    pub mode: Mode,
    /// The options asked for, as far as they are known and in bounds.
    pub options: Options,
}

impl<'a> Request<'a> {
    /// Decodes the bytes after the opcode. The limit of 512 bytes of RFC 2347 is not enforced: a
    /// longer request that is well formed is served.
    ///
    /// # Errors
    /// [`DecodeError`] if the name or the mode is not terminated, the name is empty, or the mode is
    /// unknown.
    pub fn decode(direction: Direction, body: &'a [u8]) -> Result<Self, DecodeError> {
        let (filename, rest) = split_string(body).ok_or(DecodeError::Unterminated("file name"))?;
        let (mode, options) = split_string(rest).ok_or(DecodeError::Unterminated("mode"))?;
        if filename.is_empty() {
            return Err(DecodeError::EmptyFilename);
        }
        let mode = Mode::from_wire(mode).ok_or(DecodeError::UnknownMode)?;
        Ok(Self {
            direction,
            filename,
            mode,
            options: Options::from_request(options),
        })
    }

    /// Appends the packet to `out`. A NUL cannot be part of a name on the wire; the name ends there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let opcode = match self.direction {
            Direction::Read => Opcode::Rrq,
            Direction::Write => Opcode::Wrq,
        };
        out.extend_from_slice(&opcode.to_wire());
        out.extend(self.filename.iter().copied().take_while(|&byte| byte != 0));
        out.push(0);
        out.extend_from_slice(self.mode.name().as_bytes());
        out.push(0);
        self.options.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Request<'_>, DecodeError> {
        Request::decode(Direction::Read, body)
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let bytes = b"\x00\x01grub/x64.efi\x00octet\x00blksize\x001468\x00windowsize\x004\x00";
        let request = read(&bytes[2..]).expect("a good request");
        assert_eq!(request.filename, b"grub/x64.efi");
        assert_eq!(request.mode, Mode::Octet);
        assert_eq!(request.options.to_string(), "blksize=1468 windowsize=4");
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn names_are_bytes_not_text() {
        let request =
            read(b"gr\xfcn\xff\x1b\x00octet\x00").expect("any byte but NUL is part of a name");
        assert_eq!(request.filename, b"gr\xfcn\xff\x1b");
    }

    #[test]
    fn a_malformed_request_is_never_taken_for_a_good_one() {
        assert_eq!(read(b""), Err(DecodeError::Unterminated("file name")));
        assert_eq!(read(b"name"), Err(DecodeError::Unterminated("file name")));
        assert_eq!(read(b"name\x00"), Err(DecodeError::Unterminated("mode")));
        assert_eq!(
            read(b"name\x00octet"),
            Err(DecodeError::Unterminated("mode"))
        );
        assert_eq!(read(b"\x00octet\x00"), Err(DecodeError::EmptyFilename));
        assert_eq!(read(b"name\x00binary\x00"), Err(DecodeError::UnknownMode));
    }

    #[test]
    fn a_request_longer_than_512_bytes_is_read_all_the_same() {
        let mut body = vec![b'a'; 600];
        body.extend_from_slice(b"\x00octet\x00tsize\x000\x00");
        let request = read(&body).expect("long but well formed");
        assert_eq!(
            (request.filename.len(), request.options.tsize),
            (600, Some(0))
        );
    }
}
