//! A minimal Linux system: busybox and one script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tests::process::Process;
use tests::{host, peers};

/// Packs an initial file system whose first program prints a marker on the console and turns the
/// machine off.
///
/// # Panics
/// When `cpio` fails.
#[track_caller]
pub(crate) fn archive(marker: &str) -> Vec<u8> {
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let tree = folder.path().join("tree");
    program(
        &tree.join("bin/busybox"),
        &host::read(&peers::path("busybox")),
    );
    let script =
        format!("#!/bin/busybox sh\n/bin/busybox echo {marker}\n/bin/busybox poweroff -f\n");
    program(&tree.join("init"), script.as_bytes());
    // The kernel opens the console before the script can make it.
    fs::create_dir(tree.join("dev")).expect("the folder is new");
    let console = tree.join("dev/console");
    Process::run(
        Command::new("mknod").arg(console).args(["c", "5", "1"]),
        Duration::from_secs(5),
    );

    let archive = folder.path().join("archive");
    let mut pack = Command::new("sh");
    pack.args([
        "-c",
        "find . | cpio --quiet --create --format=newc > ../archive",
    ])
    .current_dir(tree);
    Process::run(&mut pack, Duration::from_secs(20));
    host::read(&archive)
}

fn program(path: &Path, bytes: &[u8]) {
    host::write(path, bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file was made here");
}
