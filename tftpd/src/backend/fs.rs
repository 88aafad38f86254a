//! Files below one directory, and nothing outside it.

mod fold;
mod upload;

use std::{
    collections::HashMap,
    fs::{File, Metadata},
    io,
    io::IoSliceMut,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag},
    unistd::AccessFlags,
};

use super::{Backend, Content, OpenError, Opened, ReadAt, Upload};
use crate::policy::Name;
use upload::FileUpload;
pub use upload::{Overwrite, UploadPolicy};

/// A backend that serves a directory.
///
/// The kernel confines every look-up to the root (`openat2` with `RESOLVE_IN_ROOT`, Linux 5.6): an
/// absolute name, `..` or a symbolic link cannot lead out, even if the tree changes during the
/// look-up. Transfers of the same file share one descriptor, and each continues to read the file
/// that it opened if another is renamed over it. Overwriting a file in place, with as many bytes or
/// fewer, ends the transfers that read it, so that no client receives a mix of two versions. Bytes
/// appended during a transfer are not sent.
#[derive(Debug)]
pub struct FileSystem {
    root: OwnedFd,
    open: Mutex<HashMap<Identity, Weak<OpenFile>>>,
    uploads: Option<Uploads>,
    ignore_case: bool,
}

#[derive(Debug)]
struct Uploads {
    /// The directory for uploads, if it is not the root.
    directory: Option<OwnedFd>,
    policy: UploadPolicy,
}

impl FileSystem {
    /// Returns a backend for the files below `root`.
    ///
    /// # Errors
    /// [`RootError`] if the directory does not exist or this user cannot enter it.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, RootError> {
        let root = directory(root.as_ref())?;
        Ok(Self {
            root,
            open: Mutex::default(),
            uploads: None,
            ignore_case: false,
        })
    }

    /// Finds files whose names differ from the request in nothing but the case of letters, if
    /// exactly one does: the Windows boot manager asks for `\\Boot\\BCD`. An exact match costs no
    /// directory scan.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self {
            ignore_case: true,
            ..self
        }
    }

    /// Allows uploads below the root.
    #[must_use]
    pub fn with_uploads(self, policy: UploadPolicy) -> Self {
        Self {
            uploads: Some(Uploads {
                directory: None,
                policy,
            }),
            ..self
        }
    }

    /// Allows uploads below `directory`, which is not served.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_uploads_to(
        self,
        directory: impl AsRef<Path>,
        policy: UploadPolicy,
    ) -> Result<Self, RootError> {
        let directory = Some(self::directory(directory.as_ref())?);
        Ok(Self {
            uploads: Some(Uploads { directory, policy }),
            ..self
        })
    }

    fn find(&self, name: &Name) -> nix::Result<File> {
        let exact = open_below(&self.root, name.as_bytes());
        match exact {
            Err(Errno::ENOENT) if self.ignore_case => {
                let name = fold::spelling(&self.root, name).ok_or(Errno::ENOENT)?;
                open_below(&self.root, &name)
            }
            _ => exact,
        }
    }

    /// Returns the shared descriptor for all transfers of the same version of a file.
    fn share(&self, file: File, identity: Identity) -> Arc<OpenFile> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(&identity).and_then(Weak::upgrade) {
            return shared;
        }
        if open.len() == open.capacity() {
            open.retain(|_, file| file.strong_count() > 0);
        }
        let file = Arc::new(OpenFile {
            file,
            version: identity,
        });
        open.insert(identity, Arc::downgrade(&file));
        file
    }
}

impl Backend for FileSystem {
    fn open_read(&self, name: &Name, _client: SocketAddr) -> Result<Opened, OpenError> {
        let file = self.find(name).map_err(open_error)?;
        let metadata = file.metadata().map_err(OpenError::Io)?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile);
        }
        let identity = Identity::from_metadata(&metadata);
        Ok(Content::new(self.share(file, identity), identity.size).into())
    }

    fn open_write(
        &self,
        name: &Name,
        _client: SocketAddr,
        announced: Option<u64>,
    ) -> Result<Box<dyn Upload>, OpenError> {
        let Uploads { directory, policy } = self.uploads.as_ref().ok_or(OpenError::ReadOnly)?;
        let root = directory.as_ref().unwrap_or(&self.root);
        Ok(Box::new(FileUpload::begin(root, name, announced, *policy)?))
    }
}

