//! The file system effects of the portmapper: the state file and its replacement.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::geteuid;

/// The longest state file that is read, in bytes: far more than the registry holds.
const LONGEST: u64 = 64 << 20;

/// The reason why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system returned an error.
    #[error("cannot use the state file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is writable by other users, owned by another user, or not a regular file.
    #[error("the state file {path} can be written by other users")]
    WritableByOthers {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a state file; empty if there is none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    let failed = |source| StateError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let meta = file.metadata().map_err(failed)?;
    let trusted_owner = meta.uid() == geteuid().as_raw() || meta.uid() == 0;
    if !meta.is_file() || !trusted_owner || meta.mode() & 0o022 != 0 {
        return Err(StateError::WritableByOthers {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Replaces a file atomically by one with these bytes, and keeps it open for appending. The
/// directory is created if needed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    if let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_directory(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = open(&new, &mut options)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    rename(&new, path)?;
    Ok(file)
}

/// Reads a small file of the system; `None` if it cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's configuration"
)]
pub(crate) fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that creates directories"
)]
fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755).create(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that opens files"
)]
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that renames files"
)]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}
