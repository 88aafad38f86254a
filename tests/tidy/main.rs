//! Rules of the workspace that a scan of its sources can check: layers, circles between files, effects,
//! lengths, language, packages, and the dependencies of the pure parts. Starts only cargo and git.

mod arrows;
mod circles;
mod doors;
mod enums;
mod language;
mod packages;
mod paths;
mod text;
mod tokens;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tests::host;
use tests::process::Process;

use arrows::{CRATES, TFTPD, Table, violations, wrong_arrows};

/// Limit for one cargo command: a clean build of the pure parts takes 20 s on two processors, 30 times
/// that covers a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// The public crates, by package name.
const PACKAGES: &[&str] = &["eport-core", "eport-tftpd", "rpc-portmap"];

/// Dependencies that the pure parts must not have: runtime, sockets, command line, randomness.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "mio",
    "socket2",
    "nix",
    "clap",
    "tracing",
    "getrandom",
];

#[test]
fn every_module_names_only_modules_it_may_name() {
    let wrong: Vec<_> = CRATES
        .iter()
        .flat_map(|table| violations(table, &host::workspace().join(table.folder)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_of_the_tables_is_used() {
    let unused: Vec<_> = CRATES
        .iter()
        .flat_map(|table| arrows::unused(table, &host::workspace().join(table.folder)))
        .collect();
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

#[test]
fn an_arrow_without_a_use_and_a_row_without_a_module_are_found() {
    let table = Table {
        folder: "tftpd",
        modules: &[("proto", &["policy"]), ("carrier", &[])],
    };
    let folder = host::workspace().join("tftpd");
    let unused = arrows::unused(&table, &folder);
    assert_eq!(unused.len(), 1, "{unused:?}");
    assert!(
        unused[0].contains("proto may name policy and does not"),
        "{unused:?}"
    );
    let lost = violations(&table, &folder);
    assert!(
        lost.contains(&"tftpd: the table names carrier, which does not exist".to_owned()),
        "{lost:?}"
    );
}

#[test]
fn a_wrong_import_is_caught_however_it_is_written() {
    let module = ["proto".to_owned(), "packet".to_owned()];
    for source in [
        "use crate::engine::Engine;",
        "use crate::{proto::mode, engine};",
        "use super::super::server::Server;",
        "fn f() { crate::net::send() }",
        "use eport_core::Lease;",
        "use crate::Server;",
        "use crate::*;",
        "mod tests { use super::super::super::engine::Slab; }",
    ] {
        let wrong = wrong_arrows(&[], &module, source, "tftpd/src/proto/packet.rs");
        assert_eq!(wrong.len(), 1, "{source}: {wrong:?}");
        assert!(
            wrong[0].starts_with("tftpd/src/proto/packet.rs:1: proto names "),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_wrong_import_planted_in_a_copy_of_the_crate_is_caught() {
    let copy = Copy::new(&TFTPD);
    copy.plant(
        "src/proto/mod.rs",
        "use crate::{policy::printable, proto::Packet};\n",
    );
    let wrong = copy.new_violations();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].contains("proto names policy::printable; it may name nothing but itself"),
        "{wrong:?}"
    );
}

#[test]
fn a_new_module_must_be_entered_in_the_table() {
    let copy = Copy::new(&TFTPD);
    copy.plant("src/surprise.rs", "//! A module.\n");
    let wrong = copy.new_violations();
    assert_eq!(
        wrong,
        ["tftpd/src/surprise.rs: module surprise is not in the table of tests/tidy/arrows.rs"]
    );
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let sources = text::tracked(host::workspace());
    let sources = sources
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let found = sources.flat_map(|file| {
        text::too_long(
            &file.display().to_string(),
            &host::read_text(&host::workspace().join(file)),
        )
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_tracked_file_holds_an_unwanted_word() {
    let files = text::tracked(host::workspace());
    let found = files.iter().flat_map(|file| {
        text::unwanted(
            &file.display().to_string(),
            &host::read_text(&host::workspace().join(file)),
        )
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_pure_parts_build_without_runtime_sockets_and_command_line() {
    for package in PACKAGES {
        let tree = cargo(&format!(
            "tree --quiet -p {package} --no-default-features -e normal --prefix none --locked"
        ));
        let crates: Vec<_> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(crates.first(), Some(package), "{tree}");
        let impure: Vec<_> = crates.iter().filter(|name| IMPURE.contains(name)).collect();
        assert!(
            impure.is_empty(),
            "{package} depends on {impure:?}:\n{tree}"
        );
        cargo(&format!(
            "check -p {package} --no-default-features --lib --locked --quiet"
        ));
    }
}

#[track_caller]
fn cargo(arguments: &str) -> String {
    let program = host::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut command = Command::new(program);
    Process::run(
        command
            .args(arguments.split_whitespace())
            .current_dir(host::workspace()),
        PATIENCE,
    )
}

/// A copy of a crate's sources, for planted violations.
struct Copy {
    table: &'static Table,
    folder: TempDir,
}

impl Copy {
    fn new(table: &'static Table) -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let original = host::workspace().join(table.folder);
        for file in arrows::rust_files(&original.join("src")) {
            let relative = file
                .strip_prefix(&original)
                .expect("it lies below the folder");
            host::write(&folder.path().join(relative), host::read(&file));
        }
        Self { table, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Appends a line to a file of the copy, or makes one.
    fn plant(&self, file: &str, line: &str) {
        let path = self.folder.path().join(file);
        let before = if fs::exists(&path).unwrap_or(false) {
            host::read_text(&path)
        } else {
            String::new()
        };
        host::write(Path::new(&path), before + line);
    }

    /// Returns the violations in the copy that the original lacks.
    fn new_violations(&self) -> Vec<String> {
        let before = violations(self.table, &host::workspace().join(self.table.folder));
        let mut now = violations(self.table, self.folder.path());
        now.retain(|line| !before.contains(line));
        now
    }
}
