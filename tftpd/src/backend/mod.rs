//! Where files come from.
//!
//! A [`Backend`] turns a name into [`Content`]: something that can be read at any offset.
//! [`FileSystem`] serves a directory, [`Memory`] a set of files, [`Dynamic`] what a function of
//! yours makes for each client.

mod fs;
mod memory;
mod pending;
mod upload;

use std::{fmt, io, io::IoSliceMut, net::SocketAddr, sync::Arc};

pub use fs::{FileSystem, Overwrite, RootError, UploadPolicy};
pub use memory::Memory;
pub use pending::{ContentSender, Dynamic, Pending, pending};
pub use upload::{StoreError, Upload};

use crate::{policy::Name, proto::ErrorCode};

/// A source of files. Called from the engine's thread: answer at once, never block.
pub trait Backend: Send + Sync + 'static {
    /// Opens the file that `client` asks for by `name`.
    ///
    /// # Errors
    /// [`OpenError`], which decides what the client and the log are told.
    fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError>;

    /// Begins the file that `client` wants to write as `name`; `announced` is how many bytes it
    /// says they are, if it does. By default nothing may be written.
    ///
    /// # Errors
    /// As [`open_read`](Self::open_read).
    fn open_write(
        &self,
        name: &Name,
        client: SocketAddr,
        announced: Option<u64>,
    ) -> Result<Box<dyn Upload>, OpenError> {
        let _ = (name, client, announced);
        Err(OpenError::ReadOnly)
    }
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError> {
        (**self).open_read(name, client)
    }

    fn open_write(
        &self,
        name: &Name,
        client: SocketAddr,
        announced: Option<u64>,
    ) -> Result<Box<dyn Upload>, OpenError> {
        (**self).open_write(name, client, announced)
    }
}

/// Bytes that can be read at any offset, as often as packets get lost.
pub trait ReadAt: Send + Sync {
    /// Fills the slices in order with what is at `offset` bytes from the beginning. Fewer bytes
    /// than the slices hold mean that the content ends there.
    ///
    /// # Errors
    /// What the system says; the transfer ends.
    fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize>;
}

/// What opening a file gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum Opened {
    /// The content.
    Ready(Content),
    /// The content is being made; see [`pending`].
    Pending(Pending),
}

impl From<Content> for Opened {
    fn from(content: Content) -> Self {
        Self::Ready(content)
    }
}

/// A file opened for one transfer: what it is, and how large it is for all of that transfer.
#[derive(Clone)]
pub struct Content {
    reader: Arc<dyn ReadAt>,
    size: Option<u64>,
}

impl Content {
    /// Content of `size` bytes that `reader` reads.
    pub fn new(reader: Arc<dyn ReadAt>, size: u64) -> Self {
        Self {
            reader,
            size: Some(size),
        }
    }

    /// Content that ends where `reader` reads less than it is asked for. No size is announced.
    pub fn of_unknown_size(reader: Arc<dyn ReadAt>) -> Self {
        Self { reader, size: None }
    }

    /// In bytes, if that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// See [`ReadAt::read_at`].
    ///
    /// # Errors
    /// What the reader says.
    pub fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        self.reader.read_at(slices, offset)
    }
}

impl<B: Into<Vec<u8>>> From<B> for Content {
    /// Content that is held in memory.
    fn from(bytes: B) -> Self {
        let bytes = memory::Bytes::from(bytes.into());
        let size = bytes.len();
        Self::new(Arc::new(bytes), size)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Why a file cannot be read, or not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none of that name.
    #[error("not found")]
    NotFound,
    /// It may not be read.
    #[error("permission denied")]
    Denied,
    /// It is a directory, a device, a socket or a pipe.
    #[error("not a regular file")]
    NotAFile,
    /// Nothing may be written here.
    #[error("read-only")]
    ReadOnly,
    /// It cannot be stored.
    #[error(transparent)]
    Store(StoreError),
    /// The name is longer than the file system allows.
    #[error("name too long")]
    NameTooLong,
    /// This process or machine has run short of something. The client is told nothing, so that it
    /// asks again.
    #[error("out of resources: {0}")]
    Busy(io::Error),
    /// Anything else that the system says.
    #[error("{0}")]
    Io(io::Error),
}

impl OpenError {
    /// What the client is told; `None`: nothing, it will ask again.
    ///
    /// Only 1 and 2 are final for all firmware: U-Boot starts over on any other code.
    pub fn wire_code(&self) -> Option<ErrorCode> {
        match self {
            Self::NotFound | Self::NameTooLong => Some(ErrorCode::FileNotFound),
            Self::Denied | Self::NotAFile | Self::ReadOnly | Self::Io(_) => {
                Some(ErrorCode::AccessViolation)
            }
            Self::Store(error) => Some(error.wire_code()),
            Self::Busy(_) => None,
        }
    }
}
