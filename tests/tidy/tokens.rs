//! Rust source as words and signs, without comments and literals: enough to follow paths and braces.

use std::iter::Peekable;
use std::str::Chars;

/// A word or a sign, and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// An identifier, keyword or number.
    Word(String),
    /// Any other character; `::` is one sign.
    Sign(char),
    /// `::`
    PathSeparator,
}

impl Token {
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    pub(crate) fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The words and signs of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut scanner = Scanner {
        rest: source.chars().peekable(),
        line: 1,
        found: Vec::new(),
    };
    while let Some(first) = scanner.next() {
        scanner.token(first);
    }
    scanner.found
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Token>,
}

impl Scanner<'_> {
    fn token(&mut self, first: char) {
        match first {
            '/' if self.take('/') => self.skip_line(),
            '/' if self.take('*') => self.skip_comment(),
            '"' => self.skip_string(),
            '\'' => self.skip_character_or_lifetime(),
            ':' if self.take(':') => self.push(Kind::PathSeparator),
            first if is_word(first) => self.word(first),
            first if first.is_whitespace() => {}
            sign => self.push(Kind::Sign(sign)),
        }
    }

    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(next) = self.rest.next_if(|&next| is_word(next)) {
            word.push(next);
        }
        match (word.as_str(), self.rest.peek()) {
            ("r" | "br" | "cr", Some('"' | '#')) => self.raw(),
            ("b" | "c", Some('"')) => {
                self.next();
                self.skip_string();
            }
            _ => self.push(Kind::Word(word)),
        }
    }

    /// After the `r` of a raw string or of a raw identifier.
    fn raw(&mut self) {
        let mut hashes = 0;
        while self.take('#') {
            hashes += 1;
        }
        if !self.take('"') {
            return; // The identifier follows as a word of its own.
        }
        let mut closing = None;
        while let Some(next) = self.next() {
            closing = match (next, closing) {
                ('"', _) => Some(0),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|&next| next != '\n').is_some() {}
    }

    /// A block comment may hold others.
    fn skip_comment(&mut self) {
        let mut depth = 1;
        while let Some(next) = self.next() {
            match next {
                '/' if self.take('*') => depth += 1,
                '*' if self.take('/') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        while let Some(next) = self.next() {
            match next {
                '"' => return,
                '\\' => drop(self.next()),
                _ => {}
            }
        }
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn skip_character_or_lifetime(&mut self) {
        let Some(first) = self.next() else { return };
        if first == '\\' {
            self.next();
            while self.next().is_some_and(|next| next != '\'') {}
        } else if !self.take('\'') {
            while self.rest.next_if(|&next| is_word(next)).is_some() {}
        }
    }

    fn take(&mut self, expected: char) -> bool {
        self.rest.next_if_eq(&expected).is_some()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn push(&mut self, kind: Kind) {
        self.found.push(Token {
            kind,
            line: self.line,
        });
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        tokens(source)
            .iter()
            .filter_map(|token| token.word().map(str::to_owned))
            .collect()
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r#"a "b \" c" d b"e" f"#), ["a", "d", "f"]);
        assert_eq!(
            words(r###"a r"b\" c r#"d " e"# f r##"g "# h"## i"###),
            ["a", "c", "f", "i"]
        );
        assert_eq!(words(r"a '\'' b 'c' d '\u{1F600}' e"), ["a", "b", "d", "e"]);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_do_not_confuse() {
        assert_eq!(
            words("fn a<'b>(c: &'b str, r#type: d)"),
            ["fn", "a", "c", "str", "type", "d"]
        );
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let found = tokens("\"a\nb\"\n/*\n*/ c");
        assert_eq!(
            found,
            [Token {
                kind: Kind::Word("c".to_owned()),
                line: 4
            }]
        );
    }
}
