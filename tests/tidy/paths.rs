//! Paths in a source file to modules of its own crate and of its sister crates.

use crate::tokens::{Kind, Token};

/// A path that a file names: from the root of its crate on, or from a sister crate on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// All paths in a file that start with `crate`, `self`, `super` or one of the sisters, in `use`
/// declarations, grouped or not, and anywhere else. `module` is where the file itself stands.
pub(crate) fn named(tokens: &[Token], module: &[String], sisters: &[&str]) -> Vec<Named> {
    let mut finder = Finder {
        tokens,
        at: 0,
        module: module.to_vec(),
        inline: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    while finder.at < tokens.len() {
        finder.step(sisters);
    }
    finder.found
}

/// A name that a `use` declaration brings into a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Import {
    /// The name in this file; `*` for all names of the module before it.
    pub(crate) alias: String,
    /// The path from the root of the crate on, the `*` included.
    pub(crate) segments: Vec<String>,
    /// True if other files may see the name here.
    pub(crate) public: bool,
}

/// The names that the `use` declarations of a file bring in from its own crate: from `crate`, `self`
/// or `super`, and from its child modules. Declarations inside of functions are read as well.
pub(crate) fn imports(tokens: &[Token], module: &[String], children: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // `impl Trait + use<'a>` captures a lifetime.
        let captures = tokens.get(at + 1).is_some_and(|next| next.is_sign('<'));
        if !token.is("use") || captures {
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let public = before.is_some_and(|token| token.is("pub") || token.is_sign(')'));
        let mut tree = Tree {
            tokens: tokens.get(at + 1..).unwrap_or_default(),
            at: 0,
            leaves: Vec::new(),
        };
        tree.read(&[]);
        for (path, alias) in tree.leaves {
            if let Some(segments) = absolute(&path, module, children) {
                found.push(Import {
                    alias,
                    segments,
                    public,
                });
            }
        }
    }
    found
}

/// The path from the root on, or `None` where it leads out of the crate.
fn absolute(path: &[String], module: &[String], children: &[String]) -> Option<Vec<String>> {
    let (first, mut rest) = path.split_first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => parent(module),
        child if children.iter().any(|own| own == child) => [module, &[child.to_owned()]].concat(),
        _ => return None,
    };
    while let Some((_, further)) = rest.split_first().filter(|(first, _)| *first == "super") {
        base = parent(&base);
        rest = further;
    }
    Some([base, rest.to_vec()].concat())
}

/// The tree of one `use` declaration.
struct Tree<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Path and name in the file.
    leaves: Vec<(Vec<String>, String)>,
}

impl Tree<'_> {
    /// Reads one branch, up to its `,`, `}` or `;`.
    fn read(&mut self, above: &[String]) {
        let mut path = above.to_vec();
        let mut alias = None;
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Sign('{') => return self.group(&path),
                Kind::Sign(',' | '}' | ';') => break,
                Kind::Sign('*') => path.push("*".to_owned()),
                Kind::Word(word) if word == "as" => {
                    self.at += 1;
                    let name = self.tokens.get(self.at).and_then(Token::word);
                    alias = name.map(str::to_owned);
                }
                // `{self}` names the module of the group.
                Kind::Word(word) if word == "self" && !path.is_empty() => {}
                Kind::Word(word) => path.push(word.clone()),
                _ => {}
            }
            self.at += 1;
        }
        if let Some(alias) = alias.or_else(|| path.last().cloned()) {
            self.leaves.push((path, alias));
        }
    }

    /// Reads the branches of a group, up to and including its `}`.
    fn group(&mut self, above: &[String]) {
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Sign('}' | ';') => {
                    self.at += 1;
                    return;
                }
                Kind::Sign('{' | ',') => self.at += 1,
                _ => self.read(above),
            }
        }
    }
}

struct Finder<'a> {
    tokens: &'a [Token],
    at: usize,
    module: Vec<String>,
    /// Depth of the braces at the start of each module inside the file.
    inline: Vec<usize>,
    depth: usize,
    found: Vec<Named>,
}

