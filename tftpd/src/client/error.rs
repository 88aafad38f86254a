//! Why a file was not fetched.

use std::{io, net::SocketAddr, time::Duration};

use eport_core::LeaseError;

use crate::proto::{ErrorCode, OackError};

/// Why a file was not fetched, in terms of what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The server refused, or gave up on the way.
    #[error("the server says: {code}: {text}")]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its words, made printable.
        text: String,
    },
    /// The server's host answers that nothing listens on that port.
    #[error("nothing listens on {0}")]
    NothingListens(SocketAddr),
    /// The network, or a firewall that says so, does not let the request through.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Where the request went.
        server: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// There was no answer at all.
    #[error("no answer from {server} within {} s", waited.as_secs_f32())]
    NoAnswer {
        /// Where the request went.
        server: SocketAddr,
        /// For how long.
        waited: Duration,
    },
    /// An answer came, but from an address that was not asked.
    #[error(
        "{asked} was asked but {answered} answered: the server has several addresses, or NAT stands between"
    )]
    OtherAddress {
        /// Where the request went.
        asked: SocketAddr,
        /// Where the answer came from.
        answered: SocketAddr,
    },
    /// The server fell silent on the way.
    #[error("the server fell silent after {received} bytes")]
    Silence {
        /// Bytes that had arrived.
        received: u64,
    },
    /// The server went away on the way: its port is closed.
    #[error("the server went away after {received} bytes")]
    Gone {
        /// Bytes that had arrived.
        received: u64,
    },
    /// The options in the server's answer are none that may be used.
    #[error("the server's answer cannot be used")]
    Options(#[from] OackError),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The file is not as long as the server had announced.
    #[error("the server announced {announced} bytes and sent {received}")]
    Size {
        /// What the OACK said.
        announced: u64,
        /// What arrived.
        received: u64,
    },
    /// The name is empty or holds a NUL.
    #[error("the file name is empty or holds a NUL byte")]
    Name,
    /// No local port could be had.
    #[error("no local port")]
    NoPort(#[source] LeaseError),
    /// The socket failed.
    #[error("the local socket failed")]
    Socket(#[source] io::Error),
    /// The file could not be stored.
    #[error("the file cannot be stored")]
    Sink(#[source] io::Error),
}

impl GetError {
    pub(super) fn refused(code: ErrorCode, text: &[u8]) -> Self {
        let text = if text.is_empty() {
            code.text().into()
        } else {
            text.escape_ascii().to_string()
        };
        Self::Refused { code, text }
    }

    /// Whether the server says that there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: ErrorCode::FileNotFound,
                ..
            }
        )
    }

    /// Whether the server says that the file may not be read.
    pub fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: ErrorCode::AccessViolation,
                ..
            }
        )
    }
}
