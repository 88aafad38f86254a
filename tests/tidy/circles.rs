//! Circles between the files of a crate: files that name one another's items, straight or by others.
//!
//! An arrow runs from a file to the file that *defines* an item it names. The rule in full:
//!
//! * A name that comes by way of a `use`, public or not, is followed to its definition. So `mod.rs`
//!   may hand on what its children define, and the children may name it there: neither ties them.
//! * A `use` that the rest of its file makes use of is an arrow; one that only hands on is not, and
//!   neither is `mod child;`.
//! * An arrow from a file to the module that contains it is left out: the file of a module (`mod.rs`
//!   or `a.rs` beside `a/`) is the outside of its children. It is read with them, declares the types
//!   that they share, and a child cannot be moved away from it. Between siblings, and from a module
//!   to a child of another one, every arrow counts.
//! * Paths with a `crate::`, `self::` or `super::` count everywhere; so do those that begin with a
//!   child module or with an imported module. What only tests compile is left out.
//! * Methods and fields are not followed: their type has been named before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::tests::host;

use crate::arrows::{CRATES, TFTPD, module_of, rust_files};
use crate::paths::{Import, imports, named};
use crate::tokens::{Kind, Token, tokens, without_tests};

/// Words before the name of an item.
const ITEMS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "const",
    "static",
    "macro_rules",
];

/// A name is followed through so many `use` declarations at most: they may go in a ring.
const HOPS: usize = 16;

