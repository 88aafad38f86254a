//! Several sockets on one port number.

use super::Lease;
use crate::address::Space;

/// Leases of the same port number for several protocols and local addresses: all or none.
///
/// Each socket closes, and each port is free again, when its lease is dropped.
///
/// ```
/// # use std::net::Ipv4Addr;
/// # use eport_core::{Allocator, Space};
/// # let allocator = Allocator::builder().build()?;
/// let local = Ipv4Addr::LOCALHOST;
/// let set = allocator.set([Space::udp(local), Space::tcp(local)]).lease()?;
/// let udp = set.get(Space::udp(local)).expect("requested");
/// let tcp = set.get(Space::tcp(local)).expect("requested");
/// assert_eq!((udp.port(), tcp.port()), (set.port(), set.port()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a set closes its sockets and gives the port back"]
pub struct LeaseSet<S> {
    port: u16,
    leases: Vec<Lease<S>>,
}

impl<S> LeaseSet<S> {
    /// Makes a set of the leases of one number, of which there is at least one.
    pub(crate) fn new(leases: Vec<Lease<S>>) -> Self {
        let port = leases.first().map_or(0, Lease::port);
        Self { port, leases }
    }

    /// Returns the port number of all of them.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of leases.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub const fn len(&self) -> usize {
        self.leases.len()
    }

    /// Returns the lease for a protocol and a local address.
    pub fn get(&self, space: Space) -> Option<&Lease<S>> {
        let local = space.local();
        // Beside IPv4 addresses, `::` became IPv6 only.
        self.iter().find(|lease| {
            let own = lease.space();
            own.protocol() == space.protocol()
                && (own.local().ip(), own.local().scope_id()) == (local.ip(), local.scope_id())
        })
    }

    /// The leases in the spec in which they were asked for.
    pub fn iter(&self) -> std::slice::Iter<'_, Lease<S>> {
        self.leases.iter()
    }
}

impl<S> IntoIterator for LeaseSet<S> {
    type Item = Lease<S>;
    type IntoIter = std::vec::IntoIter<Lease<S>>;

    fn into_iter(self) -> Self::IntoIter {
        self.leases.into_iter()
    }
}

impl<'a, S> IntoIterator for &'a LeaseSet<S> {
    type Item = &'a Lease<S>;
    type IntoIter = std::slice::Iter<'a, Lease<S>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
