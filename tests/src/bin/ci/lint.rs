//! Checks that run no test.

use std::process::{Command, Stdio};

use tempfile::TempDir;
use tests::host;

use crate::steps::{self, Steps};

/// The packages that are published, each after those it depends on.
const PACKAGES: &[&str] = &["eport-core", "eport-tftpd", "rpc-portmap"];

/// The version of every package of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

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

/// Packs the crates and checks each from its archive, against the archives of the others: a file that
/// a manifest leaves out fails here. `cargo package` could verify by itself, but it unpacks a version
/// only once into the registry's cache, so that a second run would check against outdated sources.
fn packages() -> Result<String, String> {
    let pack = "package --quiet --workspace --exclude tests --offline --allow-dirty --no-verify";
    steps::run(&mut steps::cargo(pack))?;
    let profile = host::build_folder();
    let target = profile.parent().unwrap_or(&profile);
    let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
    let unpacked = |name| folder.path().join(format!("{name}-{VERSION}"));
    for name in PACKAGES {
        let archive = target.join(format!("package/{name}-{VERSION}.crate"));
        let mut unpack = Command::new("tar");
        unpack.arg("-xzf").arg(archive).arg("-C").arg(folder.path());
        steps::run(&mut unpack)?;
    }
    for name in PACKAGES {
        let mut check = steps::cargo("check --quiet --offline --all-features");
        check
            .arg("--manifest-path")
            .arg(unpacked(name).join("Cargo.toml"));
        for other in PACKAGES.iter().filter(|other| *other != name) {
            let patch = format!(
                "patch.crates-io.{other}.path='{}'",
                unpacked(other).display()
            );
            check.arg("--config").arg(patch);
        }
        // The workspace's setting, which an archive does not hold: dependencies are built once.
        check.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        steps::run(check.arg("--target-dir").arg(target))?;
    }
    Ok(String::new())
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
