//! The errors of building an allocator and of leasing a port.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::address::{LocalAddress, Protocol, Space};
use crate::limit::Prefix;
use crate::plan::PlanError;
use crate::pool::{Counts, PortState};
use crate::system::HostError;

/// The reason why an allocator cannot be made.
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
    /// Ports are to be shared, and the kernel would compare each datagram with all their sockets.
    #[error(
        "ports cannot be shared on {system}: it takes Linux 6.13 to find the socket of a peer quickly; let requests wait or fail instead"
    )]
    SharingUnsupported {
        /// The system and its release.
        system: String,
    },
}

/// The reason why there is no lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Every port is leased or refused by the system.
    #[error("no port is left for {space} ({counts}{}); {}", FailedBinds(*in_use, *denied), way_out(counts))]
    Exhausted {
        /// The space in which a port was requested.
        space: Space,
        /// The ports there, after the request.
        counts: Counts,
        /// Ports that this request found in use by other sockets.
        in_use: u32,
        /// Ports that this request was not permitted to bind.
        denied: u32,
    },
    /// No port came free while the request waited.
    #[error(
        "no port came free for {space} in {} s ({counts}); {}",
        waited.as_secs(),
        way_out(counts)
    )]
    TimedOut {
        /// The space in which a port was requested.
        space: Space,
        /// The ports there, after the request.
        counts: Counts,
        /// The time it waited.
        waited: Duration,
    },
    /// The queue of waiting requests is full, or its timer thread cannot be started.
    #[error(
        "no port is left for {space}, and the queue of waiting requests is full; try again later"
    )]
    QueueFull {
        /// The space in which a port was requested.
        space: Space,
    },
    /// The client has as many leases as it may have.
    #[error("{prefix} has as many leases as one client may have ({limit}); wait for one to end")]
    QuotaReached {
        /// The network that counts as one client.
        prefix: Prefix,
        /// The most leases it may have.
        limit: u32,
    },
    /// The port that was named is not available.
    #[error("port {port} is not available for {space}: {state}; name another one, or none")]
    PortUnavailable {
        /// The space in which it was requested.
        space: Space,
        /// The port.
        port: u16,
        /// Its state.
        state: PortState,
    },
    /// Two sockets of a set would collide with each other on every port.
    #[error("{first} and {second} overlap and cannot have the same port; leave one of them out")]
    SetOverlaps {
        /// One of them.
        first: Space,
        /// The other one.
        second: Space,
    },
    /// A set was asked for without a protocol and a local address.
    #[error("the set is empty; name at least one protocol and local address")]
    EmptySet,
    /// A socket that was to be taken over is not bound to a port.
    #[error("the socket is not bound to a port; bind it, or ask for a new one")]
    NotBound {
        /// The error of the system, or the missing part of the address.
        source: io::Error,
    },
    /// No interface of this machine has the local address.
    #[error("{local} is not an address of this machine, or not yet usable on its interface")]
    NotLocal {
        /// The address.
        local: LocalAddress,
        /// The error of the system.
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
        /// The error of the system.
        source: io::Error,
    },
    /// The system does not have the protocol.
    #[error(
        "the system has no {protocol} sockets; load the kernel's module for it, or use another protocol"
    )]
    ProtocolNotSupported {
        /// The protocol.
        protocol: Protocol,
        /// The error of the system.
        source: io::Error,
    },
    /// The process or the system has no descriptor left.
    #[error(
        "no file descriptor is left; raise the limit (ulimit -n, LimitNOFILE=) or lower the number of leases"
    )]
    NoDescriptors {
        /// The error of the system.
        source: io::Error,
    },
    /// The kernel has no memory for a socket.
    #[error("the kernel has no memory for another socket")]
    NoMemory {
        /// The error of the system.
        source: io::Error,
    },
    /// The peer cannot be reached from the local address.
    #[error("{peer} cannot be reached from {local}")]
    Connect {
        /// The local address.
        local: LocalAddress,
        /// The peer.
        peer: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// Leases exist for as many local addresses as [`PortPolicy::max_spaces`](crate::PortPolicy::max_spaces)
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
        /// The space in which a port was requested.
        space: Space,
        /// The error of the system.
        source: io::Error,
    },
}

/// A socket that was not taken over, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("the socket cannot be taken over")]
#[non_exhaustive]
pub struct AdoptError<S> {
    /// The socket, as it was.
    pub socket: S,
    /// The reason.
    #[source]
    pub reason: LeaseError,
}

/// The failed binds of one request, if there were any.
struct FailedBinds(u32, u32);

impl fmt::Display for FailedBinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, 0) => Ok(()),
            Self(in_use, 0) => write!(f, "; {in_use} just found in use"),
            Self(0, denied) => write!(f, "; {denied} just denied"),
            Self(in_use, denied) => write!(f, "; {in_use} just found in use and {denied} denied"),
        }
    }
}

/// Returns the remedy that helps most.
const fn way_out(counts: &Counts) -> &'static str {
    if counts.free > 0 {
        "those that are free are kept in reserve, or do not suit the whole request"
    } else if counts.foreign > counts.leased + counts.overlapped {
        "other programs or a security policy keep the range: name another one"
    } else {
        "wait for leases to end, or name more ports"
    }
}
