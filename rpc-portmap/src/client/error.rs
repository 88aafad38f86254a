//! Why there is no result.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::rpc::{ReplyDecodeError, RpcError};
use crate::xdr::DecodeError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody is to be reached at the address.
    #[error("cannot reach {server}")]
    Ip {
        /// The address.
        server: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody listens at the unix socket.
    #[error("cannot reach the unix socket {name}")]
    Unix {
        /// Its path or abstract name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// No socket can be had.
    #[error("no socket for {server} can be had")]
    NoSocket {
        /// The address.
        server: SocketAddr,
        /// What the system says.
        source: eport_core::bind::BindError,
    },
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No answer came.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server answered that it does not carry the call out.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The network says that nobody can be reached.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// What came is no reply.
    #[error(transparent)]
    BadReply(#[from] ReplyDecodeError),
    /// The results are not those of the procedure.
    #[error("the results make no sense")]
    BadResults(#[source] DecodeError),
}

impl CallError {
    /// Whether the server does not know the program, the version or the procedure, so that an
    /// older version is worth a try (`GARBAGE_ARGS` counts: there are servers that say so).
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
