//! Requests to the kernel for its list of sockets, over a netlink socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::diag::{self, Filter, Malformed, Reply};
use super::socket::BoundSocket;
use crate::address::{AddressFamily, Protocol};

/// The longest message of a dump, in bytes.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// The time limit for a reply. The kernel replies without delay; a sandbox may swallow requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns all sockets of a protocol and a family in the network namespace of this thread, with one
/// request.
pub(super) fn dump(protocol: Protocol, family: AddressFamily) -> io::Result<Vec<BoundSocket>> {
    ask(&mut open()?, protocol, family, Filter::All)
}

/// Returns true if a socket takes what is sent to `address`, or has its port on another address.
///
/// One look-up finds nearly all. A port that it does not find is looked for among all sockets that
/// may have it: those bound to one address when `address` is the wildcard.
pub(super) fn is_bound(protocol: Protocol, address: SocketAddr) -> io::Result<bool> {
    let mut kernel = open()?;
    let own = family_of(address);
    if !ask(&mut kernel, protocol, own, Filter::ReachedAt(address))?.is_empty() {
        return Ok(true);
    }
    for family in families_with(address) {
        if !ask(&mut kernel, protocol, family, Filter::Port(address.port()))?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The families whose sockets may take what is sent to an address: a dual-stack socket of IPv6 takes
/// IPv4, too.
pub(super) fn families_with(address: SocketAddr) -> impl Iterator<Item = AddressFamily> {
    let families = [AddressFamily::Ipv6, AddressFamily::Ipv4];
    let count = if address.is_ipv4() { 2 } else { 1 };
    families.into_iter().take(count)
}

/// The family of an address.
pub(super) const fn family_of(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Ipv4
    } else {
        AddressFamily::Ipv6
    }
}

fn ask(
    kernel: &mut Socket,
    protocol: Protocol,
    family: AddressFamily,
    filter: Filter,
) -> io::Result<Vec<BoundSocket>> {
    const SEQUENCE: u32 = 1;
    kernel.write_all(&diag::request(protocol, family, filter, SEQUENCE))?;
    let mut buffer = vec![0; LARGEST_MESSAGE];
    let mut sockets = Vec::new();
    loop {
        let length = kernel.read(&mut buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        let replies = diag::replies(bytes, protocol, SEQUENCE)
            .map_err(|Malformed| io::Error::from(io::ErrorKind::InvalidData))?;
        for reply in replies {
            match reply {
                Reply::Socket(socket) => sockets.push(socket),
                Reply::Done => return Ok(sockets),
                // A look-up has no result, or the kernel has no such sockets: SCTP is a module that
                // is loaded with its first socket.
                Reply::Refused(libc::ENOENT) if !filter.is_dump() || protocol == Protocol::Sctp => {
                    return Ok(sockets);
                }
                Reply::Refused(number) => return Err(Errno::from_raw(number).into()),
                Reply::Other => {}
            }
        }
        if !filter.is_dump() {
            return Ok(sockets);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes a netlink socket, which has no port"
)]
fn open() -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::DGRAM,
        Some(SocketProtocol::from(libc::NETLINK_INET_DIAG)),
    )?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}
