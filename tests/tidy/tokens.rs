//! Rust source as words and signs, without comments and literals: enough to follow paths and braces.

use std::iter::Peekable;
use std::ops::Range;
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

/// The text between the quotes of a string literal, escapes as written, and its first line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// The words and signs of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    Scanner::scan(source).found
}

/// The string literals of a source file.
pub(crate) fn literals(source: &str) -> Vec<Literal> {
    Scanner::scan(source).literals
}

/// The token ranges of the items that are compiled for tests alone: each from the `#` of its
/// `#[cfg(test)]` to the end of its block, or to its `;`.
pub(crate) fn test_items(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for start in 0..tokens.len() {
        let inside = items.last().is_some_and(|item| item.contains(&start));
        if !inside && tokens.get(start..).is_some_and(is_test_attribute) {
            items.push(start..item_end(tokens, start));
        }
    }
    items
}

/// The tokens outside of the items that are compiled for tests alone.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let items = test_items(tokens);
    let kept = (0..).zip(tokens);
    let kept = kept.filter(|(at, _)| !items.iter().any(|item| item.contains(at)));
    kept.map(|(_, token)| token.clone()).collect()
}

/// True at `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_test_attribute(tokens: &[Token]) -> bool {
    let [hash, open, cfg, rest @ ..] = tokens else {
        return false;
    };
    let first = rest.iter().find_map(|token| match token.word() {
        Some("all") => None,
        word => word,
    });
    hash.is_sign('#') && open.is_sign('[') && cfg.is("cfg") && first == Some("test")
}

/// One past the last token of the item at `start`, its attributes included.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            Kind::Sign('(' | '[') => brackets += 1,
            Kind::Sign(')' | ']') => brackets = brackets.saturating_sub(1),
            Kind::Sign('{') => braces += 1,
            Kind::Sign('}') => {
                braces = braces.saturating_sub(1);
                let imports = tokens.get(at + 1).is_some_and(|next| next.is_sign(';'));
                if braces == 0 && !imports {
                    return at + 1;
                }
            }
            Kind::Sign(';') if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Token>,
    literals: Vec<Literal>,
}

impl<'a> Scanner<'a> {
    fn scan(source: &'a str) -> Self {
        let mut scanner = Self {
            rest: source.chars().peekable(),
            line: 1,
            found: Vec::new(),
            literals: Vec::new(),
        };
        while let Some(first) = scanner.next() {
            scanner.token(first);
        }
        scanner
    }

    fn token(&mut self, first: char) {
        match first {
            '/' if self.take('/') => self.skip_line(),
            '/' if self.take('*') => self.skip_comment(),
            '"' => self.string(),
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
                self.string();
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
        let line = self.line;
        let mut text = String::new();
        let mut closing = None;
        while let Some(next) = self.next() {
            text.push(next);
            closing = match (next, closing) {
                ('"', _) => Some(0),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                text.truncate(text.len() - hashes - 1);
                self.literals.push(Literal { text, line });
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

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while let Some(next) = self.next() {
            match next {
                '"' => break,
                '\\' => text.extend([Some(next), self.next()].into_iter().flatten()),
                _ => text.push(next),
            }
        }
        self.literals.push(Literal { text, line });
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
    fn literals_keep_their_text_and_their_line() {
        let source = "a(\"b \\\" c\") // \"d\"\n r#\"e \" f\"# '\"' b\"g\"";
        let found = literals(source);
        let found: Vec<_> = found.iter().map(|l| (l.text.as_str(), l.line)).collect();
        assert_eq!(found, [("b \\\" c", 1), ("e \" f", 2), ("g", 2)]);
    }

    #[test]
    fn items_of_tests_are_left_out() {
        let source = "use a; #[cfg(test)] use b::{c}; #[cfg(test)] mod d; fn e() {}\n\
            #[cfg(all(test, unix))] #[expect(f)] mod g { fn h() { i } } #[cfg(unix)] fn j() {}";
        let kept = without_tests(&tokens(source));
        let kept: Vec<_> = kept.iter().filter_map(Token::word).collect();
        assert_eq!(kept, ["use", "a", "fn", "e", "cfg", "unix", "fn", "j"]);
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