#[test]
fn no_files_name_one_another_in_a_circle() {
    let found: Vec<_> = CRATES
        .iter()
        .flat_map(|table| {
            House::read(table.folder, &host::workspace().join(table.folder)).circles()
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_planted_in_a_copy_of_the_crate_is_caught() {
    let copy = crate::Copy::new(&TFTPD);
    copy.plant(
        "src/proto/opcode.rs",
        "use super::mode::Mode as Planted; fn planted(_: Planted) {}\n",
    );
    copy.plant(
        "src/proto/mode.rs",
        "use crate::proto::Opcode as Planted; fn planted(_: Planted) {}\n",
    );
    let found = House::read("tftpd", copy.path()).circles();
    let circle = found
        .iter()
        .find(|circle| circle.contains("src/proto/mode.rs"));
    let circle = circle.expect("the planted circle is found");
    assert!(
        circle.contains("tftpd/src/proto/mode.rs -> tftpd/src/proto/opcode.rs: Opcode"),
        "{circle}"
    );
    assert!(
        circle.contains("tftpd/src/proto/opcode.rs -> tftpd/src/proto/mode.rs: Mode"),
        "{circle}"
    );
}

/// A module path, from the crate's root on; the root itself is empty.
type Module = Vec<String>;

/// The source files of a crate, as modules.
#[derive(Default)]
struct House {
    modules: BTreeMap<Module, Room>,
}

/// One source file, without its tests.
struct Room {
    place: String,
    tokens: Vec<Token>,
    imports: Vec<Import>,
    defined: BTreeSet<String>,
}

/// From file to file, with the names that the first takes from the second.
type Arrows<'a> = BTreeMap<&'a Module, BTreeMap<&'a Module, BTreeSet<String>>>;

impl House {
    /// Reads the library of the crate in `folder`; its binaries are crates of their own.
    fn read(name: &str, folder: &Path) -> Self {
        let source = folder.join("src");
        let mut files = Vec::new();
        for file in rust_files(&source) {
            let relative = file
                .strip_prefix(&source)
                .expect("it lies below the folder");
            if !relative.starts_with("bin") && relative != Path::new("main.rs") {
                let place = format!("{name}/src/{}", relative.display());
                files.push((module_of(relative), place, host::read_text(&file)));
            }
        }
        Self::from_files(files)
    }

    /// Takes files by module, place and text; leaves out modules that only tests compile.
    fn from_files(files: Vec<(Module, String, String)>) -> Self {
        let mut house = Self::default();
        let mut tested = BTreeSet::new();
        for (module, place, text) in files {
            let all = tokens(&text);
            let kept = without_tests(&all);
            let children =
                |tokens: &[Token]| -> BTreeSet<String> { declared(tokens).into_iter().collect() };
            for child in children(&all).difference(&children(&kept)) {
                tested.insert([module.as_slice(), std::slice::from_ref(child)].concat());
            }
            let room = Room {
                place,
                imports: imports(&kept, &module, &declared(&kept)),
                defined: defined(&kept),
                tokens: kept,
            };
            house.modules.insert(module, room);
        }
        house
            .modules
            .retain(|module, _| !tested.iter().any(|test| module.starts_with(test)));
        house
    }

    /// Describes every circle: its files, then the arrows between them.
    fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let reach: BTreeMap<_, _> = arrows
            .keys()
            .map(|&from| (from, reached(&arrows, from)))
            .collect();
        let tied = |a: &Module, b: &Module| {
            let reaches = |from: &Module, to| reach.get(from).is_some_and(|seen| seen.contains(to));
            reaches(a, b) && reaches(b, a)
        };
        let mut found = Vec::new();
        let mut done = BTreeSet::new();
        for &from in arrows.keys() {
            let circle: Vec<_> = self.modules.keys().filter(|to| tied(from, to)).collect();
            if circle.len() > 1 && done.insert(circle.clone()) {
                found.push(self.describe(&circle, &arrows));
            }
        }
        found
    }

    fn describe(&self, circle: &[&Module], arrows: &Arrows<'_>) -> String {
        let mut lines = vec![format!("a circle of {} files:", circle.len())];
        for from in circle {
            for (to, names) in arrows.get(from).into_iter().flatten() {
                if circle.contains(to) {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    let (from, to) = (self.place(from), self.place(to));
                    lines.push(format!("  {from} -> {to}: {}", names.join(", ")));
                }
            }
        }
        lines.join("\n")
    }

    fn place(&self, module: &Module) -> &str {
        self.modules.get(module).map_or("", |room| &room.place)
    }

    fn arrows(&self) -> Arrows<'_> {
        let mut arrows = Arrows::new();
        for (from, room) in &self.modules {
            let used = used(&room.tokens);
            let by_import = room
                .imports
                .iter()
                .filter(|import| import.alias == "*" || used.contains(import.alias.as_str()))
                .filter(|import| import.alias != "*" || !import.public)
                .map(|import| import.segments.clone());
            let imported: Vec<_> = room
                .imports
                .iter()
                .map(|import| import.alias.as_str())
                .collect();
            let children = declared(&room.tokens);
            let roots: Vec<_> = children
                .iter()
                .map(String::as_str)
                .chain(imported)
                .collect();
            let body = without_imports(&room.tokens);
            let by_path = named(&body, from, &roots)
                .into_iter()
                .filter_map(|path| room.absolute(from, &children, path.segments, &self.modules));
            for path in by_import.chain(by_path) {
                if let Some((to, name)) = self.resolve(&path, HOPS)
                    && !from.starts_with(to)
                {
                    arrows
                        .entry(from)
                        .or_default()
                        .entry(to)
                        .or_default()
                        .insert(name);
                }
            }
        }
        arrows
    }

    /// Follows a path to the file that defines its item.
    fn resolve(&self, path: &[String], hops: usize) -> Option<(&Module, String)> {
        let depth = (0..=path.len()).rev().find(|&depth| {
            path.get(..depth)
                .is_some_and(|module| self.modules.contains_key(module))
        })?;
        let (module, rest) = path.split_at(depth);
        let (module, room) = self.modules.get_key_value(module)?;
        let Some(name) = rest.first() else {
            // A module by itself: what is taken from it is named where it is used.
            return None;
        };
        let further = || {
            let hops = hops.checked_sub(1)?;
            let by_name = room.imports.iter().filter(|import| import.alias == *name);
            let by_star = room.imports.iter().filter(|import| import.alias == "*");
            let mut targets = by_name
                .map(|import| {
                    [
                        import.segments.as_slice(),
                        rest.get(1..).unwrap_or_default(),
                    ]
                    .concat()
                })
                .chain(by_star.map(|import| {
                    let parent = import
                        .segments
                        .split_last()
                        .map_or(&[][..], |(_, parent)| parent);
                    [parent, rest].concat()
                }));
            targets.find_map(|target| {
                self.resolve(&target, hops)
                    .filter(|(to, name)| self.defines(to, name))
            })
        };
        if room.defined.contains(name) {
            return Some((module, name.clone()));
        }
        // Macros that are exported stand at the root, wherever they are written.
        let exported = || {
            let mut rooms = self
                .modules
                .iter()
                .filter(|(_, room)| room.defined.contains(name));
            let room = rooms.next().filter(|_| module.is_empty())?;
            rooms.next().is_none().then(|| (room.0, name.clone()))
        };
        further()
            .or_else(exported)
            .or_else(|| Some((module, name.clone())))
    }

    fn defines(&self, module: &Module, name: &str) -> bool {
        self.modules
            .get(module)
            .is_some_and(|room| room.defined.contains(name))
    }
}

impl Room {
    /// Makes a path of the file absolute: one that begins with a child or an imported module.
    fn absolute(
        &self,
        own: &Module,
        children: &[String],
        path: Vec<String>,
        modules: &BTreeMap<Module, Room>,
    ) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        if children.contains(first) {
            return Some([own.as_slice(), &path].concat());
        }
        match self.imports.iter().find(|import| import.alias == *first) {
            // The import of a type has been counted; that of a module leads on.
            Some(import) => modules
                .contains_key(&import.segments)
                .then(|| [import.segments.as_slice(), rest].concat()),
            None => Some(path),
        }
    }
}