/// The reason why a directory cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// There is no such directory.
    #[error("the directory {0:?} does not exist")]
    NotFound(PathBuf),
    /// The path is not a directory.
    #[error("{0:?} is not a directory")]
    NotADirectory(PathBuf),
    /// This user cannot enter the directory.
    #[error("the directory {0:?} cannot be entered: permission denied")]
    Denied(PathBuf),
    /// Any other error of the system.
    #[error("the directory {path:?} cannot be opened")]
    Io {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The identity of one version of a file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Identity {
    fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
        }
    }
}

/// A file, and the version that was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    version: Identity,
}

impl OpenFile {
    /// Returns true if the bytes up to the size at opening are those of one version. The kernel sets
    /// the modification time before it writes the bytes, so a check after the read detects every
    /// change.
    fn is_of_one_version(&self) -> io::Result<bool> {
        let now = Identity::from_metadata(&self.file.metadata()?);
        Ok(now == self.version || now.size > self.version.size)
    }
}

impl ReadAt for OpenFile {
    fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let at = offset.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let read = match slices {
            [slice] => nix::sys::uio::pread(&self.file, slice, at)?,
            slices => nix::sys::uio::preadv(&self.file, slices, at)?,
        };
        // Checking once, at the end, is enough: before it the client's file is incomplete. A file
        // that fits into one read is of one version.
        let is_end = offset > 0 && offset + read as u64 >= self.version.size;
        if is_end && !self.is_of_one_version()? {
            return Err(io::Error::other("the file was changed while it was read"));
        }
        Ok(read)
    }
}

/// Opens a directory that this user may enter.
fn directory(path: &Path) -> Result<OwnedFd, RootError> {
    let fail = |reason: fn(PathBuf) -> RootError| reason(path.to_owned());
    let opened = open_root(path).and_then(|root| {
        nix::unistd::faccessat(&root, c".", AccessFlags::X_OK, AtFlags::AT_EACCESS)?;
        Ok(root)
    });
    opened.map_err(|errno| match errno {
        Errno::ENOENT => fail(RootError::NotFound),
        Errno::ENOTDIR => fail(RootError::NotADirectory),
        Errno::EACCES | Errno::EPERM => fail(RootError::Denied),
        other => RootError::Io {
            path: path.to_owned(),
            source: other.into(),
        },
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the door to the directory that is served"
)]
fn open_root(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty())
}

/// Non-blocking, so that a pipe without a writer does not hold the engine.
fn open_below(root: &OwnedFd, name: &[u8]) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    openat2(root, name, how(flags)).map(File::from)
}

/// Returns the flags of every look-up: confined to the root, without magic links.
fn how(flags: OFlag) -> OpenHow {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    OpenHow::new().flags(flags).resolve(resolve)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the door to the files that are served"
)]
fn openat2(root: &OwnedFd, name: &[u8], how: OpenHow) -> nix::Result<OwnedFd> {
    nix::fcntl::openat2(root, name, how)
}

fn open_error(errno: Errno) -> OpenError {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::EINVAL => OpenError::NotFound,
        Errno::EACCES | Errno::EPERM | Errno::ELOOP | Errno::EXDEV => OpenError::Denied,
        // A socket, or a device without a driver.
        Errno::ENXIO | Errno::ENODEV => OpenError::NotAFile,
        Errno::ENAMETOOLONG => OpenError::NameTooLong,
        // EAGAIN: the tree changed under the look-up (openat2(2)).
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN => {
            OpenError::Busy(errno.into())
        }
        other => OpenError::Io(other.into()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files")]
mod tests;
