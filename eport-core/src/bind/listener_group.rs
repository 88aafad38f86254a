//! Several sockets that share one given port.

use std::net::{SocketAddr, UdpSocket};

use super::{BindError, SocketSpec, UdpOptions, bound, udp};
use crate::address::Protocol;

/// The tries for port 0, whose port another program may take between two binds.
const TRIES: u32 = 16;

/// Binds `count` UDP sockets to one address (at least one), each for a thread of its own: the kernel
/// hands each of them the datagrams of a fixed part of the clients
/// (`SO_REUSEPORT`).
///
/// Where the address is taken, this fails like [`udp`]: sharing is for these sockets alone. Linux
/// lets only programs of the same user share a port at all, and only if they ask for it.
///
/// ```
/// use eport_core::bind::{self, UdpOptions};
///
/// let sockets = bind::udp_group("127.0.0.1:0".parse()?, &UdpOptions::default(), 2)?;
/// assert_eq!(sockets[0].local_addr()?, sockets[1].local_addr()?);
/// assert!(bind::udp(sockets[0].local_addr()?, &UdpOptions::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`BindError`], with the address and the remedy.
pub fn udp_group(
    address: SocketAddr,
    options: &UdpOptions,
    count: usize,
) -> Result<Vec<UdpSocket>, BindError> {
    // Alone first: with SO_REUSEPORT, bind would succeed beside another sharing socket.
    let mut alone = udp(address, options)?;
    if count <= 1 {
        return Ok(vec![alone]);
    }
    for _ in 1..TRIES {
        let taken = alone
            .local_addr()
            .map_err(|source| BindError::new(address, source))?;
        drop(alone);
        match sharing(taken, options, count) {
            Err(BindError::InUse { .. }) if address.port() == 0 => alone = udp(address, options)?,
            result => return result,
        }
    }
    let taken = alone
        .local_addr()
        .map_err(|source| BindError::new(address, source))?;
    drop(alone);
    sharing(taken, options, count)
}

fn sharing(
    address: SocketAddr,
    options: &UdpOptions,
    count: usize,
) -> Result<Vec<UdpSocket>, BindError> {
    let spec = SocketSpec::new(Protocol::Udp, address, options.only_v6);
    let one = || {
        let socket = bound(&mut None, &spec, |socket| {
            socket.set_reuse_port(true)?;
            options.apply(socket)
        });
        socket
            .map(UdpSocket::from)
            .map_err(|source| BindError::new(address, source))
    };
    std::iter::repeat_with(one).take(count).collect()
}
