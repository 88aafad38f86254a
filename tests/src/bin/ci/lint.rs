//! Checks that run no test.

use std::process::{Command, Stdio};

use crate::steps::{self, Steps};

/// Checks format, clippy with all features and with none, documentation, the packages as a registry
/// would get them, and the licences and sources of the dependencies. A failed check does not stop
/// the others.
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
    steps.step("packages", packages);
    steps.step("dependencies", dependencies);
}

/// Packs the three crates and builds each from its archive, against the archives of the others: a
/// file that a manifest leaves out fails here. The workspace's debug setting, which an archive does
/// not hold, lets all of them share the built dependencies.
fn packages() -> Result<String, String> {
    let arguments = "package --quiet --workspace --exclude tests --offline --allow-dirty";
    steps::run(steps::cargo(arguments).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only"))
}

/// Checks bans, licences and sources. Advisories are left out: their list cannot be fetched
/// everywhere, and a new one must not fail a change that did not cause it.
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
