//! Ports and addresses of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};

use eport_core::Protocol;
use eport_core::bind::{self, BindError, TcpOptions, UdpOptions};
use eport_core::system::SocketQueries;

use crate::registry::{Host, Liveness};
use crate::rpcbind::{Netid, UniversalAddress};
use crate::transport::interfaces;

/// The machine this process runs on, seen from its network namespace.
#[derive(Debug)]
pub struct LocalHost {
    /// `None` to find out by binding alone.
    queries: Option<SocketQueries>,
}

impl LocalHost {
    /// Takes the kernel's list of sockets (`sock_diag(7)`) for the truth, and where there is none,
    /// tries to bind.
    pub fn new() -> Self {
        Self {
            queries: Some(SocketQueries::open()),
        }
    }

    fn is_bound(&self, protocol: Protocol, address: SocketAddr) -> Option<bool> {
        self.queries.as_ref()?.is_bound(protocol, address).ok()
    }
}

impl Default for LocalHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for LocalHost {
    fn liveness(&self, netid: Netid, address: &UniversalAddress) -> Liveness {
        let protocol = match netid {
            Netid::Udp | Netid::Udp6 => Protocol::Udp,
            Netid::Tcp | Netid::Tcp6 => Protocol::Tcp,
            _ => return Liveness::Unknown,
        };
        let Some(address) = address.socket_addr() else {
            return Liveness::Unknown;
        };
        let bound = match self.is_bound(protocol, address) {
            Some(bound) => Ok(bound),
            None => is_taken(protocol, address),
        };
        match bound {
            Ok(true) => Liveness::Live,
            Ok(false) => Liveness::Dead,
            Err(_) => Liveness::Unknown,
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        interfaces().is_ok_and(|mut interfaces| {
            interfaces.any(|interface| {
                let own = interface.address.and_then(|own| {
                    let v4 = own.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                    v4.or_else(|| own.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
                });
                own == Some(address)
            })
        })
    }
}

/// Returns true if a port cannot be bound because it is in use.
fn is_taken(protocol: Protocol, address: SocketAddr) -> io::Result<bool> {
    let bound = match protocol {
        Protocol::Tcp => bind::tcp(address, &TcpOptions::default().only_v6(true)).map(drop),
        Protocol::Udp => bind::udp(address, &UdpOptions::default().only_v6(true)).map(drop),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    match bound {
        Ok(()) => Ok(false),
        Err(BindError::InUse { .. }) => Ok(true),
        Err(other) => Err(io::Error::other(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Listeners;

    #[test]
    fn a_port_is_live_while_it_is_bound_and_dead_after_that() {
        for diag in [true, false] {
            let host = LocalHost {
                queries: diag.then(SocketQueries::open),
            };
            for bound in ["127.0.0.1:0", "[::]:0", "[::1]:0", "0.0.0.0:0"] {
                let mut listeners = Listeners::new();
                listeners
                    .bind_ip(bound.parse().expect("an address"))
                    .expect("free");
                let addresses = listeners.addresses();
                for (netid, address) in &addresses {
                    assert_eq!(
                        host.liveness(*netid, address),
                        Liveness::Live,
                        "{netid} {address}"
                    );
                }
                drop(listeners);
                for (netid, address) in &addresses {
                    assert_eq!(
                        host.liveness(*netid, address),
                        Liveness::Dead,
                        "{netid} {address}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_wildcard_registration_lives_if_any_address_has_the_port() {
        let host = LocalHost::new();
        let mut listeners = Listeners::new();
        listeners
            .bind_ip("127.0.0.1:0".parse().expect("an address"))
            .expect("free");
        for (netid, address) in listeners.addresses() {
            let any = IpAddr::from([0, 0, 0, 0]);
            let registered = UniversalAddress::Ip(any, address.port().expect("a port"));
            assert_eq!(host.liveness(netid, &registered), Liveness::Live, "{netid}");
        }
    }

    #[test]
    fn a_dual_stack_socket_holds_the_port_of_ipv4_too() {
        let dual = bind::udp(
            "[::]:0".parse().expect("an address"),
            &UdpOptions::default(),
        );
        let dual = dual.expect("IPv6");
        let port = dual.local_addr().expect("bound").port();
        let registered = UniversalAddress::Ip(IpAddr::from([0, 0, 0, 0]), port);
        assert_eq!(
            LocalHost::new().liveness(Netid::Udp, &registered),
            Liveness::Live
        );
    }

    #[test]
    fn addresses_of_the_machine_are_local() {
        let host = LocalHost::new();
        assert!(host.is_local(IpAddr::from([127, 0, 0, 1])));
        assert!(!host.is_local(IpAddr::from([192, 0, 2, 99])));
    }
}