/// All that can be reached from a file along arrows.
fn reached<'a>(arrows: &Arrows<'a>, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(from) = left.pop() {
        let next = arrows.get(from).into_iter().flat_map(BTreeMap::keys);
        left.extend(next.filter(|&to| seen.insert(*to)));
    }
    seen
}

/// The names after `mod`, those with a block left out.
fn declared(tokens: &[Token]) -> Vec<String> {
    let declared = tokens.windows(3).filter_map(|three| match three {
        [keyword, name, end] if keyword.is("mod") && end.is_sign(';') => name.word(),
        _ => None,
    });
    declared.map(str::to_owned).collect()
}

/// The names of the items that a file defines.
fn defined(tokens: &[Token]) -> BTreeSet<String> {
    let pairs = tokens.windows(3).filter_map(|three| match three {
        [keyword, sign, name] if keyword.is("macro_rules") && sign.is_sign('!') => name.word(),
        [keyword, name, _] => ITEMS
            .iter()
            .any(|item| keyword.is(item))
            .then(|| name.word())
            .flatten(),
        _ => None,
    });
    pairs.map(str::to_owned).collect()
}

/// The words of a file outside of its `use` declarations.
fn used(tokens: &[Token]) -> BTreeSet<String> {
    let body = without_imports(tokens);
    let words = body.iter().filter_map(Token::word);
    words.map(str::to_owned).collect()
}

fn without_imports(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut inside = false;
    for token in tokens {
        inside |= token.is("use");
        if !inside {
            kept.push(token.clone());
        }
        inside &= token.kind != Kind::Sign(';');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate whose files are `(path below src, text)`.
    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| {
            (
                module_of(Path::new(path)),
                (*path).to_owned(),
                (*text).to_owned(),
            )
        });
        House::from_files(files.collect()).circles()
    }

    #[test]
    fn two_files_that_name_one_another_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; fn f() { super::a::A::new(); }"),
        ]);
        assert_eq!(
            found,
            ["a circle of 2 files:\n  a.rs -> b.rs: B\n  b.rs -> a.rs: A"]
        );
    }

    #[test]
    fn a_circle_over_three_files_is_one_circle() {
        let found = circles(&[
            ("a.rs", "use crate::b::{B as Other}; struct A(Other);"),
            ("b.rs", "use crate::{c}; struct B(c::C);"),
            ("c.rs", "struct C; impl C { fn f() -> crate::a::A {} }"),
            ("d.rs", "use crate::a::A; struct D(A);"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a circle of 3 files:"), "{found:?}");
    }

    #[test]
    fn names_are_followed_to_their_definition() {
        let files = [
            ("lib.rs", "mod a; pub use a::{One, Two};"),
            (
                "a/mod.rs",
                "mod one; mod two; pub use one::One; pub use two::*;",
            ),
            ("a/one.rs", "use super::Two; pub struct One(Two);"),
            ("a/two.rs", "pub struct Two;"),
        ];
        assert!(circles(&files).is_empty());
        let mut closed = files;
        closed[3].1 = "pub struct Two; fn f(_: crate::One) {}";
        assert_eq!(
            circles(&closed),
            ["a circle of 2 files:\n  a/one.rs -> a/two.rs: Two\n  a/two.rs -> a/one.rs: One"]
        );
    }

    #[test]
    fn a_child_may_name_the_module_that_contains_it() {
        let module = (
            "a/mod.rs",
            "mod one; mod two; pub struct Limit; fn f(_: one::One, _: two::Two) {}",
        );
        let one = ("a/one.rs", "use super::Limit; pub struct One(Limit);");
        assert!(circles(&[module, one]).is_empty());
        let tied = (
            "a/one.rs",
            "use super::{Limit, two::Two}; pub struct One(Limit, Two);",
        );
        let two = (
            "a/two.rs",
            "pub struct Two; fn f() { super::one::One::new() }",
        );
        let found = circles(&[module, tied, two]);
        assert_eq!(
            found,
            ["a circle of 2 files:\n  a/one.rs -> a/two.rs: Two\n  a/two.rs -> a/one.rs: One"]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let found = circles(&[
            (
                "a.rs",
                "use crate::b::B; pub struct A(B); #[cfg(test)] mod tests;",
            ),
            ("a/tests.rs", "use super::A; fn f(_: A) {}"),
            (
                "b.rs",
                "pub struct B; #[cfg(test)] mod tests { use crate::a::A; fn f(_: A) {} }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn exported_macros_belong_to_their_file() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "#[macro_export] macro_rules! make { () => { $crate::b::B } }",
            ),
            ("b.rs", "pub struct B; crate::make!();"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
