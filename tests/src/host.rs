//! Effects of the suites: clock, files, environment. One function per effect.

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

/// Reads an environment variable; an empty value counts as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the bytes of a file.
///
/// # Panics
/// If the file cannot be read.
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
/// If it cannot be opened.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that opens files"
)]
pub fn open(path: &Path) -> fs::File {
    fs::File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

/// Reads the text of a file and replaces bytes that are not UTF-8.
///
/// # Panics
/// If the file cannot be read.
#[track_caller]
pub fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&read(path)).into_owned()
}

/// Writes a file, and creates the missing folders above it.
///
/// # Panics
/// If the folders or the file cannot be written.
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

/// Writes a sparse file of this size, and creates the missing folders above it.
///
/// # Panics
/// If the folders or the file cannot be written.
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

/// Binds a UDP socket to a port that the kernel chooses.
///
/// # Panics
/// If the address is not local.
#[track_caller]
pub fn udp_socket(address: IpAddr) -> UdpSocket {
    udp_socket_at(SocketAddr::new(address, 0))
}

/// Binds a UDP socket to this port; for port 0 the kernel chooses.
///
/// # Panics
/// If the address is not local, or the port is in use.
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
/// If the file is missing or cannot be written.
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

/// Renames a file and replaces an existing one of that name.
///
/// # Panics
/// If the file is missing.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that renames files"
)]
pub fn rename(from: &Path, to: &Path) {
    fs::rename(from, to)
        .unwrap_or_else(|error| panic!("cannot rename {}: {error}", from.display()));
}

/// Returns pseudo-random bytes (xorshift, seeded by the length): a lost or repeated block changes
/// them.
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

/// Lists the files in a folder, sorted by name; none if the folder is missing.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// Returns true if the suite runs as root: namespaces, taps and ports below 1024 need it.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Polls `ready` every 5 ms until it returns true: for programs without a readiness signal. Returns
/// false after the limit.
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

/// Returns the folder of the workspace.
///
/// # Panics
/// Never: the package is one level below it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies inside the workspace")
}

/// Returns the folder that cargo builds this profile into, with the binaries of the workspace.
///
/// # Panics
/// If the running program has no path.
pub fn build_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    // Tests are in `deps`, programs beside it.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.to_owned()
}

/// Returns the SHA-256 of a file in hex, computed by `sha256sum` of the coreutils.
///
/// # Panics
/// If `sha256sum` cannot read the file.
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
