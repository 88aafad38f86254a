//! What can be checked without running anything.

use std::process::{Command, Stdio};

use crate::steps::{self, Steps};

/// Format, clippy with all features and with none, documentation, and the dependencies' licences
/// and sources. All of it runs, whatever fails.
pub(crate) fn run(steps: &mut Steps) {
    let mut check = |name, arguments: &str| {
        steps.step(name, || {
            steps::run(steps::cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))
        });
    };
    check("format", "fmt --all --check");
    check(
        "clippy",
        "clippy --workspace --all-targets --all-features -- -D warnings",
    );
    check(
        "clippy, bare",
        "clippy --workspace --exclude tests --lib --no-default-features -- -D warnings",
    );
    check("documentation", "doc --workspace --no-deps --all-features");
    steps.step("dependencies", dependencies);
}

/// Advisories are left out: their list cannot be fetched everywhere, and a new one must not turn a
/// change red that did not cause it.
fn dependencies() -> Result<String, String> {
    let mut version = steps::cargo("deny --version");
    if !succeeds(&mut version) {
        steps::run(&mut steps::cargo("install --locked cargo-deny"))?;
    }
    steps::run(&mut steps::cargo(
        "deny --config .cargo/deny.toml check bans licenses sources",
    ))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
