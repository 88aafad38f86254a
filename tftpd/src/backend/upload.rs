//! Files that clients write.

use std::io;

use super::OpenError;
use crate::proto::ErrorCode;

/// A file on its way in. Nobody sees it before it is [committed](Self::commit); dropped before
/// that it leaves nothing behind and replaces nothing.
pub trait Upload: Send {
    /// Takes the next bytes. Called from the engine's thread, once per window or so.
    ///
    /// # Errors
    /// [`StoreError`]; the client is told and the transfer ends.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// The last byte has come: makes the file last and gives it its name. The client's last block
    /// is acknowledged when this has returned. Called from a thread that may wait for the disk.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why a file cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room, or this user's share of it is used up.
    #[error("no space left")]
    DiskFull,
    /// It is larger than allowed.
    #[error("larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// There is a file of that name, and it is to stay.
    #[error("the file exists already")]
    Exists,
    /// It may not be written.
    #[error("permission denied")]
    Denied,
    /// Anything else that the system says.
    #[error("{0}")]
    Io(io::Error),
}

impl StoreError {
    /// What the client is told.
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
