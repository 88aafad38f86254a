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

/// Serves a directory.
///
/// The kernel itself keeps every look-up inside the root (`openat2` with `RESOLVE_IN_ROOT`, Linux
/// 5.6): an absolute name, `..` or a symbolic link cannot lead out, whatever happens to the tree
/// meanwhile. Transfers of the same file share one descriptor, and each goes on reading the file
/// it began with when another is renamed over it. One that is written over in its place, with as
/// many bytes or fewer, ends the transfers that read it: no client is given parts of two versions
/// as a whole. What is appended meanwhile is left out.
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
    /// Serves what is below `root`.
    ///
    /// # Errors
    /// [`RootError`] if there is no such directory or it cannot be read by this user.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, RootError> {
        let root = directory(root.as_ref())?;
        Ok(Self {
            root,
            open: Mutex::default(),
            uploads: None,
            ignore_case: false,
        })
    }

    /// Finds files whose names differ from what is asked for in nothing but the case of letters,
    /// where that is unambiguous: the Windows boot manager asks for `\\Boot\\BCD`. What is spelled
    /// alike costs nothing more.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self {
            ignore_case: true,
            ..self
        }
    }

    /// Lets clients write files below the root.
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

    /// Lets clients write files below `directory`, from where they cannot be read.
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

    /// One descriptor for all transfers of the same version of a file.
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
        let identity = Identity::of(&metadata);
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

/// Why a directory cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// There is no such directory.
    #[error("the directory {0:?} does not exist")]
    NotFound(PathBuf),
    /// It is something else.
    #[error("{0:?} is not a directory")]
    NotADirectory(PathBuf),
    /// This user may not enter it.
    #[error("the directory {0:?} cannot be entered: permission denied")]
    Denied(PathBuf),
    /// Anything else that the system says.
    #[error("the directory {path:?} cannot be opened")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
        }
    }
}

/// A file, and which version of it was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    version: Identity,
}

