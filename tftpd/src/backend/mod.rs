//! Sources of files.
//!
//! A [`Backend`] maps a name to [`Content`], which can be read at any offset. [`FileSystem`] serves
//! a directory, [`Memory`] a set of files, [`Dynamic`] the results of an asynchronous function.
//!
//! ```
//! use std::net::SocketAddr;
//! use tftpd::{Server, backend::{Backend, Content, OpenError, Opened}, policy::Name};
//!
//! /// Serves each client its own address.
//! struct Whoami;
//!
//! impl Backend for Whoami {
//!     fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError> {
//!         match name.as_bytes() {
//!             b"whoami" => Ok(Content::from(client.ip().to_string()).into()),
//!             _ => Err(OpenError::NotFound),
//!         }
//!     }
//! }
//!
//! let server = Server::builder().backend(Whoami).build()?;
//! # let _ = server; Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

/// A source of files. The engine's thread calls the methods, so they must not block.
pub trait Backend: Send + Sync + 'static {
    /// Opens the file `name` for `client`.
    ///
    /// # Errors
    /// [`OpenError`], which determines the ERROR packet and the log record.
    fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError>;

    /// Begins an upload of `client` under `name`; `announced` is the size in bytes of the client's
    /// `tsize`, if it sent one. The default denies all uploads.
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

/// Bytes that can be read at any offset, repeatedly: lost packets are read again.
pub trait ReadAt: Send + Sync {
    /// Fills the slices in order from `offset` bytes after the beginning, and returns the bytes
    /// read. Fewer bytes than the slices hold mean that the content ends there.
    ///
    /// # Errors
    /// The error of the system; the transfer ends.
    fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize>;
}

/// The result of opening a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Opened {
    /// The content.
    Ready(Content),
    /// The content is being prepared; see [`pending`].
    Pending(Pending),
}

impl From<Content> for Opened {
    fn from(content: Content) -> Self {
        Self::Ready(content)
    }
}

/// A file opened for one transfer, with a size that is fixed for that transfer.
#[derive(Clone)]
pub struct Content {
    reader: Arc<dyn ReadAt>,
    size: Option<u64>,
}

impl Content {
    /// Returns content of `size` bytes, read through `reader`.
    pub fn new(reader: Arc<dyn ReadAt>, size: u64) -> Self {
        Self {
            reader,
            size: Some(size),
        }
    }

    /// Returns content that ends at the first short read of `reader`. No `tsize` is sent.
    pub fn with_unknown_size(reader: Arc<dyn ReadAt>) -> Self {
        Self { reader, size: None }
    }

    /// Returns the size in bytes, if known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Reads as [`ReadAt::read_at`] does.
    ///
    /// # Errors
    /// The error of the reader.
    pub fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        self.reader.read_at(slices, offset)
    }
}

impl<B: Into<Vec<u8>>> From<B> for Content {
    /// Returns content held in memory.
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

/// The reason why a file cannot be opened for reading or writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no file of that name.
    #[error("not found")]
    NotFound,
    /// Access to the file is denied.
    #[error("permission denied")]
    Denied,
    /// The name is that of a directory, a device, a socket or a pipe.
    #[error("not a regular file")]
    NotAFile,
    /// Uploads are not allowed.
    #[error("read-only")]
    ReadOnly,
    /// The upload cannot be stored.
    #[error(transparent)]
    Store(StoreError),
    /// The name is longer than the file system allows.
    #[error("name too long")]
    NameTooLong,
    /// This process or machine lacks descriptors or memory. No answer is sent, so that the client
    /// repeats its request.
    #[error("out of resources: {0}")]
    Busy(io::Error),
    /// Any other error of the system.
    #[error("{0}")]
    Io(io::Error),
}

impl OpenError {
    /// Returns the code for the client; `None` if no answer is sent and the client will repeat its
    /// request.
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
