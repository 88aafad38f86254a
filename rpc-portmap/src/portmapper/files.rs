//! The doors to the file system: one file, and the one that replaces it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::geteuid;

/// The most that is read back, in bytes: far more than the registry holds.
const LONGEST: u64 = 64 << 20;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system refuses.
    #[error("cannot use the state file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else could have written what is in it.
    #[error(
        "the state file {path} can be written by others; remove it, or name another with --state"
    )]
    WritableByOthers {
        /// The file.
        path: PathBuf,
    },
}

/// What a state file holds; nothing if there is none.
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
    let ours = meta.uid() == geteuid().as_raw() || meta.uid() == 0;
    if !meta.is_file() || !ours || meta.mode() & 0o022 != 0 {
        return Err(StateError::WritableByOthers {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Puts a file with these bytes in the place of another one, all at once, and keeps it open to
/// append to. The directory is made if need be.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    if let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755).create(directory)?;
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

/// The text of a small file of the system's; none if it cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's configuration"
)]
pub(crate) fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens files")]
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
