//! A port of a service's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eport_core::{Allocator, AnySocket, Lease, LeaseError, LeaseSet, Protocol};

use super::listeners::Listeners;
use crate::rpcbind::{Family, Netid, UniversalAddress};

/// One port number, leased from an [`Allocator`] and bound for UDP and TCP, IPv4 and IPv6: what a
/// service needs so that one firewall rule fits all of it.
///
/// The port goes back when this and the server that uses its sockets are gone.
#[derive(Debug)]
pub struct DynamicPort {
    set: LeaseSet<AnySocket>,
}

impl DynamicPort {
    /// Leases a port that is free for all transports on every address of the machine; on those of
    /// IPv4 alone where the kernel has no IPv6.
    ///
    /// # Errors
    /// [`LeaseError`] if there is none.
    pub fn lease(allocator: &Allocator) -> Result<Self, LeaseError> {
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        match Self::lease_on(allocator, &[v6, v4]) {
            Err(LeaseError::FamilyNotSupported { .. }) => Self::lease_on(allocator, &[v4]),
            other => other,
        }
    }

    /// As [`lease`](Self::lease), on the loopback address of IPv4 alone: for tests, and for
    /// services for this machine alone.
    ///
    /// # Errors
    /// [`LeaseError`] if there is none.
    pub fn lease_on_loopback(allocator: &Allocator) -> Result<Self, LeaseError> {
        Self::lease_on(allocator, &[Ipv4Addr::LOCALHOST.into()])
    }

    fn lease_on(allocator: &Allocator, locals: &[IpAddr]) -> Result<Self, LeaseError> {
        let transports = [Protocol::Tcp, Protocol::Udp].into_iter();
        let wants = transports.flat_map(|transport| locals.iter().map(move |ip| (transport, *ip)));
        let set = allocator.set(wants).lease()?;
        Ok(Self { set })
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.set.port()
    }

    /// The addresses of a service on this port, by transport: TCP before UDP, IPv6 before IPv4.
    pub fn addresses(&self) -> Vec<(Netid, UniversalAddress)> {
        self.set.iter().filter_map(address).collect()
    }
}

impl From<DynamicPort> for Listeners {
    fn from(port: DynamicPort) -> Self {
        let mut listeners = Self::new();
        for lease in port.set {
            listeners.add_leased(lease);
        }
        listeners
    }
}

fn address(lease: &Lease<AnySocket>) -> Option<(Netid, UniversalAddress)> {
    let netid = match lease.space().protocol() {
        Protocol::Tcp => Netid::Tcp,
        Protocol::Udp => Netid::Udp,
        _ => return None,
    };
    let address = lease.local_addr();
    Some((netid.over(Family::from_ip(address.ip())), address.into()))
}

#[cfg(test)]
mod tests {
    use eport_core::{PortState, Space};

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
        assert_eq!(allocator.stats().leased, addresses.len());
        for (space, state) in holders(&allocator, number) {
            assert!(
                matches!(state, PortState::Leased { .. }),
                "{space}: {state}"
            );
        }
        drop(port);
        assert_eq!(allocator.stats().leased, 0);
    }

    #[test]
    fn a_port_that_is_taken_for_one_transport_is_not_used_for_the_others() {
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

    fn holders(allocator: &Allocator, port: u16) -> [(Space, PortState); 2] {
        let any = Ipv4Addr::UNSPECIFIED;
        [Space::udp(any), Space::tcp(any)].map(|space| (space, allocator.explain(space, port)))
    }
}