impl OpenFile {
    /// Whether the bytes up to the size it was opened with are those of one version. The kernel
    /// sets the time before it writes the bytes, so whoever reads first and asks afterwards cannot
    /// miss a change.
    fn is_of_one_version(&self) -> io::Result<bool> {
        let now = Identity::of(&self.file.metadata()?);
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
        // Nobody has the file as a whole before its end: asking once is enough.
        if offset + read as u64 >= self.version.size && !self.is_of_one_version()? {
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

/// How every look-up is done: it does not lead out of the root.
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
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const CLIENT: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2070);

    fn open(fs: &FileSystem, name: &str) -> Result<Content, OpenError> {
        let opened = fs.open_read(
            &Name::from_request(name.as_bytes()).expect("a name"),
            CLIENT,
        )?;
        match opened {
            Opened::Now(content) => Ok(content),
            Opened::Later(_) => panic!("a file is there at once"),
        }
    }

    fn read(content: &Content) -> Vec<u8> {
        let mut bytes = vec![0; 100];
        let read = content
            .read_at(&mut [IoSliceMut::new(&mut bytes)], 0)
            .expect("readable");
        bytes.truncate(read);
        bytes
    }

    #[test]
    fn a_file_is_served_with_its_size_and_a_link_inside_the_root_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("grub")).expect("made");
        fs::write(dir.path().join("grub/x64.efi"), "loader").expect("written");
        symlink("/grub/x64.efi", dir.path().join("link")).expect("linked");
        let fs = FileSystem::new(dir.path()).expect("a root");
        for name in ["grub/x64.efi", "/grub/x64.efi", "link"] {
            let content = open(&fs, name).expect(name);
            assert_eq!(
                (content.size(), read(&content)),
                (Some(6), b"loader".to_vec()),
                "{name}"
            );
        }
    }

    #[test]
    fn no_link_and_no_dots_lead_out_of_the_root() {
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("secret"), "s").expect("written");
        let dir = tempfile::tempdir().expect("a directory");
        symlink(outside.path().join("secret"), dir.path().join("out")).expect("linked");
        symlink(
            format!(
                "../{}/secret",
                outside.path().file_name().expect("named").display()
            ),
            dir.path().join("up"),
        )
        .expect("linked");
        let fs = FileSystem::new(dir.path()).expect("a root");
        for name in ["out", "up"] {
            assert!(
                matches!(open(&fs, name), Err(OpenError::NotFound)),
                "{name}"
            );
        }
    }

    #[test]
    fn only_regular_files_are_served_and_a_pipe_holds_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("sub")).expect("made");
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        let fs = FileSystem::new(dir.path()).expect("a root");
        for name in ["sub", "pipe"] {
            assert!(
                matches!(open(&fs, name), Err(OpenError::NotAFile)),
                "{name}"
            );
        }
        assert!(matches!(open(&fs, "sub/missing"), Err(OpenError::NotFound)));
    }

    #[test]
    fn transfers_share_a_descriptor_until_the_file_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("image"), "old").expect("written");
        let fs = FileSystem::new(dir.path()).expect("a root");
        let (first, second) = (
            open(&fs, "image").expect("there"),
            open(&fs, "image").expect("there"),
        );
        assert!(Arc::ptr_eq(&first.reader, &second.reader), "one descriptor");
        fs::write(dir.path().join("new"), "newer").expect("written");
        fs::rename(dir.path().join("new"), dir.path().join("image")).expect("renamed");
        let third = open(&fs, "image").expect("there");
        assert_eq!(
            (read(&first), read(&third)),
            (b"old".to_vec(), b"newer".to_vec())
        );
    }

    #[test]
    fn a_file_that_is_changed_in_its_place_is_never_read_to_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("image");
        fs::write(&path, "first version").expect("written");
        let fs = FileSystem::new(dir.path()).expect("a root");
        let content = open(&fs, "image").expect("there");
        let mut part = [0; 6];
        let read_part = |part: &mut [u8]| content.read_at(&mut [IoSliceMut::new(part)], 0);
        assert_eq!(read_part(&mut part).expect("readable"), 6);
        fs::write(&path, "other version").expect("written");
        let mut rest = [0; 20];
        let error = content
            .read_at(&mut [IoSliceMut::new(&mut rest)], 6)
            .expect_err("it has changed");
        assert!(error.to_string().contains("was changed"), "{error}");
        assert_eq!(read(&open(&fs, "image").expect("there")), b"other version");
    }

    #[test]
    fn what_is_appended_to_a_file_does_not_spoil_what_was_there() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, "one\n").expect("written");
        let fs = FileSystem::new(dir.path()).expect("a root");
        let content = open(&fs, "log").expect("there");
        let mut file = File::options().append(true).open(&path).expect("there");
        file.write_all(b"two\n").expect("written");
        assert_eq!(content.size(), Some(4));
        assert_eq!(read(&content).get(..4), Some(&b"one\n"[..]));
    }

    #[test]
    fn case_is_ignored_only_on_request_and_only_where_it_is_clear_what_is_meant() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("boot")).expect("made");
        for name in ["boot/bcd", "boot/two", "boot/Two"] {
            fs::write(dir.path().join(name), name).expect("written");
        }
        let strict = FileSystem::new(dir.path()).expect("a root");
        assert!(matches!(
            open(&strict, r"\Boot\BCD"),
            Err(OpenError::NotFound)
        ));
        let fs = strict.ignoring_case();
        assert_eq!(read(&open(&fs, r"\Boot\BCD").expect("there")), b"boot/bcd");
        assert_eq!(read(&open(&fs, "boot/Two").expect("there")), b"boot/Two");
        assert!(
            matches!(open(&fs, "BOOT/TWO"), Err(OpenError::NotFound)),
            "which one is meant?"
        );
        assert!(matches!(open(&fs, "boot/three"), Err(OpenError::NotFound)));
    }

    #[test]
    fn a_root_that_cannot_be_served_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("file"), "").expect("written");
        assert!(matches!(
            FileSystem::new(dir.path().join("none")),
            Err(RootError::NotFound(_))
        ));
        assert!(matches!(
            FileSystem::new(dir.path().join("file")),
            Err(RootError::NotADirectory(_))
        ));
    }
}
