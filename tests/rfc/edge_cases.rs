//! Each test named in the table of edge cases exists.

use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../fixtures/edge-cases.md");
const CASES: usize = 75;

#[test]
fn the_table_has_each_case_once_and_in_order() {
    let numbers: Vec<usize> = rows().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>());
}

#[test]
fn each_case_names_only_tests() {
    for Row { number, evidence } in rows() {
        let parts = evidence.split("<br>").count();
        let tests = tests_in(evidence).count();
        assert_eq!(parts, tests, "case {number} names {evidence:?}");
    }
}

#[test]
fn each_named_test_exists() {
    for row in rows() {
        for name in tests_in(row.evidence) {
            assert!(
                exists(name),
                "case {}: there is no test `{name}`",
                row.number
            );
        }
    }
}

#[test]
fn a_missing_test_is_detected() {
    assert!(exists("rfc::edge_cases::a_missing_test_is_detected"));
    assert!(!exists("rfc::edge_cases::a_missing"));
    assert!(!exists("rfc::rfc1350::a_missing_test_is_detected"));
    assert!(!exists("nowhere::a_missing_test_is_detected"));
    // A helper is not a test.
    assert!(!exists("rfc::edge_cases::exists"));
}

struct Row {
    number: usize,
    evidence: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let number = cells.next()?.parse().ok()?;
        let evidence = cells.nth(1)?;
        Some(Row { number, evidence })
    })
}

/// The names of tests, in backticks.
fn tests_in(evidence: &str) -> impl Iterator<Item = &str> {
    let parts = evidence.split("<br>");
    parts.filter_map(|part| part.strip_prefix('`')?.strip_suffix('`'))
}

/// Returns true if `suite::module::test` exists in the files of its module.
fn exists(name: &str) -> bool {
    let Some((module, test)) = name.rsplit_once("::") else {
        return false;
    };
    files_of(module)
        .iter()
        .filter_map(|file| source(file))
        .any(|text| has_test(&text, test))
}

/// The files that can contain the tests of a module: the module, the file or folder `tests` below it, or,
/// for the suites of tftpd, a file or folder of their own.
fn files_of(module: &str) -> Vec<PathBuf> {
    let (suite, inner) = module.split_once("::").unwrap_or((module, "main"));
    let suites = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tftpd = suites.with_file_name("tftpd");
    let folder = match suite {
        "tftpd" => tftpd.join("src"),
        "eport_core" => suites.with_file_name("eport-core").join("src"),
        _ => suites.join(suite),
    };
    let path = folder.join(inner.replace("::", "/"));
    let mut files = folder_of(&path.join("tests"));
    files.extend([
        path.with_extension("rs"),
        path.join("tests.rs"),
        tftpd
            .join("tests")
            .join(module.replace("::", "/"))
            .with_extension("rs"),
    ]);
    files
}

/// Returns true if a function of that name is marked as a test, or has arguments of `proptest!`.
fn has_test(text: &str, name: &str) -> bool {
    let Some((before, after)) = text.split_once(&format!("fn {name}(")) else {
        return false;
    };
    let before = before.trim_end();
    let before = before.strip_suffix("async").unwrap_or(before).trim_end();
    let marked = before.ends_with("#[test]") || before.ends_with("#[tokio::test]");
    let arguments = after.split(") ").next().unwrap_or_default();
    marked || arguments.contains(" in ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "compares the table with the sources"
)]
fn source(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

/// The files in a folder, if it exists.
fn folder_of(path: &Path) -> Vec<PathBuf> {
    let entries = path.read_dir().into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}
