//! Layers around all procedures of a server: access, limits, counters, logs.

use std::fmt;

use super::caller::Caller;
use crate::rpc::{Procedure, Program, RpcError, Version};

/// An observer and filter of every call, before and after it is carried out.
///
/// Layers added first see a call first and its outcome last.
pub trait Layer: Send + Sync + 'static {
    /// Returns true if a datagram of this caller is decoded; otherwise it is dropped. Callers on
    /// streams are slowed down by the transport and are not passed to this method.
    fn accepts_datagram(&self, caller: &Caller) -> bool {
        let _ = caller;
        true
    }

    /// Passes a call on, or rejects it.
    ///
    /// # Errors
    /// [`Rejection`] with the error to send, or without an answer.
    fn before(&self, caller: &Caller, request: &Request) -> Result<(), Rejection> {
        let _ = (caller, request);
        Ok(())
    }

    /// Receives the outcome of a call that [`before`](Self::before) passed.
    fn after(&self, caller: &Caller, request: &Request, outcome: Outcome) {
        let _ = (caller, request, outcome);
    }

    /// Returns true if a reply of `reply_bytes` may be sent by datagram for a request of
    /// `request_bytes`, whose source address may be forged.
    fn allows_reply(&self, caller: &Caller, request_bytes: usize, reply_bytes: usize) -> bool {
        let _ = (caller, request_bytes, reply_bytes);
        true
    }
}

/// The procedure that is called, and the size of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
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

/// The outcome of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered with results.
    Done {
        /// The length of the results, in bytes.
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

/// The reason why a layer or a program does not carry a call out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// The error is sent to the caller.
    Error(RpcError),
    /// No reply is sent.
    Silent,
}

impl From<RpcError> for Rejection {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}
