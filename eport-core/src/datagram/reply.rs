//! Sending from the address that was asked.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

/// Sends a datagram from a listening socket with the IP address of `from` as its source
/// ([`Arrival::source`](super::Arrival::source)); the port is the socket's. Does not block.
///
/// # Errors
/// The error of `sendmsg`: a full send buffer, an address that this host has lost, no route.
pub fn reply(
    socket: &impl AsFd,
    datagram: &[u8],
    from: SocketAddr,
    to: SocketAddr,
) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let iov = [IoSlice::new(datagram)];
    let to = SockaddrStorage::from(to);
    let send = |control| sendmsg(socket, &iov, &[control], MsgFlags::MSG_DONTWAIT, Some(&to));
    match from {
        SocketAddr::V4(from) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr {
                s_addr: u32::from(*from.ip()).to_be(),
            },
            ipi_addr: in_addr { s_addr: 0 },
        })),
        SocketAddr::V6(from) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_addr: in6_addr {
                s6_addr: from.ip().octets(),
            },
            ipi6_ifindex: from.scope_id(),
        })),
    }?;
    Ok(())
}
