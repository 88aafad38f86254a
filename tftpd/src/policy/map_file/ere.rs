//! Translation of POSIX extended regular expressions into the syntax of the `regex` crate.
//!
//! The dialect is that of glibc's `regcomp` with `REG_EXTENDED`: POSIX, and GNU's `\w`, `\<` and
//! their kin. The two languages look alike and differ where it hurts: within brackets a backslash
//! is nothing special to POSIX, `a+?` is a lazy repeat to one and an optional `a+` to the other,
//! and `(?` opens a flag or is a mistake. So every piece is read and written anew.

use std::fmt::Write as _;

use super::{MapFileLineError, lossy};

/// Translates an expression for the `regex` crate over bytes.
pub(super) fn translate(ere: &[u8]) -> Result<String, MapFileLineError> {
    let mut translator = Translator {
        ere,
        rest: ere,
        out: String::new(),
        groups: Vec::new(),
        atom: None,
        repeated: false,
    };
    while let Some(byte) = translator.next() {
        translator.piece(byte)?;
    }
    if !translator.groups.is_empty() {
        return Err(translator.bad("a '(' without its ')'"));
    }
    Ok(translator.out)
}

struct Translator<'a> {
    ere: &'a [u8],
    rest: &'a [u8],
    out: String,
    /// The start of each open group in `out`.
    groups: Vec<usize>,
    /// The start in `out` of the atom that a repeat would apply to.
    atom: Option<usize>,
    /// Set when that atom is repeated already.
    repeated: bool,
}

