//! Uploads.

use std::io;

use super::OpenError;
use crate::proto::ErrorCode;

/// An upload. It becomes visible when it is [committed](Self::commit); dropped before that, it
/// leaves no file and replaces none.
pub trait Upload: Send {
    /// Appends the next bytes. The engine's thread calls this about once per window.
    ///
    /// # Errors
    /// [`StoreError`]; an ERROR is sent and the transfer ends.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Makes the complete file durable and gives it its name. The client's last block is
    /// acknowledged after this has returned. A thread that may wait for the disk calls this.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// The reason why an upload cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full, or this user's quota is used up.
    #[error("no space left")]
    DiskFull,
    /// The upload is larger than allowed.
    #[error("larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// There is a file of that name, and it may not be replaced.
    #[error("the file exists already")]
    Exists,
    /// Access is denied.
    #[error("permission denied")]
    Denied,
    /// Any other error of the system.
    #[error("{0}")]
    Io(io::Error),
}

impl StoreError {
    /// Returns the code for the client.
    pub fn wire_code(&self) -> ErrorCode {
        match self {
            Self::DiskFull | Self::TooLarge { .. } => ErrorCode::DiskFull,
            Self::Exists => ErrorCode::FileExists,
            Self::Denied => ErrorCode::AccessViolation,
            Self::Io(_) => ErrorCode::NotDefined,
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied,
            _ => Self::Io(error),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Denied => Self::Denied,
            StoreError::Io(error) => Self::Io(error),
            other => Self::Store(other),
        }
    }
}
