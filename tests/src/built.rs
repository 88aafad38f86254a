//! Paths of the workspace's binaries, built from the current sources.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::host;
use crate::process::Process;

/// Enough for a clean build on two shared processors.
const PATIENCE: Duration = Duration::from_secs(900);

/// Returns the path of a binary of the workspace.
///
/// The first call runs `cargo build` for all of them, into the folder and with the profile of the
/// running test: otherwise a test that runs alone would start an outdated binary, or find none.
///
/// # Panics
/// If the workspace does not build, or has no such binary.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(build).join(name);
    assert!(path.is_file(), "the workspace has no binary {name}");
    path
}

fn build() -> PathBuf {
    let folder = host::build_folder();
    let cargo = host::variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--all-features",
            "--bins",
        ])
        .current_dir(host::workspace());
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    Process::run(&mut command, PATIENCE);
    folder
}
