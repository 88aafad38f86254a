//! Errors of reading the host.

use std::io;
use std::path::PathBuf;

use crate::address::{AddressFamily, Protocol};
use crate::ports::ParsePortsError;

/// The reason why the host's configuration is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The file exists and cannot be read.
    #[error("cannot read {path}; grant access to it, or name the ports to use and plan without it", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file holds something that is not what the kernel writes.
    #[error("{path} does not hold ports as the kernel writes them", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The error in the text.
        source: ParsePortsError,
    },
    /// One line of the file cannot be understood.
    #[error("cannot understand line {line} of {path}; correct it or turn it into a comment", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line; the first is 1.
        line: usize,
        /// The error in the line.
        source: LineError,
    },
    /// The kernel does not list its sockets.
    #[error(
        "the kernel does not list the {protocol} sockets of {family} (sock_diag); \
         plan without the sockets in use, or permit netlink sockets to this process"
    )]
    Sockets {
        /// The protocol asked for.
        protocol: Protocol,
        /// The address family asked for.
        family: AddressFamily,
        /// The system's error.
        source: io::Error,
    },
}

/// An error in a line of a file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// A port is expected and something else is there.
    #[error(transparent)]
    Port(#[from] ParsePortsError),
    /// A service without a protocol.
    #[error("{text:?} names no protocol; write port/protocol, such as 69/udp")]
    NoProtocol {
        /// The beginning of what was found.
        text: String,
    },
    /// A number is expected and something else is there.
    #[error("{text:?} is not a number")]
    NotANumber {
        /// The beginning of what was found.
        text: String,
    },
    /// The line of a table ends too early or has no address where one should be.
    #[error("it is not an entry of a socket table")]
    NotASocket,
}

impl LineError {
    pub(super) fn no_protocol(text: &str) -> Self {
        let text = excerpt(text);
        Self::NoProtocol { text }
    }

    pub(super) fn not_a_number(text: &str) -> Self {
        let text = excerpt(text);
        Self::NotANumber { text }
    }
}

/// The beginning of a text that may be of any length, for a message.
fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}
