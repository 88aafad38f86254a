//! The doors of the suites: clock, files, environment. One function per effect, nothing else.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that reads the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Reads a variable of the environment; one that is empty counts as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The bytes of a file.
///
/// # Panics
/// When the file cannot be read.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that reads files"
)]
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Opens a file for reading.
///
/// # Panics
/// When it cannot be opened.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that opens files"
)]
pub fn open(path: &Path) -> fs::File {
    fs::File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

/// The text of a file, with anything that is not UTF-8 replaced.
///
/// # Panics
/// When the file cannot be read.
#[track_caller]
pub fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&read(path)).into_owned()
}

/// Writes a file, and the folders above it where they are missing.
///
/// # Panics
/// When the folders or the file cannot be written.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that writes files"
)]
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    }
    fs::write(path, bytes)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Writes a file of zeros, which takes no room on most file systems, and the folders above it.
///
/// # Panics
/// When the folders or the file cannot be written.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that makes files of a size"
)]
pub fn write_zeros(path: &Path, size: u64) {
    write(path, []);
    let file = fs::OpenOptions::new().write(true).open(path);
    let sized = file.and_then(|file| file.set_len(size));
    sized.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// A UDP socket on a port of the kernel's choice, for a test that speaks for itself.
///
/// # Panics
/// When the address is none of this machine's.
#[track_caller]
pub fn udp_socket(address: IpAddr) -> UdpSocket {
    udp_socket_at(SocketAddr::new(address, 0))
}

/// A UDP socket on this port, or on one of the kernel's choice where it is 0.
///
/// # Panics
/// When the address is none of this machine's, or the port is taken.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that makes sockets"
)]
pub fn udp_socket_at(address: SocketAddr) -> UdpSocket {
    UdpSocket::bind(address).unwrap_or_else(|error| panic!("cannot bind {address}: {error}"))
}

/// Appends bytes to a file.
///
/// # Panics
/// When there is no such file, or it cannot be written.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that changes files"
)]
pub fn append(path: &Path, bytes: &[u8]) {
    let file = fs::OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Gives a file another name, in place of what has that name now.
///
/// # Panics
/// When there is no such file.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that renames files"
)]
pub fn rename(from: &Path, to: &Path) {
    fs::rename(from, to)
        .unwrap_or_else(|error| panic!("cannot rename {}: {error}", from.display()));
}

/// Bytes without a pattern that a lost or repeated block could hide in: xorshift, seeded by the
/// length.
pub fn patternless(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (length as u64);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words
        .take(length.div_ceil(8))
        .flatten()
        .take(length)
        .collect()
}

/// The files in a folder, sorted by name; none where there is no such folder.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// Whether the suite runs as root: namespaces, taps and ports below 1024 need it.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Waits until `ready` says yes, asking every few milliseconds: for programs of others that do not
/// say themselves when they are ready. Returns false when the time is up.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let start = now();
    while start.elapsed() < limit {
        if ready() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// The folder of the workspace.
///
/// # Panics
/// Never: the package lies one level below it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies inside the workspace")
}

/// The folder cargo builds this profile into, where the binaries of the workspace lie.
///
/// # Panics
/// When the running program has no path.
pub fn build_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    // Tests lie in `deps`, programs beside it.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.to_owned()
}

/// The SHA-256 of a file in hex, as `sha256sum` of the coreutils computes it.
///
/// # Panics
/// When `sha256sum` cannot read the file.
#[track_caller]
pub fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg("--binary")
        .arg(path)
        .output()
        .expect("coreutils has sha256sum");
    assert!(
        output.status.success(),
        "sha256sum: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}
