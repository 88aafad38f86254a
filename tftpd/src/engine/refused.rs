//! Requests that become no transfer, and why.

use eport_core::LeaseError;

use crate::{
    backend::{OpenError, Pending, StoreError},
    net::Arrival,
    policy::{PolicyError, explain::RewriteError},
    proto::ErrorCode,
};

use super::{
    reception::Reception,
    record::{Record, Refusal},
};

/// A request that becomes no transfer.
pub(super) struct No {
    pub(super) refusal: Refusal,
    /// What the client is told, if anything.
    pub(super) code: Option<ErrorCode>,
    /// In which words, if not those of the RFC.
    pub(super) text: Option<Vec<u8>>,
    /// The content is being made: it is no refusal yet.
    pub(super) later: Option<Pending>,
    /// See [`Record::file`].
    pub(super) file: Option<Box<[u8]>>,
}

impl No {
    /// A request that is met with silence.
    pub(super) const fn silently(refusal: Refusal) -> Self {
        Self {
            refusal,
            code: None,
            text: None,
            later: None,
            file: None,
        }
    }

    /// A request that is answered with an ERROR in the words of the RFC.
    pub(super) fn told(refusal: Refusal, code: ErrorCode) -> Self {
        Self {
            code: Some(code),
            ..Self::silently(refusal)
        }
    }

    /// A request that has to wait for its content.
    pub(super) fn later(later: Pending) -> Self {
        Self {
            later: Some(later),
            ..Self::silently(Refusal::Busy)
        }
    }

    /// A file that could not be opened.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
    pub(super) fn of_open(error: OpenError) -> Self {
        Self {
            code: error.wire_code(),
            ..Self::silently(Refusal::from_open(&error))
        }
    }

    /// A request that the policy turns away.
    pub(super) fn turned(turned: &PolicyError) -> Self {
        let refusal = match turned {
            PolicyError::Network(_) => Refusal::DeniedByAcl,
            PolicyError::Rules(RewriteError::NoName(_)) | PolicyError::Name(_) => Refusal::BadName,
            _ => Refusal::DeniedByRule,
        };
        Self {
            text: Some(turned.text().to_vec()),
            ..Self::told(refusal, turned.code())
        }
    }

    /// That a file is missing is nothing to report.
    pub(super) fn quietly(self) -> Self {
        let refusal = match self.refusal {
            Refusal::NotFound => Refusal::QuietlyNotFound,
            other => other,
        };
        Self { refusal, ..self }
    }

    /// Whether the same request may become a transfer a little later.
    pub(super) const fn is_temporary(&self) -> bool {
        matches!(self.refusal, Refusal::NoPort | Refusal::Busy)
    }

    /// What is to be said of it; nothing if the request makes no sense.
    pub(super) fn into_record(self, arrival: &Arrival<'_>) -> Option<Record> {
        let record = Reception::turned_away(arrival, self.refusal)?;
        Some(Record {
            file: self.file,
            ..record
        })
    }
}

impl Refusal {
    pub(super) fn from_open(error: &OpenError) -> Self {
        match error {
            OpenError::NotFound | OpenError::NameTooLong => Self::NotFound,
            OpenError::Denied | OpenError::Store(StoreError::Denied) => Self::Permission,
            OpenError::NotAFile => Self::NotAFile,
            OpenError::ReadOnly => Self::ReadOnly,
            OpenError::Store(StoreError::Exists) => Self::Exists,
            OpenError::Store(StoreError::DiskFull) => Self::DiskFull,
            OpenError::Store(StoreError::TooLarge { .. }) => Self::TooLarge,
            OpenError::Busy(_) => Self::Busy,
            OpenError::Store(StoreError::Io(_)) | OpenError::Io(_) => Self::Io,
        }
    }

    pub(super) fn from_lease(error: &LeaseError) -> Self {
        match error {
            LeaseError::Exhausted { .. } => Self::NoPort,
            LeaseError::NoDescriptors { .. } | LeaseError::NoMemory { .. } => Self::Busy,
            _ => Self::Io,
        }
    }
}
