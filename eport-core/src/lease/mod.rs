//! A leased port as a value: dropping it gives the port back.

mod locked;
mod set;
mod shared;
mod stats;
mod sync;
mod wait_queue;

use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use locked::Ending;
pub use set::LeaseSet;
pub(crate) use shared::{Shared, Waiting};
pub(crate) use stats::FailureKind;
pub use stats::{SpaceStats, Stats};
pub(crate) use wait_queue::Position;

use crate::address::Space;
use crate::pool::PoolLease;

/// A socket and the port it is bound to.
///
/// It can be used like the socket. When it is dropped, the socket is closed first and the port is
/// free for others after that, also when a thread panics.
///
/// ```
/// # use std::net::Ipv4Addr;
/// # use eport_core::Allocator;
/// # let allocator = Allocator::builder().build()?;
/// let lease = allocator.udp(Ipv4Addr::LOCALHOST).peer("127.0.0.1:4000".parse()?).lease()?;
/// assert_eq!(lease.local_addr().port(), lease.port());
/// lease.send(b"hello")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a lease closes its socket and gives the port back"]
pub struct Lease<S> {
    // Fields are dropped in the spec they are declared in: close, then free.
    socket: S,
    guard: PortGuard,
}

impl<S> Lease<S> {
    pub(crate) const fn new(socket: S, guard: PortGuard) -> Self {
        Self { socket, guard }
    }

    /// Returns true if other sockets have, or may get, the same port.
    pub(crate) fn is_shared(&self) -> bool {
        self.guard.is_shared()
    }

    pub(crate) fn count_failure(&self, failure: FailureKind) {
        self.guard.shared.count_failure(failure);
    }

    /// Ends a lease that was never used: the port does not rest.
    pub(crate) fn abandon(self) {
        let Self { socket, guard } = self;
        drop(socket);
        guard.cancel();
    }

    /// Returns the leased port.
    pub const fn port(&self) -> u16 {
        self.guard.port()
    }

    /// Returns the local address and the leased port.
    pub fn local_addr(&self) -> SocketAddr {
        self.guard.local_addr()
    }

    /// Returns the peer the port is leased for, if one was named.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.guard.peer()
    }

    /// Returns the protocol and the local address in which the port is leased.
    pub const fn space(&self) -> Space {
        self.guard.space()
    }

    /// Separates the socket from the right to its port.
    ///
    /// Keep the [`PortGuard`] until the socket is closed. Where one socket is made into another,
    /// [`try_map`](Self::try_map) keeps both together.
    pub fn into_parts(self) -> (S, PortGuard) {
        (self.socket, self.guard)
    }

    /// Converts the socket and keeps the lease.
    pub fn map<T>(self, change: impl FnOnce(S) -> T) -> Lease<T> {
        let Self { socket, guard } = self;
        Lease {
            socket: change(socket),
            guard,
        }
    }

    /// The same lease with the socket converted, such as tokio's:
    /// `lease.try_map(tokio::net::UdpSocket::from_std)`.
    ///
    /// # Errors
    /// The error of `change`; the port is given back.
    pub fn try_map<T, E>(self, change: impl FnOnce(S) -> Result<T, E>) -> Result<Lease<T>, E> {
        let Self { socket, guard } = self;
        Ok(Lease {
            socket: change(socket)?,
            guard,
        })
    }
}

impl<S> Deref for Lease<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S> DerefMut for Lease<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.socket
    }
}

impl<S> AsRef<S> for Lease<S> {
    fn as_ref(&self) -> &S {
        &self.socket
    }
}

impl<S: std::os::fd::AsFd> std::os::fd::AsFd for Lease<S> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The right to a port without its socket: the port is free again when this is dropped.
#[must_use = "dropping a guard gives the port back"]
pub struct PortGuard {
    shared: Arc<Shared>,
    /// Taken when the guard is dropped or refused, and not before.
    lease: Option<PoolLease>,
    port: u16,
    space: Space,
    peer: Option<SocketAddr>,
}

impl PortGuard {
    /// Returns the leased port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the local address and the leased port.
    pub fn local_addr(&self) -> SocketAddr {
        self.space.local().with_port(self.port)
    }

    /// Returns the peer the port is leased for, if one was named.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the protocol and the local address in which the port is leased.
    pub const fn space(&self) -> Space {
        self.space
    }
}

impl Drop for PortGuard {
    fn drop(&mut self) {
        self.end(Ending::Used);
    }
}

impl fmt::Debug for PortGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, protocol) = (self.local_addr(), self.space.protocol());
        f.debug_struct("PortGuard")
            .field("protocol", &protocol)
            .field("local", &local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
