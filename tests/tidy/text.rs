//! Limits and words, over every file that git tracks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::tests::host;
use ::tests::process::Process;

use crate::arrows::rust_files;
use crate::tokens::{Kind, Token, test_items, tokens};

/// The longest file and the longest function of Rust, in lines.
const FILE: usize = 600;
const FUNCTION: usize = 60;

/// The files that git tracks below a folder.
///
/// # Panics
/// When the folder is not under git.
#[track_caller]
pub(crate) fn tracked(folder: &Path) -> Vec<PathBuf> {
    let list = Process::run(
        Command::new("git").arg("ls-files").current_dir(folder),
        Duration::from_secs(20),
    );
    let files: Vec<_> = list
        .lines()
        .map(PathBuf::from)
        .filter(|file| folder.join(file).is_file())
        .collect();
    assert!(
        !files.is_empty(),
        "git tracks no file below {}",
        folder.display()
    );
    files
}

/// The modules below a folder that only tests compile (`#[cfg(test)] mod tests;`), as paths without
/// an extension.
pub(crate) fn test_modules(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in rust_files(folder) {
        let tokens = tokens(&host::read_text(&file));
        let folder = match file.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => file.parent().unwrap_or(&file).to_owned(),
            _ => file.with_extension(""),
        };
        let items = test_items(&tokens);
        let items = items.iter().filter_map(|item| tokens.get(item.clone()));
        let modules = items.flat_map(|item| item.windows(3)).filter(
            |three| matches!(three, [keyword, _, end] if keyword.is("mod") && end.is_sign(';')),
        );
        found.extend(modules.filter_map(|three| Some(folder.join(three.get(1)?.word()?))));
    }
    found
}

/// Describes a source file and functions that are too long.
pub(crate) fn too_long(place: &str, source: &str) -> Vec<String> {
    let lines = source.lines().count();
    let file = (lines > FILE).then(|| format!("{place}: {lines} lines; a file has {FILE} at most"));
    let functions = functions(&tokens(source))
        .into_iter()
        .filter(|(_, _, lines)| *lines > FUNCTION);
    let functions = functions.map(|(name, line, lines)| {
        format!("{place}:{line}: {name} has {lines} lines; a function has {FUNCTION} at most")
    });
    file.into_iter().chain(functions).collect()
}

/// Words that no tracked file may hold: work put off, tests switched off, and folders of one machine.
pub(crate) fn unwanted(place: &str, text: &str) -> Vec<String> {
    // Put together here, so that this file does not hold them.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ign", "ore"],
        ["todo", "!("],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/wo", "rk/"],
    ];
    let words = words.map(|halves| halves.concat());
    let in_line = |(number, line): (usize, &str)| {
        let found = words
            .iter()
            .filter(|word| holds(line, word))
            .map(|word| format!("{place}:{number}: {word}"));
        found.collect::<Vec<_>>()
    };
    (1..).zip(text.lines()).flat_map(in_line).collect()
}

/// Returns true if a line holds the word, not as a part of a longer one.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|after| after.chars().next());
        let part =
            |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let ends_in_word = word.chars().next_back().is_some_and(char::is_alphanumeric);
        !(part(before) || ends_in_word && part(after))
    })
}

/// Every function with a body: its name, its first line, and how many lines it has.
fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let starts = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is("fn"));
    starts
        .filter_map(|(at, start)| {
            let name = tokens.get(at + 1)?.word()?;
            let last = body_end(tokens.get(at + 2..)?)?;
            Some((name.to_owned(), start.line, last - start.line + 1))
        })
        .collect()
}

/// The line of the `}` that closes the first block; `None` where a `;` comes before it.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Sign('(' | '[') => brackets += 1,
            Kind::Sign(')' | ']') => brackets = brackets.saturating_sub(1),
            Kind::Sign(';') if depth == 0 && brackets == 0 => return None,
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_their_name_to_their_last_brace() {
        let source = "trait T { fn a(&self); }\nfn b() -> [u8; 2] {\n  if x {\n  }\n}\nlet c: fn(u8) = d;\nfn e() {}\n";
        let found = functions(&tokens(source));
        assert_eq!(found, [("b".to_owned(), 2, 4), ("e".to_owned(), 7, 1)]);
    }

    #[test]
    fn a_long_function_and_a_long_file_are_named() {
        let source = format!("fn long() {{\n{}}}\n", "call();\n".repeat(FILE));
        let found = too_long("a.rs", &source);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[1].starts_with("a.rs:1: long has 602 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn unwanted_words_are_found_and_longer_ones_left_alone() {
        let todo = ["TO", "DO"].concat();
        assert_eq!(
            unwanted("a", &format!("// {todo}: later")),
            [format!("a:1: {todo}")]
        );
        assert!(unwanted("a", &format!("{todo}S MAS{todo}N /srv/ro{}", "ot/x")).is_empty());
        assert_eq!(unwanted("a", &format!("see /ho{}x", "me/")).len(), 1);
    }
}
