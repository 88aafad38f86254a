//! Errors of accepting a request, and their answers to the client.

use crate::{
    backend::{OpenError, Pending, StoreError},
    engine::record::Rejection,
    policy::{PolicyError, explain::RewriteError},
    proto::ErrorCode,
};

/// An error of accepting a request.
pub(super) enum AcceptError {
    /// The request is rejected.
    Rejected(RequestError),
    /// The same request may be accepted a little later.
    Busy(Rejection),
    /// The content is pending in the backend.
    Pending(Pending),
}

/// A rejection with its answer.
pub(super) struct RequestError {
    pub(super) reason: Rejection,
    /// The code of the ERROR; `None` for no answer.
    pub(super) code: Option<ErrorCode>,
    /// The text of the ERROR, if it differs from that of the RFC.
    pub(super) text: Option<Vec<u8>>,
    /// See [`Record::file`](crate::engine::record::Record::file).
    pub(super) file: Option<Box<[u8]>>,
}

impl RequestError {
    pub(super) const fn new(reason: Rejection, code: Option<ErrorCode>) -> Self {
        Self {
            reason,
            code,
            text: None,
            file: None,
        }
    }
}

impl AcceptError {
    /// Returns a rejection that is answered with `code` and the text of the RFC.
    pub(super) const fn rejected(reason: Rejection, code: ErrorCode) -> Self {
        Self::Rejected(RequestError::new(reason, Some(code)))
    }

    /// Completes a rejection with the name of the file. `is_quiet` keeps a missing file out of the
    /// log.
    pub(super) fn with_file(self, file: Option<Box<[u8]>>, is_quiet: bool) -> Self {
        match self {
            Self::Rejected(error) => {
                let reason = match error.reason {
                    Rejection::NotFound if is_quiet => Rejection::QuietlyNotFound,
                    reason => reason,
                };
                Self::Rejected(RequestError {
                    reason,
                    file,
                    ..error
                })
            }
            other => other,
        }
    }
}

impl From<Rejection> for AcceptError {
    /// The error of a channel that cannot be opened, for which the client gets no answer.
    fn from(reason: Rejection) -> Self {
        match reason {
            Rejection::NoPort | Rejection::Busy => Self::Busy(reason),
            _ => Self::Rejected(RequestError::new(reason, None)),
        }
    }
}

impl From<OpenError> for AcceptError {
    fn from(error: OpenError) -> Self {
        let reason = match &error {
            OpenError::NotFound | OpenError::NameTooLong => Rejection::NotFound,
            OpenError::Denied | OpenError::Store(StoreError::Denied) => Rejection::Permission,
            OpenError::NotAFile => Rejection::NotAFile,
            OpenError::ReadOnly => Rejection::ReadOnly,
            OpenError::Store(StoreError::Exists) => Rejection::Exists,
            OpenError::Store(StoreError::DiskFull) => Rejection::DiskFull,
            OpenError::Store(StoreError::TooLarge { .. }) => Rejection::TooLarge,
            OpenError::Busy(_) => return Self::Busy(Rejection::Busy),
            OpenError::Store(StoreError::Io(_)) | OpenError::Io(_) => Rejection::Io,
        };
        Self::Rejected(RequestError::new(reason, error.wire_code()))
    }
}

impl From<PolicyError> for AcceptError {
    fn from(error: PolicyError) -> Self {
        let reason = match &error {
            PolicyError::Network(_) => Rejection::DeniedByAcl,
            PolicyError::Rules(RewriteError::NoName(_)) | PolicyError::Name(_) => {
                Rejection::BadName
            }
            PolicyError::Rules(_) => Rejection::DeniedByRule,
        };
        Self::Rejected(RequestError {
            text: Some(error.text().to_vec()),
            ..RequestError::new(reason, Some(error.code()))
        })
    }
}