impl Translator<'_> {
    fn piece(&mut self, byte: u8) -> Result<(), MapFileLineError> {
        match byte {
            b'(' => {
                self.groups.push(self.out.len());
                self.no_atom("(");
            }
            b')' => {
                let start = self
                    .groups
                    .pop()
                    .ok_or_else(|| self.bad("a ')' without its '('"))?;
                self.out.push(')');
                (self.atom, self.repeated) = (Some(start), false);
            }
            b'|' => self.no_atom("|"),
            b'^' => self.no_atom("^"),
            b'$' => self.no_atom("$"),
            b'*' => self.repeat("*")?,
            b'+' => self.repeat("+")?,
            b'?' => self.repeat("?")?,
            b'{' => {
                let interval = self.interval()?;
                self.repeat(&interval)?;
            }
            b'.' => self.new_atom("."),
            b'[' => self.bracket()?,
            b'\\' => self.escape()?,
            literal => self.literal(literal),
        }
        Ok(())
    }

    fn new_atom(&mut self, text: &str) {
        (self.atom, self.repeated) = (Some(self.out.len()), false);
        self.out.push_str(text);
    }

    fn no_atom(&mut self, text: &str) {
        (self.atom, self.repeated) = (None, false);
        self.out.push_str(text);
    }

    /// Appends a repeat; a second repeat of one atom repeats the repeated atom.
    fn repeat(&mut self, quantifier: &str) -> Result<(), MapFileLineError> {
        let start = self
            .atom
            .ok_or_else(|| self.bad(format!("nothing to repeat before '{quantifier}'")))?;
        if self.repeated {
            self.out.insert_str(start, "(?:");
            self.out.push(')');
        }
        self.out.push_str(quantifier);
        self.repeated = true;
        Ok(())
    }

    /// Parses the text after a `{`: `m}`, `m,}`, `,n}` or `m,n}`.
    fn interval(&mut self) -> Result<String, MapFileLineError> {
        let end = self.rest.iter().position(|&byte| byte == b'}');
        let (bounds, rest) = self.rest.split_at(end.unwrap_or_default());
        self.rest = rest.get(1..).unwrap_or_default();
        let bounds = lossy(bounds);
        let (least, most) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !number(least) || !number(most) || bounds.trim_matches(',').is_empty() {
            return Err(self.bad("a '{' that is no interval: write '\\{' for the brace itself"));
        }
        Ok(match least {
            "" => format!("{{0,{most}}}"),
            _ => format!("{{{bounds}}}"),
        })
    }

    fn escape(&mut self) -> Result<(), MapFileLineError> {
        let byte = self.next().ok_or_else(|| self.bad("a '\\' at the end"))?;
        match byte {
            b'w' => self.new_atom(r"\w"),
            b'W' => self.new_atom(r"\W"),
            b's' => self.new_atom(r"\s"),
            b'S' => self.new_atom(r"\S"),
            b'b' => self.no_atom(r"\b"),
            b'B' => self.no_atom(r"\B"),
            b'<' => self.no_atom(r"\b{start}"),
            b'>' => self.no_atom(r"\b{end}"),
            b'`' => self.no_atom(r"\A"),
            b'\'' => self.no_atom(r"\z"),
            b'1'..=b'9' => {
                return Err(MapFileLineError::unsupported(
                    format!("the back reference '\\{}' in a regex", char::from(byte)),
                    "matching could take exponential time; write the alternatives out",
                ));
            }
            letter if letter.is_ascii_alphanumeric() => {
                return Err(MapFileLineError::unsupported(
                    format!("'\\{}' in a regex", char::from(letter)),
                    "POSIX does not define it; write brackets such as '[0-9]' or '[[:space:]]'",
                ));
            }
            literal => self.literal(literal),
        }
        Ok(())
    }

    /// Appends a literal byte, with the bytes after it that belong to the same UTF-8 character.
    fn literal(&mut self, first: u8) {
        if first.is_ascii() {
            let mut buffer = [0; 4];
            return self.new_atom(&regex::escape(char::from(first).encode_utf8(&mut buffer)));
        }
        let from = self.ere.len() - self.rest.len() - 1;
        let here = self.ere.get(from..).unwrap_or_default();
        let character = here
            .utf8_chunks()
            .next()
            .and_then(|chunk| chunk.valid().chars().next());
        let length = character.map_or(1, char::len_utf8);
        self.rest = here.get(length..).unwrap_or_default();
        let mut atom = String::from("(?:");
        here.iter()
            .take(length)
            .for_each(|&byte| push_byte(&mut atom, byte));
        atom.push(')');
        self.new_atom(&atom);
    }

    /// Parses the text after a `[`. A `]` in first place is a member, a `\` always is.
    fn bracket(&mut self) -> Result<(), MapFileLineError> {
        let mut class = String::from("[");
        if self.skip(b"^") {
            class.push('^');
        }
        let mut first = true;
        loop {
            match self.next() {
                None => return Err(self.bad("a '[' without its ']'")),
                Some(b']') if !first => break,
                Some(b'[') if self.skip(b":") => class.push_str(&self.named_class()?),
                Some(low) => {
                    push_byte(&mut class, self.member(low)?);
                    self.range(&mut class)?;
                }
            }
            first = false;
        }
        class.push(']');
        self.new_atom(&class);
        Ok(())
    }

    /// Parses the upper end of a range, if one follows; a `-` before the `]` is a member.
    fn range(&mut self, class: &mut String) -> Result<(), MapFileLineError> {
        if let [b'-', high, ..] = *self.rest
            && high != b']'
        {
            self.rest = self.rest.get(2..).unwrap_or_default();
            class.push('-');
            push_byte(class, self.member(high)?);
        }
        Ok(())
    }

    fn member(&self, byte: u8) -> Result<u8, MapFileLineError> {
        if byte == b'[' && matches!(self.rest.first(), Some(b'.' | b'=')) {
            return Err(MapFileLineError::unsupported(
                "a collating element ('[.' or '[=') in brackets",
                "write the characters themselves",
            ));
        }
        if !byte.is_ascii() {
            return Err(MapFileLineError::unsupported(
                "a character beyond ASCII in brackets",
                "its meaning depends on the locale; write alternatives, '(a|b)'",
            ));
        }
        Ok(byte)
    }

    /// Parses the text after a `[:`.
    fn named_class(&mut self) -> Result<String, MapFileLineError> {
        const NAMES: [&str; 12] = [
            "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "xdigit",
        ];
        let name = NAMES
            .into_iter()
            .find(|name| self.rest.starts_with(format!("{name}:]").as_bytes()))
            .ok_or_else(|| self.bad("a '[:' in brackets that begins no class"))?;
        self.rest = self.rest.get(name.len() + 2..).unwrap_or_default();
        Ok(format!("[:{name}:]"))
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn skip(&mut self, prefix: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn bad(&self, reason: impl Into<String>) -> MapFileLineError {
        MapFileLineError::BadRegex {
            regex: lossy(self.ere),
            reason: reason.into(),
        }
    }
}

/// Writing into a `String` cannot fail.
fn push_byte(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}
