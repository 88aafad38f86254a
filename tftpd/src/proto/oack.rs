//! OACK: the options that the server accepts.

use super::{
    opcode::Opcode,
    option::{OackError, Options},
};

/// An option acknowledgement ([RFC 2347](https://www.rfc-editor.org/rfc/rfc2347)). It ends exactly
/// after the last NUL: padding makes some firmware fail.
///
/// ```text
///  2 bytes    string  1   string  1
/// ┌──────────┬──────┬───┬───────┬───┬ ┄
/// │ opcode 6 │ name │ 0 │ value │ 0 │
/// └──────────┴──────┴───┴───────┴───┴ ┄
/// ```
///
/// Closed: RFC 2347 fixes the layout; new options are fields of [`Options`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 2347 fixes the layout"
)]
pub struct Oack {
    /// The values in force from now on.
    pub options: Options,
}

impl Oack {
    /// Decodes the bytes after the opcode, by a client's rules.
    ///
    /// # Errors
    /// [`OackError`] if an option is unknown, comes twice, or has a value out of bounds.
    pub fn decode(body: &[u8]) -> Result<Self, OackError> {
        Options::from_oack(body).map(|options| Self { options })
    }

    /// Appends the packet to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Opcode::Oack.to_wire());
        self.options.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::option::Blksize;

    #[test]
    fn an_oack_ends_exactly_after_its_last_nul() {
        let options = Options {
            blksize: Blksize::new(1468),
            tsize: Some(70),
            ..Options::default()
        };
        let mut bytes = Vec::new();
        Oack { options }.encode(&mut bytes);
        assert_eq!(bytes, b"\x00\x06blksize\x001468\x00tsize\x0070\x00");
        assert_eq!(Oack::decode(&bytes[2..]), Ok(Oack { options }));
    }
}
