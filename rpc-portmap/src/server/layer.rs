//! What surrounds all procedures of a server: access, limits, counters, logs.

use std::fmt;

use super::caller::Caller;
use crate::rpc::{Procedure, Program, RpcError, Version};

/// Sees every call before and after it is carried out.
///
/// The layers that were added first see a call first and its outcome last.
pub trait Layer: Send + Sync + 'static {
    /// Whether a datagram is looked at, before anything of it is. What is not is dropped. (Callers
    /// on streams are slowed down by their transport and are not asked about.)
    fn accepts_datagram(&self, caller: &Caller) -> bool {
        let _ = caller;
        true
    }

    /// Whether the call may go on.
    ///
    /// # Errors
    /// [`Rejection`] with what the caller is told.
    fn before(&self, caller: &Caller, request: &Request) -> Result<(), Rejection> {
        let _ = (caller, request);
        Ok(())
    }

    /// Learns what became of a call that [`before`](Self::before) let go on.
    fn after(&self, caller: &Caller, request: &Request, outcome: Outcome) {
        let _ = (caller, request, outcome);
    }

    /// Whether a reply of so many bytes may be sent by datagram for a request of so many bytes,
    /// whose sender may have forged its address.
    fn allows_reply(&self, caller: &Caller, request_bytes: usize, reply_bytes: usize) -> bool {
        let _ = (caller, request_bytes, reply_bytes);
        true
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The procedure.
    pub procedure: Procedure,
    /// The whole message, in bytes.
    pub bytes: usize,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered with results of so many bytes.
    Done {
        /// The results, in bytes.
        bytes: usize,
    },
    /// It was answered with an error.
    Failed(RpcError),
    /// It was not answered.
    Silent,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { bytes } => write!(f, "answered with {bytes} bytes"),
            Self::Failed(error) => write!(f, "refused: {error}"),
            Self::Silent => f.write_str("not answered"),
        }
    }
}

/// A call that is not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// The caller is told why.
    Error(RpcError),
    /// The caller is told nothing.
    Silent,
}

impl From<RpcError> for Rejection {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}
