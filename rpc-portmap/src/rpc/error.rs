//! Errors that a reply carries.

use std::fmt;

use super::number::Version;

/// The error in a reply ([RFC 5531 §9](https://www.rfc-editor.org/rfc/rfc5531#section-9):
/// `accept_stat` other than `SUCCESS`, and `reject_stat`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// `PROG_UNAVAIL`: the server does not have the program.
    #[error("the server does not have this program")]
    ProgUnavail,
    /// `PROG_MISMATCH`: the server has the program, but not in this version.
    #[error("the server has versions {low} to {high} of this program only")]
    ProgMismatch {
        /// The lowest version it has.
        low: Version,
        /// The highest one.
        high: Version,
    },
    /// `PROC_UNAVAIL`: the program has no such procedure.
    #[error("the program has no such procedure")]
    ProcUnavail,
    /// `GARBAGE_ARGS`: the arguments cannot be decoded.
    #[error("the server cannot decode the arguments")]
    GarbageArgs,
    /// `SYSTEM_ERR`: the server failed.
    #[error("the server failed for a reason of its own, such as lack of memory")]
    SystemErr,
    /// `RPC_MISMATCH`: the server supports other versions of RPC itself.
    #[error("the server supports RPC versions {low} to {high} only")]
    RpcMismatch {
        /// The lowest version it supports.
        low: u32,
        /// The highest one.
        high: u32,
    },
    /// `AUTH_ERROR`: the server rejects the credential or verifier.
    #[error("the server rejects the credential: {0}")]
    Auth(AuthStat),
}

/// The reason why a credential is rejected (`auth_stat`, §9).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AuthStat {
    /// `AUTH_BADCRED` (1): the credential is malformed.
    BadCred,
    /// `AUTH_REJECTEDCRED` (2): the client must begin a new session, or the flavour is not
    /// supported.
    RejectedCred,
    /// `AUTH_BADVERF` (3): the verifier is malformed.
    BadVerf,
    /// `AUTH_REJECTEDVERF` (4): the verifier is too old or was used before.
    RejectedVerf,
    /// `AUTH_TOOWEAK` (5): rejected for security reasons.
    TooWeak,
    /// Any other number.
    Other(u32),
}

impl AuthStat {
    /// Returns the reason with this number.
    pub const fn from_wire(number: u32) -> Self {
        match number {
            1 => Self::BadCred,
            2 => Self::RejectedCred,
            3 => Self::BadVerf,
            4 => Self::RejectedVerf,
            5 => Self::TooWeak,
            other => Self::Other(other),
        }
    }

    /// Returns the number on the wire.
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::BadCred => 1,
            Self::RejectedCred => 2,
            Self::BadVerf => 3,
            Self::RejectedVerf => 4,
            Self::TooWeak => 5,
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for AuthStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCred => f.write_str("it is malformed"),
            Self::RejectedCred => f.write_str("its kind is not accepted"),
            Self::BadVerf => f.write_str("its verifier is malformed"),
            Self::RejectedVerf => f.write_str("its verifier has expired"),
            Self::TooWeak => f.write_str("it is too weak for this call"),
            Self::Other(number) => write!(f, "reason {number}"),
        }
    }
}
