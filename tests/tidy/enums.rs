//! Public enums: each can grow (`#[non_exhaustive]`), or documents why it is closed.

use ::tests::host;

use crate::arrows::{CRATES, rust_files};
use crate::text::test_modules;
use crate::tokens::{tokens, without_tests};

/// Marks the reason in a doc comment, or in an `#[expect(clippy::exhaustive_enums, reason = …)]`.
const CLOSED: &str = "closed: ";

#[test]
fn every_public_enum_can_grow_or_is_closed_for_a_reason() {
    let mut found = Vec::new();
    for table in CRATES {
        let source = host::workspace().join(table.folder).join("src");
        let tests = test_modules(&source);
        for file in rust_files(&source) {
            let tested = |test: &std::path::PathBuf| {
                file.starts_with(test) || file == test.with_extension("rs")
            };
            if !tests.iter().any(tested) {
                let place = file.strip_prefix(host::workspace()).expect("it is below");
                found.extend(unmarked(
                    &place.display().to_string(),
                    &host::read_text(&file),
                ));
            }
        }
    }
    assert!(
        found.is_empty(),
        "neither #[non_exhaustive] nor \"{CLOSED}…\":\n{}",
        found.join("\n")
    );
}

/// The public enums of a source, outside of its tests, that have neither mark.
fn unmarked(place: &str, source: &str) -> Vec<String> {
    let kept = without_tests(&tokens(source));
    let lines: Vec<&str> = source.lines().collect();
    let enums = kept.windows(3).filter(|three| {
        matches!(three, [visibility, keyword, _] if visibility.is("pub") && keyword.is("enum"))
    });
    let unmarked = enums.filter_map(|three| {
        let (line, name) = (three.first()?.line, three.get(2)?.word()?);
        let head = head(lines.get(..line - 1)?);
        let marked = head
            .iter()
            .any(|line| line.contains("non_exhaustive") || line.to_lowercase().contains(CLOSED));
        (!marked).then(|| format!("{place}:{line}: {name}"))
    });
    unmarked.collect()
}

/// The doc comment and the attributes above an item: the lines up to the item before it.
fn head<'a>(above: &[&'a str]) -> Vec<&'a str> {
    let belongs = |line: &&&str| {
        let line = line.trim();
        !(line.is_empty() || line.ends_with('}') || line.ends_with(';') || line.ends_with('{'))
    };
    above.iter().rev().take_while(belongs).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unmarked_enum_is_found_and_marked_and_private_ones_are_not() {
        let source = "/// A.\npub enum A { B }\n\n/// C.\n#[derive(Debug)]\n#[non_exhaustive]\npub enum C {}\n\n\
            /// D.\n///\n/// Closed: RFC 1350 has two.\n#[derive(Debug)]\npub enum D {}\n\n\
            #[expect(\n    clippy::exhaustive_enums,\n    reason = \"closed: two families\"\n)]\npub enum E {}\n\
            pub(crate) enum F {}\n#[cfg(test)]\nmod tests { pub enum G {} }\n";
        assert_eq!(unmarked("a.rs", source), ["a.rs:2: A"]);
    }
}
