//! A port of a service's own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use eport_core::bind::BindError;
use eport_core::{Allocator, Lease, LeaseError, Space};

use super::listeners::{ListenError, Listeners};
use crate::rpcbind::{Netid, UniversalAddress};

/// One port number, leased from an [`Allocator`] and bound for UDP and TCP, IPv4 and IPv6: what a
/// service needs so that one firewall rule fits all of it.
///
/// The port goes back when this and the server that uses its sockets are gone.
#[derive(Debug)]
pub struct DynamicPort {
    lease: Lease<Listeners>,
}

impl DynamicPort {
    /// Leases a port that is free for all transports on every address of the machine.
    ///
    /// # Errors
    /// [`LeaseError`] if there is none.
    pub fn lease(allocator: &Allocator) -> Result<Self, LeaseError> {
        Self::lease_on(allocator, Ipv6Addr::UNSPECIFIED.into())
    }

    /// As [`lease`](Self::lease), on the loopback address of IPv4 alone: for tests, and for
    /// services that are nobody else's business.
    ///
    /// # Errors
    /// [`LeaseError`] if there is none.
    pub fn lease_on_loopback(allocator: &Allocator) -> Result<Self, LeaseError> {
        Self::lease_on(allocator, Ipv4Addr::LOCALHOST.into())
    }

    fn lease_on(allocator: &Allocator, local: std::net::IpAddr) -> Result<Self, LeaseError> {
        let lease = allocator.claim(Space::udp(local), None, |address| {
            let mut listeners = Listeners::new();
            listeners
                .bind_ip(SocketAddr::new(local, address.port()))
                .map_err(io_error)?;
            Ok(listeners)
        })?;
        Ok(Self { lease })
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.lease.port()
    }

    /// Where a service on this port is, by transport.
    pub fn addresses(&self) -> Vec<(Netid, UniversalAddress)> {
        self.lease.addresses()
    }
}

impl From<DynamicPort> for Listeners {
    fn from(port: DynamicPort) -> Self {
        let (mut listeners, ticket) = port.lease.into_parts();
        listeners.hold(ticket);
        listeners
    }
}

/// What the system said, by which the allocator tells a port that is taken from a machine that
/// has no sockets left.
fn io_error(error: ListenError) -> io::Error {
    match error {
        ListenError::Udp(
            BindError::InUse { source, .. }
            | BindError::Denied { source, .. }
            | BindError::NotLocal { source, .. }
            | BindError::FamilyNotSupported { source, .. }
            | BindError::NoDescriptors { source, .. }
            | BindError::Io { source, .. },
        )
        | ListenError::Tcp { source, .. }
        | ListenError::Unix { source, .. } => source,
        other @ ListenError::Udp(_) => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_serves_every_transport_and_goes_back() {
        let allocator = Allocator::builder().build().expect("ports");
        let port = DynamicPort::lease(&allocator).expect("a free port");
        let number = port.port();
        let addresses = port.addresses();
        assert!(addresses.len() >= 2);
        assert!(
            addresses
                .iter()
                .all(|(_, address)| address.port() == Some(number))
        );
        assert_eq!(allocator.stats().leased, 1);
        drop(port);
        assert_eq!(allocator.stats().leased, 0);
    }

    #[test]
    fn a_port_that_is_taken_for_one_transport_is_not_used_for_the_others() {
        let taken = Listeners::new();
        drop(taken);
        let mut holder = Listeners::new();
        holder
            .bind_ip("127.0.0.1:0".parse().expect("an address"))
            .expect("free");
        let port = holder.tcp[0].local_addr().expect("bound").port();
        holder.udp.clear();
        let range = format!("{port}").parse().expect("one port");
        let allocator = Allocator::builder().ports(range).build().expect("a port");
        let error = DynamicPort::lease_on_loopback(&allocator).expect_err("taken for TCP");
        assert!(matches!(error, LeaseError::Exhausted { .. }), "{error}");
        assert_eq!(allocator.stats().leased, 0);
    }
}
