//! The socket over which the kernel is asked for its sockets.

use std::io::{self, Read, Write};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::diag::{self, Malformed, Reply};
use super::socket::BoundSocket;
use crate::address::{AddressFamily, Protocol};

/// The kernel puts at most this much into one message of a dump.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// The kernel answers at once; this keeps a sandbox that swallows requests from stopping us.
const PATIENCE: Duration = Duration::from_secs(5);

/// All sockets of a protocol and a family in the network namespace of this thread, with one request.
pub(super) fn dump(protocol: Protocol, family: AddressFamily) -> io::Result<Vec<BoundSocket>> {
    const SEQUENCE: u32 = 1;
    let mut kernel = open()?;
    kernel.write_all(&diag::request(protocol, family, SEQUENCE))?;
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
                // The kernel has no such sockets: SCTP is a module that is loaded with its first
                // socket.
                Reply::Refused(libc::ENOENT) if protocol == Protocol::Sctp => return Ok(sockets),
                Reply::Refused(number) => return Err(Errno::from_raw(number).into()),
                Reply::Other => {}
            }
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
