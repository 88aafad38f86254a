//! Requests to the kernel for its list of sockets, over a netlink socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::HostError;
use super::diag::{self, Filter, Malformed, Reply};
use super::socket::BoundSocket;
use crate::address::{AddressFamily, Protocol};

/// The longest message of a dump, in bytes.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// The time limit for a reply. The kernel replies without delay; a sandbox may swallow requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// A netlink socket that is kept open, for repeated questions whether a port is bound.
///
/// A question takes no descriptor, so it has an answer while the process has none left. The answers
/// concern the network namespace in which the socket was opened.
#[derive(Debug)]
pub struct SocketQueries {
    /// `None` until the next query opens it: it could not be opened, or a query failed, after which a
    /// late reply may be in its buffer.
    connection: Mutex<Option<Connection>>,
}

impl SocketQueries {
    /// Opens the netlink socket. If that fails, each query tries again.
    #[must_use]
    pub fn open() -> Self {
        Self {
            connection: Mutex::new(Connection::open().ok()),
        }
    }

    /// Returns the same as [`Host::is_bound`](super::Host::is_bound) for this machine.
    ///
    /// # Errors
    /// [`HostError::Sockets`] when the kernel refuses.
    pub fn is_bound(&self, protocol: Protocol, address: SocketAddr) -> Result<bool, HostError> {
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = kept.take().map_or_else(Connection::open, Ok);
        let answer = connection.and_then(|mut connection| {
            let bound = connection.is_bound(protocol, address)?;
            *kept = Some(connection);
            Ok(bound)
        });
        answer.map_err(|source| HostError::Sockets {
            protocol,
            family: family_of(address),
            source,
        })
    }
}

/// An open netlink socket with the buffer for its replies.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    buffer: Vec<u8>,
    /// The number of the last request.
    sequence: u32,
}

impl Connection {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            socket: open()?,
            buffer: vec![0; LARGEST_MESSAGE],
            sequence: 0,
        })
    }

    /// Returns all sockets of a protocol and a family in the network namespace of the socket, with one
    /// request.
    pub(super) fn dump(
        &mut self,
        protocol: Protocol,
        family: AddressFamily,
    ) -> io::Result<Vec<BoundSocket>> {
        self.ask(protocol, family, Filter::All)
    }

    /// Returns true if a socket takes what is sent to `address`, or has its port on another address.
    ///
    /// One look-up finds nearly all. A port that it does not find is looked for among all sockets that
    /// may have it: those bound to one address when `address` is the wildcard.
    pub(super) fn is_bound(&mut self, protocol: Protocol, address: SocketAddr) -> io::Result<bool> {
        let own = family_of(address);
        let reached = self.ask(protocol, own, Filter::ReachedAt(address))?;
        if !reached.is_empty() {
            return Ok(true);
        }
        for family in families_with(address) {
            let found = self.ask(protocol, family, Filter::Port(address.port()))?;
            if !found.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ask(
        &mut self,
        protocol: Protocol,
        family: AddressFamily,
        filter: Filter,
    ) -> io::Result<Vec<BoundSocket>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = diag::request(protocol, family, filter, self.sequence);
        self.socket.write_all(&request)?;
        let mut sockets = Vec::new();
        loop {
            let length = self.socket.read(&mut self.buffer)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            let replies = diag::replies(bytes, protocol, self.sequence)
                .map_err(|Malformed| io::Error::from(io::ErrorKind::InvalidData))?;
            for reply in replies {
                match reply {
                    Reply::Socket(socket) => sockets.push(socket),
                    Reply::Done => return Ok(sockets),
                    // A look-up has no result, or the kernel has no such sockets: SCTP is a module that
                    // is loaded with its first socket.
                    Reply::Refused(libc::ENOENT)
                        if !filter.is_dump() || protocol == Protocol::Sctp =>
                    {
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
