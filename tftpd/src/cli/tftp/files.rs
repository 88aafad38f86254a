//! Local files of the client: one function for each effect on the file system.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempPath;
use tokio::fs::{self, File, OpenOptions};

/// Opens a file that exists.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that opens local files"
)]
pub(super) async fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(path).await
}

/// Returns the target of a symbolic link, or the path itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that follows links"
)]
pub(super) async fn follow(path: PathBuf) -> PathBuf {
    let metadata = fs::symlink_metadata(&path).await;
    if metadata.is_ok_and(|metadata| metadata.is_symlink()) {
        fs::canonicalize(&path).await.unwrap_or(path)
    } else {
        path
    }
}

/// Returns true if the path is a directory.
pub(super) async fn is_directory(path: &Path) -> bool {
    metadata(path).await.is_ok_and(|there| there.is_dir())
}

/// Returns true if the path is something that a file must not replace: a device, a pipe.
pub(super) async fn is_special(path: &Path) -> bool {
    let there = metadata(path).await;
    there.is_ok_and(|there| !there.is_file() && !there.is_dir())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads metadata"
)]
async fn metadata(path: &Path) -> io::Result<std::fs::Metadata> {
    fs::metadata(path).await
}

/// Creates a file beside `output`, with the permissions of a new file. It is removed when the path is
/// dropped without being persisted.
#[expect(
    clippy::disallowed_methods,
    reason = "the one function that creates temporary files"
)]
pub(super) fn temporary(output: &Path) -> io::Result<(File, TempPath)> {
    let directory = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // The process's umask applies.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .prefix(".tftp-")
        .permissions(permissions)
        .tempfile_in(directory)?;
    let (file, path) = file.into_parts();
    Ok((File::from_std(file), path))
}
