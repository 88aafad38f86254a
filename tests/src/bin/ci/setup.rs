//! Installs the third-party programs that the suites need, from Debian's packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::host;
use tests::peers::{self, How, Peer};

use crate::steps::{self, Steps};

/// Installs or unpacks the missing programs. Without root or `apt-get` it prints the commands to run
/// instead; suites that miss a program fail later.
pub(crate) fn run(steps: &mut Steps) {
    steps.step("set-up", || {
        let missing: Vec<_> = peers::ALL
            .iter()
            .filter(|peer| peers::find(peer.program).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(format!("all {} programs are here", peers::ALL.len()));
        }
        if !host::is_root() || peers::find("apt-get").is_none() {
            return Ok(format!("missing; as root on Debian: {}", advice(&missing)));
        }
        bring(&missing)?;
        still_missing()?;
        Ok(format!(
            "brought: {}",
            packages(missing.iter().copied()).join(" ")
        ))
    });
}

fn bring(missing: &[&Peer]) -> Result<(), String> {
    steps::run(apt_get().arg("update"))?;
    let installed = packages(
        missing
            .iter()
            .copied()
            .filter(|peer| peer.how == How::Installed),
    );
    if !installed.is_empty() {
        steps::run(
            apt_get()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(installed),
        )?;
    }
    missing
        .iter()
        .filter(|peer| peer.how != How::Installed)
        .try_for_each(|peer| unpack(peer))
}

/// Downloads a package and unpacks it below the build folder, without running its install scripts.
fn unpack(peer: &Peer) -> Result<(), String> {
    let target = peers::unpacked(peer.package);
    let package = match peer.how {
        How::UnpackedDependency => dependency(peer.package)?,
        How::Python => return from_python(peer.package, &target),
        How::Unpacked | How::Installed => peer.package.to_owned(),
    };
    let downloads = target.join("downloads");
    fs::create_dir_all(&downloads)
        .map_err(|error| format!("cannot make {}: {error}", downloads.display()))?;
    steps::run(
        apt_get()
            .args(["download", &package])
            .current_dir(&downloads),
    )?;
    for archive in host::files_in(&downloads)
        .iter()
        .filter(|file| is_of(file, &package))
    {
        steps::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .args([archive, &target]),
        )?;
    }
    fs::remove_dir_all(&downloads)
        .map_err(|error| format!("cannot remove {}: {error}", downloads.display()))
}

fn from_python(package: &str, target: &Path) -> Result<(), String> {
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--no-deps", "--target"])
        .arg(target)
        .arg(package);
    steps::run(&mut pip).map(drop)
}

/// Returns the first dependency of a metapackage: the package of the current version.
fn dependency(package: &str) -> Result<String, String> {
    let output = Command::new("apt-cache")
        .args(["depends", "--important", package])
        .output();
    let output = output.map_err(|error| format!("apt-cache cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let name = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "));
    name.map(str::to_owned)
        .ok_or_else(|| format!("{package} depends on nothing; is it known to apt-cache?"))
}

fn still_missing() -> Result<(), String> {
    let missing: Vec<_> = peers::ALL
        .iter()
        .filter(|peer| peers::find(peer.program).is_none())
        .collect();
    let named: Vec<_> = missing
        .iter()
        .map(|peer| format!("{} (of {})", peer.program, peer.package))
        .collect();
    if named.is_empty() {
        Ok(())
    } else {
        Err(format!("still missing: {}", named.join(", ")))
    }
}

/// Builds an `apt-get` that waits for the lock of another package manager instead of failing.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args([
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "APT::Sandbox::User=root",
    ]);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn advice(missing: &[&Peer]) -> String {
    let installed = packages(
        missing
            .iter()
            .copied()
            .filter(|peer| peer.how == How::Installed),
    );
    let unpacked = packages(
        missing
            .iter()
            .copied()
            .filter(|peer| peer.how != How::Installed),
    );
    let install =
        (!installed.is_empty()).then(|| format!("apt-get install {}", installed.join(" ")));
    let unpack =
        (!unpacked.is_empty()).then(|| format!("cargo ci setup (unpacks {})", unpacked.join(" ")));
    install
        .into_iter()
        .chain(unpack)
        .collect::<Vec<_>>()
        .join(" && ")
}

fn packages<'a>(peers: impl Iterator<Item = &'a Peer>) -> Vec<&'static str> {
    peers.map(|peer| peer.package).collect()
}

fn is_of(archive: &Path, package: &str) -> bool {
    archive
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{package}_")))
}
