//! Bytes that a peer sent, escaped for a terminal or a log line.

use std::fmt::{self, Write as _};

/// The number of bytes that are shown at most; the rest is counted.
pub const MAX_PRINTED: usize = 256;

/// Bytes of a peer as text on one line.
///
/// UTF-8 is shown as it is. Control characters, bytes that are not UTF-8 and characters that
/// would reorder or hide others are escaped; so are `\` and `"`, which makes the text
/// unambiguous between quotes. At most [`MAX_PRINTED`] bytes are shown.
///
/// ```
/// use eport_core::program::Printable;
///
/// assert_eq!(Printable(b"gr\xfcn\x1b[2J").to_string(), r"gr\xfcn\x1b[2J");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "closed: a wrapper of the bytes")]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, hidden) = self.0.split_at(shown_len(self.0));
        for chunk in shown.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| write_char(f, c))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        match hidden.len() {
            0 => Ok(()),
            more => write!(f, "… ({more} more bytes)"),
        }
    }
}

/// Returns the length to cut at: the limit, or up to three bytes less so that no character is cut.
fn shown_len(bytes: &[u8]) -> usize {
    let Some(head) = bytes.get(..=MAX_PRINTED) else {
        return bytes.len();
    };
    let continues = |at: usize| head.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (MAX_PRINTED - 3..=MAX_PRINTED)
        .rev()
        .find(|&at| !continues(at))
        .unwrap_or(MAX_PRINTED)
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\'' | ' '..='!' | '#'..='[' | ']'..='~' => f.write_char(c),
        '\\' | '"' => write!(f, "\\{c}"),
        c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c)),
        // The standard library has the table of characters that do not print.
        c => write!(f, "{}", c.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(bytes: &[u8]) -> String {
        Printable(bytes).to_string()
    }

    #[test]
    fn text_is_shown_as_it_is() {
        assert_eq!(shown(b"pxelinux.cfg/it's 1#"), "pxelinux.cfg/it's 1#");
        assert_eq!(shown("grün/起動".as_bytes()), "grün/起動");
    }

    #[test]
    fn what_could_fool_a_terminal_or_a_reader_is_escaped() {
        assert_eq!(shown(b"a\nb\x7f\0"), r"a\x0ab\x7f\x00");
        assert_eq!(shown(b"\"\\\xff"), r#"\"\\\xff"#);
        assert_eq!(
            shown("a\u{202e}b\u{9b}".as_bytes()),
            r"a\u{202e}b\u{9b}",
            "right-to-left override, C1 control"
        );
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        let text = format!("{}ü tail", "a".repeat(MAX_PRINTED - 1));
        let expected = format!("{}… (7 more bytes)", "a".repeat(MAX_PRINTED - 1));
        assert_eq!(shown(text.as_bytes()), expected);
        assert_eq!(shown(&[b'a'; MAX_PRINTED]), "a".repeat(MAX_PRINTED));
    }

    proptest! {
        #[test]
        fn the_output_is_one_printable_line_of_bounded_length(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let shown = shown(&bytes);
            prop_assert!(!shown.contains(char::is_control));
            prop_assert!(shown.len() <= 4 * MAX_PRINTED + 32);
        }
    }
}
