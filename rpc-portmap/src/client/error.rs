//! Errors of connections and calls.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::rpc::{ReplyDecodeError, RpcError};
use crate::xdr::DecodeError;

/// A failed connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be reached.
    #[error("cannot reach {server}")]
    Ip {
        /// The address.
        server: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// No process listens on the unix socket.
    #[error("cannot reach the unix socket {name}")]
    Unix {
        /// Its path or abstract name.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// No socket could be bound for the address.
    #[error("cannot bind a socket for calls to {server}")]
    NoSocket {
        /// The address.
        server: SocketAddr,
        /// The system's error.
        source: eport_core::bind::BindError,
    },
}

/// A call without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No reply came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server replied with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The network reports the server as unreachable.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The message received is not a reply.
    #[error(transparent)]
    BadReply(#[from] ReplyDecodeError),
    /// The results cannot be decoded as those of the procedure.
    #[error("the results cannot be decoded")]
    BadResults(#[source] DecodeError),
}

impl CallError {
    /// Returns true if the server lacks the program, the version or the procedure, so that an older
    /// version is worth a try. `GARBAGE_ARGS` counts, since some servers answer unknown procedures
    /// with it.
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Rpc(
                RpcError::ProgUnavail
                    | RpcError::ProgMismatch { .. }
                    | RpcError::ProcUnavail
                    | RpcError::GarbageArgs
            )
        )
    }
}