impl Finder<'_> {
    fn step(&mut self, sisters: &[&str]) {
        let Some(token) = self.tokens.get(self.at) else {
            return;
        };
        match &token.kind {
            Kind::Sign('{') => self.depth += 1,
            Kind::Sign('}') => self.close(),
            Kind::Word(word) if word == "mod" => self.open_module(),
            Kind::Word(word) if self.starts_path() && !self.is_visibility() => {
                match word.as_str() {
                    "crate" => return self.path(Vec::new()),
                    "self" => return self.path(self.module.clone()),
                    "super" => return self.path(parent(&self.module)),
                    sister if sisters.contains(&sister) => {
                        return self.path(vec![sister.to_owned()]);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        self.at += 1;
    }

    fn open_module(&mut self) {
        let name = self.peek(1).and_then(Token::word).map(str::to_owned);
        if let (Some(name), true) = (name, self.peek(2).is_some_and(|token| token.is_sign('{'))) {
            self.module.push(name);
            self.inline.push(self.depth);
        }
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
    }

    /// Returns true if the word here begins a path of several segments, or is all that a `use` names.
    fn starts_path(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let continued =
            before.is_some_and(|token| token.kind == Kind::PathSeparator || token.is_sign('.'));
        let used = before.is_some_and(|token| token.is("use"));
        let more = self
            .peek(1)
            .is_some_and(|token| token.kind == Kind::PathSeparator);
        !continued && (more || used)
    }

    /// `pub(in crate::a)` names no part, it hides one.
    fn is_visibility(&self) -> bool {
        let before = |back| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        before(1).is_some_and(|token| token.is("in"))
            && before(3).is_some_and(|token| token.is("pub"))
    }

    /// Reads a path from its first segment on, which stands for `segments`.
    fn path(&mut self, segments: Vec<String>) {
        self.at += 1;
        self.rest(segments);
    }

    /// After a segment: more of the path, a group of ends, or the end.
    fn rest(&mut self, mut segments: Vec<String>) {
        let line = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or(0, |token| token.line);
        while self
            .peek(0)
            .is_some_and(|token| token.kind == Kind::PathSeparator)
        {
            match self.peek(1).map(|token| token.kind.clone()) {
                Some(Kind::Word(word)) if word == "super" => segments = parent(&segments),
                Some(Kind::Word(word)) => segments.push(word),
                Some(Kind::Sign('*')) => segments.push("*".to_owned()),
                Some(Kind::Sign('{')) => {
                    self.at += 2;
                    return self.group(&segments);
                }
                // Generic arguments: `crate::a::<B>`.
                _ => break,
            }
            self.at += 2;
        }
        self.found.push(Named { segments, line });
    }

    /// After the `{` of a group, up to and including its `}`.
    fn group(&mut self, segments: &[String]) {
        while let Some(token) = self.peek(0).cloned() {
            self.at += 1;
            match token.kind {
                Kind::Sign('}') => return,
                Kind::Word(word) if word == "self" => self.rest(segments.to_vec()),
                Kind::Word(word) if word == "super" => self.rest(parent(segments)),
                // The new name of what was named before.
                Kind::Word(word) if word == "as" => self.at += 1,
                Kind::Word(word) => self.rest([segments, &[word]].concat()),
                Kind::Sign('*') => self.rest([segments, &["*".to_owned()]].concat()),
                _ => {}
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }
}

fn parent(module: &[String]) -> Vec<String> {
    module
        .split_last()
        .map(|(_, parent)| parent.to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tokens;

    /// Returns the paths in a file at `proto::packet`, separated by spaces.
    #[track_caller]
    fn paths(source: &str) -> String {
        let module = ["proto".to_owned(), "packet".to_owned()];
        let found = named(&tokens(source), &module, &["eport_core"]);
        found
            .iter()
            .map(|named| named.segments.join("::"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn every_way_to_name_a_part_is_seen() {
        assert_eq!(paths("use crate::engine::Engine;"), "engine::Engine");
        assert_eq!(
            paths("use crate::{engine::{self, Slab as S}, proto};"),
            "engine engine::Slab proto"
        );
        assert_eq!(paths("use super::super::engine;"), "engine");
        assert_eq!(
            paths("use super::{super::engine::*, mode::Mode};"),
            "engine::* proto::mode::Mode"
        );
        assert_eq!(
            paths("pub(crate) use self::body::Body;"),
            "proto::packet::body::Body"
        );
        assert_eq!(
            paths("fn f() -> crate::net::Socket { crate::net::open::<u8>() }"),
            "net::Socket net::open"
        );
        assert_eq!(
            paths("macro_rules! m { () => { $crate::engine::run() } }"),
            "engine::run"
        );
        assert_eq!(
            paths("use eport_core::{Lease}; fn f(a: eport_core::Lease) {}"),
            "eport_core::Lease eport_core::Lease"
        );
        assert_eq!(paths("use crate::*; use crate as all;"), "* ");
    }

    #[test]
    fn imports_are_read_with_their_alias() {
        let source = "use a::{B, c::{self, D as E}}; pub(crate) use super::mode::*; use std::fs; pub use self::f as g;";
        let module = ["proto".to_owned(), "packet".to_owned()];
        let found = imports(&tokens(source), &module, &["a".to_owned()]);
        let found: Vec<_> = found
            .iter()
            .map(|import| {
                let mark = if import.public { "pub " } else { "" };
                format!("{mark}{} = {}", import.alias, import.segments.join("::"))
            })
            .collect();
        assert_eq!(
            found,
            [
                "B = proto::packet::a::B",
                "c = proto::packet::a::c",
                "E = proto::packet::a::c::D",
                "pub * = proto::mode::*",
                "pub g = proto::packet::f",
            ]
        );
    }

    #[test]
    fn modules_inside_a_file_count_as_places() {
        let source = "mod inner { use super::mode; mod deeper { use super::super::super::net; } } use super::mode;";
        assert_eq!(paths(source), "proto::packet::mode proto::net proto::mode");
    }

    #[test]
    fn what_only_looks_like_a_part_is_passed_over() {
        assert_eq!(
            paths("// use crate::engine\nlet a = \"crate::engine\";"),
            ""
        );
        assert_eq!(
            paths("pub(crate) fn f(self) { self.at = Self::at(other::crate_name) }"),
            ""
        );
        assert_eq!(paths("pub(in crate::proto) fn f() {}"), "");
    }
}
