//! Uploads into a directory: under a temporary name first, renamed when complete.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, RenameFlags, renameat2},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use super::super::{OpenError, StoreError, Upload};
use super::{how, open_error, openat2};
use crate::policy::Name;

/// The rules for uploads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UploadPolicy {
    /// Set to allow new files.
    pub create: bool,
    /// The treatment of a file of the same name.
    pub overwrite: Overwrite,
    /// The largest file in bytes.
    pub max_size: u64,
    /// Permission bits of new files, reduced by the process's umask.
    pub mode: u32,
}

impl Default for UploadPolicy {
    /// Returns rules for new files of at most 1 GiB, readable by all; none is replaced.
    fn default() -> Self {
        Self {
            create: true,
            overwrite: Overwrite::Never,
            max_size: 1 << 30,
            mode: 0o644,
        }
    }
}

/// The treatment of a file when another is uploaded under its name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overwrite {
    /// The file stays; the upload is refused with code 6.
    Never,
    /// The file is replaced atomically.
    Always,
    /// The file is kept as `NAME.~1~`, `NAME.~2~` and so on, and replaced atomically.
    Versioned,
}

/// Bytes buffered before a write.
const GATHERED: usize = 64 * 1024;
/// The most old versions of a file.
const VERSIONS: u32 = 10_000;

/// An upload under a temporary name until it is complete.
pub(super) struct FileUpload {
    directory: OwnedFd,
    file: File,
    temporary: Vec<u8>,
    name: Vec<u8>,
    policy: UploadPolicy,
    gathered: Vec<u8>,
    size: u64,
}

impl FileUpload {
    /// Begins the upload of `name`.
    pub(super) fn begin(
        root: &OwnedFd,
        name: &Name,
        announced: Option<u64>,
        policy: UploadPolicy,
    ) -> Result<Self, OpenError> {
        let limit = policy.max_size;
        if announced.is_some_and(|size| size > limit) {
            return Err(StoreError::TooLarge { limit }.into());
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let parent = name.parent().unwrap_or(b".");
        let directory = openat2(root, parent, how(flags)).map_err(open_error)?;
        check(&directory, name.file_name(), policy)?;
        if announced.is_some_and(|size| !has_room(&directory, size)) {
            return Err(StoreError::DiskFull.into());
        }
        let temporary = temporary_name();
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat2(
            &directory,
            &temporary,
            how(flags).mode(Mode::from_bits_truncate(policy.mode)),
        )
        .map_err(store_error)?;
        Ok(Self {
            directory,
            file: file.into(),
            temporary,
            name: name.file_name().to_vec(),
            policy,
            gathered: Vec::new(),
            size: 0,
        })
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        self.file.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// Gives the file its name. Readers see the old file or the new one, never a part.
    fn publish(&self) -> nix::Result<()> {
        match self.policy.overwrite {
            // Unlike a rename, a hard link never replaces a file.
            Overwrite::Never => return self.link(&self.temporary, &self.name),
            Overwrite::Always => {}
            Overwrite::Versioned => self.keep_old()?,
        }
        self.rename()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one function that renames files"
    )]
    fn rename(&self) -> nix::Result<()> {
        let directory = &self.directory;
        renameat2(
            directory,
            &*self.temporary,
            directory,
            &*self.name,
            RenameFlags::empty(),
        )
    }

    /// Links the existing file to the next free version name.
    fn keep_old(&self) -> nix::Result<()> {
        for version in 1..=VERSIONS {
            let old = [&self.name[..], format!(".~{version}~").as_bytes()].concat();
            match self.link(&self.name, &old) {
                Err(Errno::EEXIST) => {}
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
        Err(Errno::EEXIST)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one function that links files"
    )]
    fn link(&self, from: &[u8], to: &[u8]) -> nix::Result<()> {
        linkat(&self.directory, from, &self.directory, to, AtFlags::empty())
    }
}

impl Upload for FileUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        if self.size > self.policy.max_size {
            return Err(StoreError::TooLarge {
                limit: self.policy.max_size,
            });
        }
        if self.gathered.len() + bytes.len() > GATHERED {
            self.write_gathered()?;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.write_gathered()?;
        self.file.sync_data()?;
        self.publish().map_err(store_error)
    }
}

impl Drop for FileUpload {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one function that removes files"
    )]
    fn drop(&mut self) {
        // Fails after a rename, when the temporary name no longer exists.
        let _ = unlinkat(
            &self.directory,
            &*self.temporary,
            UnlinkatFlags::NoRemoveDir,
        );
    }
}

/// Checks the policy for `name` at the beginning of the upload. At the end the kernel checks again.
fn check(directory: &OwnedFd, name: &[u8], policy: UploadPolicy) -> Result<(), OpenError> {
    let there = openat2(
        directory,
        name,
        how(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC),
    );
    match there {
        Ok(there) => {
            let metadata = File::from(there).metadata().map_err(OpenError::Io)?;
            match policy.overwrite {
                _ if !metadata.is_file() => Err(OpenError::NotAFile),
                Overwrite::Never => Err(StoreError::Exists.into()),
                Overwrite::Always | Overwrite::Versioned => Ok(()),
            }
        }
        Err(Errno::ENOENT) if policy.create => Ok(()),
        Err(other) => Err(open_error(other)),
    }
}

/// Returns true if the file system has room for `size` bytes more, or does not report its room.
fn has_room(directory: &OwnedFd, size: u64) -> bool {
    match nix::sys::statvfs::fstatvfs(directory) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()) >= size,
        Err(_) => true,
    }
}

/// Returns a name that is unique in this process; `O_EXCL` detects one of another process.
fn temporary_name() -> Vec<u8> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".tftp-upload.{}.{number}", process_id()).into_bytes()
}

#[expect(
    clippy::disallowed_methods,
    reason = "names of temporary files differ between processes"
)]
fn process_id() -> u32 {
    std::process::id()
}

fn store_error(errno: Errno) -> StoreError {
    io::Error::from(errno).into()
}
