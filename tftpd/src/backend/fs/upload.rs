//! Files that are written: beside their name first, under it when they are whole.

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

/// What may be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UploadPolicy {
    /// Whether files may be made that are not there yet.
    pub create: bool,
    /// What happens to a file of the same name.
    pub overwrite: Overwrite,
    /// The largest file in bytes.
    pub max_size: u64,
    /// Permissions of new files; the process's umask takes away what it always does.
    pub mode: u32,
}

impl Default for UploadPolicy {
    /// New files of at most 1 GiB, readable by all; none is replaced.
    fn default() -> Self {
        Self {
            create: true,
            overwrite: Overwrite::Never,
            max_size: 1 << 30,
            mode: 0o644,
        }
    }
}

/// What happens to a file when another is uploaded under its name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overwrite {
    /// It stays; the upload is refused with code 6.
    Never,
    /// It is replaced in one step.
    Always,
    /// It is kept as `NAME.~1~`, `NAME.~2~` and so on, and the new one takes its name in one step.
    Versioned,
}

/// Bytes gathered before they are written.
const GATHERED: usize = 64 * 1024;
/// How many old versions of a file are kept.
const VERSIONS: u32 = 10_000;

/// A file under a name of its own until it is whole.
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
    /// Begins a file that is to be called `name`.
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

    /// Gives the file its name. Readers see the old file or the new one, and nothing between.
    fn publish(&self) -> nix::Result<()> {
        match self.policy.overwrite {
            // Unlike a rename, a second name for a file never takes the place of another's.
            Overwrite::Never => return self.link(&self.temporary, &self.name),
            Overwrite::Always => {}
            Overwrite::Versioned => self.keep_old()?,
        }
        let directory = &self.directory;
        renameat2(
            directory,
            &*self.temporary,
            directory,
            &*self.name,
            RenameFlags::empty(),
        )
    }

    /// Gives the file that is there another name beside its own.
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
    fn drop(&mut self) {
        // After a rename there is none of that name any more.
        let _ = unlinkat(
            &self.directory,
            &*self.temporary,
            UnlinkatFlags::NoRemoveDir,
        );
    }
}

/// Whether the policy lets `name` be written, as things are now. What is decided at the end is
/// decided again there, by the kernel.
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

/// Whether the file system has room for `size` bytes more; yes if it does not say.
fn has_room(directory: &OwnedFd, size: u64) -> bool {
    match nix::sys::statvfs::fstatvfs(directory) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()) >= size,
        Err(_) => true,
    }
}

/// A name that no other upload of this process has; one of another process makes `O_EXCL` fail.
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
