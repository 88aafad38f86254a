//! Why there is no allocator, and why there is no lease.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::plan::PlanError;
use crate::pool::{Counts, LocalAddress, Space};
use crate::system::HostError;

/// Why an allocator cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The host's configuration cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no port to hand out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The operating system gives no randomness to start with.
    #[error("the system gives no randomness, and predictable ports are not handed out")]
    Entropy(#[source] io::Error),
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Every port is leased or refused by the system.
    #[error("no port is left for {space} ({counts}{}); {}", Refusals(*in_use, *denied), way_out(counts))]
    Exhausted {
        /// Where a port was asked for.
        space: Space,
        /// The ports there, after the request.
        counts: Counts,
        /// Ports that this request found in use by other sockets.
        in_use: u32,
        /// Ports that this request was not permitted to bind.
        denied: u32,
    },
    /// No interface of this machine has the local address.
    #[error("{local} is not an address of this machine, or not yet usable on its interface")]
    NotLocal {
        /// The address.
        local: LocalAddress,
        /// What the system says.
        source: io::Error,
    },
    /// A link-local address is ambiguous without its interface.
    #[error(
        "{local} is link-local: name its interface, as a scope of the local address or of the peer"
    )]
    NoInterface {
        /// The address.
        local: LocalAddress,
    },
    /// The local address and the peer are of different families.
    #[error(
        "{local} cannot reach {peer}: one is IPv4 and the other IPv6; name a local address of the peer's family"
    )]
    FamilyMismatch {
        /// The local address.
        local: LocalAddress,
        /// The peer.
        peer: SocketAddr,
    },
    /// The system does not support the address family.
    #[error("the system does not support the address family of {local}")]
    FamilyNotSupported {
        /// The local address.
        local: LocalAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The process or the system has no descriptor left.
    #[error(
        "no file descriptor is left; raise the limit (ulimit -n, LimitNOFILE=) or lower the number of leases"
    )]
    NoDescriptors {
        /// What the system says.
        source: io::Error,
    },
    /// The kernel has no memory for a socket.
    #[error("the kernel has no memory for another socket")]
    NoMemory {
        /// What the system says.
        source: io::Error,
    },
    /// The peer cannot be reached from the local address.
    #[error("{peer} cannot be reached from {local}")]
    Connect {
        /// The local address.
        local: LocalAddress,
        /// The peer.
        peer: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Leases exist for as many local addresses as [`Limits::spaces`](crate::pool::Limits::spaces)
    /// allows.
    #[error(
        "no port on {local}: leases exist for {limit} other addresses, which is the limit set for this allocator"
    )]
    TooManyAddresses {
        /// The address for which a port was asked.
        local: LocalAddress,
        /// The limit.
        limit: usize,
    },
    /// The system refuses for another reason.
    #[error("cannot bind a port for {space}")]
    Io {
        /// Where a port was asked for.
        space: Space,
        /// What the system says.
        source: io::Error,
    },
}

/// What one request met, if it met anything.
struct Refusals(u32, u32);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, 0) => Ok(()),
            Self(in_use, 0) => write!(f, "; {in_use} just found in use"),
            Self(0, denied) => write!(f, "; {denied} just denied"),
            Self(in_use, denied) => write!(f, "; {in_use} just found in use and {denied} denied"),
        }
    }
}

/// The remedy that helps most.
const fn way_out(counts: &Counts) -> &'static str {
    if counts.foreign > counts.leased + counts.overlapped {
        "other programs or a security policy keep the range: name another one"
    } else {
        "wait for leases to end, or name more ports"
    }
}
