//! `[::]` as two sockets, one for each family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::BindError;

/// Attempts to find one port that is free in both families before `[::]:0` fails.
const TRIES: u32 = 16;

/// Binds `address` with `bind`; `[::]` becomes two sockets with the same port, `[::]` for IPv6 alone
/// and `0.0.0.0`, all or none, or `0.0.0.0` alone where the kernel has no IPv6.
///
/// Two sockets instead of a dual-stack one: then each family reports the destination of a datagram
/// in its own way, and the addresses of clients need no translation. `bind` has to set
/// [`only_v6`](super::UdpOptions::only_v6).
///
/// ```
/// use std::net::UdpSocket;
/// use eport_core::bind::{self, UdpOptions};
///
/// let options = UdpOptions::default().only_v6(true);
/// let sockets = bind::both_families(
///     "[::]:0".parse()?,
///     |address| bind::udp(address, &options),
///     UdpSocket::local_addr,
/// )?;
/// let ports: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
/// assert!(ports.iter().all(|port| *port == ports[0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The error of `bind`.
pub fn both_families<S>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> Result<S, BindError>,
    local_addr: impl Fn(&S) -> io::Result<SocketAddr>,
) -> Result<Vec<S>, BindError> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return Ok(vec![bind(address)?]);
    }
    let both = || {
        let v6 = match bind(address) {
            Ok(v6) => Some(v6),
            Err(BindError::FamilyNotSupported { .. }) => None,
            Err(other) => return Err(other),
        };
        let bound = v6.as_ref().map_or(Ok(address), &local_addr);
        let port = bound
            .map_err(|source| BindError::new(address, source))?
            .port();
        let v4 = bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
        Ok(v6.into_iter().chain([v4]).collect())
    };
    for _ in 1..TRIES {
        match both() {
            Err(BindError::InUse { .. }) if address.port() == 0 => {}
            result => return result,
        }
    }
    both()
}
