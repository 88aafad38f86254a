//! The names of programs, and text that other machines sent.

use std::collections::HashMap;

use eport_core::program::Printable;

use crate::portmapper::text_of;
use crate::rpc::Program;

/// The names of programs, from `/etc/rpc`.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_number: HashMap<Program, String>,
    by_name: HashMap<String, Program>,
}

impl Names {
    /// Reads `/etc/rpc`; without it no program has a name.
    pub(super) fn load() -> Self {
        text_of("/etc/rpc").map_or_else(Self::default, |text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut names = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            if let (Some(name), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
                names
                    .by_number
                    .entry(number)
                    .or_insert_with(|| name.to_owned());
                for name in std::iter::once(name).chain(words) {
                    names.by_name.entry(name.to_owned()).or_insert(number);
                }
            }
        }
        names
    }

    /// Returns the name of a program.
    pub(super) fn name(&self, program: Program) -> Option<&str> {
        self.by_number.get(&program).map(String::as_str)
    }

    /// Returns the number of a program that is given by name or number.
    pub(super) fn number(&self, program: &str) -> Option<Program> {
        program
            .parse()
            .ok()
            .or_else(|| self.by_name.get(program).copied())
    }
}

/// Escapes the text of another machine for a terminal.
pub(super) fn printable(text: &str) -> String {
    Printable(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_read_and_comments_are_not() {
        let names = Names::parse("# RPC\nportmapper\t100000\tportmap sunrpc\nx\nnfs 100003 # it\n");
        assert_eq!(names.name(100_000.into()), Some("portmapper"));
        assert_eq!(names.number("sunrpc"), Some(100_000.into()));
        assert_eq!(names.number("100005"), Some(100_005.into()));
        assert_eq!(names.number("it"), None);
        assert_eq!(names.name(1.into()), None);
    }

    #[test]
    fn escape_sequences_of_a_peer_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jü"), "a\\x1b[2Jü");
    }
}
