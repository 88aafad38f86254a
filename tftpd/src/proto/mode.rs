//! The transfer modes of RFC 1350.

/// The transfer mode of a request ([RFC 1350 §1](https://www.rfc-editor.org/rfc/rfc1350#section-1)).
///
/// Closed: RFC 1350 has three modes, and no later RFC adds one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed: RFC 1350 has three modes")]
pub enum Mode {
    /// Eight-bit bytes as they are.
    Octet,
    /// Text: lines end in CR LF, a bare CR is CR NUL.
    Netascii,
    /// To a user's mailbox; obsolete, always refused.
    Mail,
}

impl Mode {
    /// Parses a mode as a request spells it, in any case; `None` if the name is unknown.
    pub fn from_wire(name: &[u8]) -> Option<Self> {
        [Self::Octet, Self::Netascii, Self::Mail]
            .into_iter()
            .find(|mode| name.eq_ignore_ascii_case(mode.name().as_bytes()))
    }

    /// Returns the name on the wire, in lower case as every known client writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Octet => "octet",
            Self::Netascii => "netascii",
            Self::Mail => "mail",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_nothing_else_is_a_mode() {
        assert_eq!(Mode::from_wire(b"OcTeT"), Some(Mode::Octet));
        assert_eq!(Mode::from_wire(b"NETASCII"), Some(Mode::Netascii));
        assert_eq!(Mode::from_wire(b"mail"), Some(Mode::Mail));
        assert_eq!(Mode::from_wire(b"binary"), None);
        assert_eq!(Mode::from_wire(b""), None);
    }
}
