//! Datagrams with the address they were sent to.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};

/// A datagram that came to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) peer: SocketAddr,
    /// The address of this machine to answer from; for link-local ones with the interface.
    pub(crate) local: SocketAddr,
}

/// The longest call that is read, in bytes; what is longer is dropped.
const LONGEST: usize = 9216;

/// Room for what arrives.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: Box<[u8]>,
    control: Vec<u8>,
}

impl Inbox {
    /// Room for what arrives on `socket`, which is made to tell where datagrams were sent to.
    pub(crate) fn new(socket: &UdpSocket) -> io::Result<Self> {
        match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self {
            buffer: vec![0; LONGEST].into_boxed_slice(),
            control: cmsg_space!(in6_pktinfo),
        })
    }

    /// The next datagram; `Ok(None)` if that was one that cannot be used.
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<Option<Arrival<'_>>> {
        let (peer, local, length) = {
            let mut iov = [IoSliceMut::new(&mut self.buffer)];
            let message = recvmsg::<SockaddrStorage>(
                socket.as_raw_fd(),
                &mut iov,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let Some((peer, local)) = ends(&message) else {
                return Ok(None);
            };
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                return Ok(None);
            }
            (peer, local, message.bytes)
        };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        Ok(Some(Arrival { bytes, peer, local }))
    }
}

/// Sends a reply from the address that the caller wrote to.
pub(crate) fn reply(
    socket: RawFd,
    datagram: &[u8],
    from: SocketAddr,
    to: SocketAddr,
) -> io::Result<()> {
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

/// Who sent it, and the address to answer from.
fn ends(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<(SocketAddr, SocketAddr)> {
    let peer = message.address.as_ref()?;
    let v4 = peer.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    let peer = v4.or_else(|| {
        let v6 = peer.as_sockaddr_in6()?;
        Some(SocketAddr::V6((*v6).into()))
    })?;
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            // Where the datagram was a broadcast, the kernel names its own address here (ip(7)).
            let local = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
            Some((peer, SocketAddr::new(local.into(), 0)))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scoped = to.is_unicast_link_local() || to.is_multicast();
            let scope = if scoped { info.ipi6_ifindex } else { 0 };
            // Nothing can be sent from a multicast address: the kernel chooses.
            let local = if to.is_multicast() {
                Ipv6Addr::UNSPECIFIED
            } else {
                to
            };
            Some((peer, SocketAddrV6::new(local, 0, 0, scope).into()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use eport_core::bind::{self, UdpOptions};

    use super::*;

    #[test]
    fn a_reply_leaves_from_the_address_that_was_asked() {
        for (any, asked) in [("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
            let server = bound(any);
            let port = server.local_addr().expect("bound").port();
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            let client = bound(if asked.is_ipv4() {
                "127.0.0.1:0"
            } else {
                "[::1]:0"
            });
            let mut inbox = Inbox::new(&server).expect("a socket");
            client.send_to(b"ping", asked).expect("sent");
            let arrival = inbox
                .receive(&server)
                .expect("it is there")
                .expect("a good one");
            assert_eq!(arrival.bytes, b"ping");
            assert_eq!(arrival.local.ip(), asked.ip());
            reply(server.as_raw_fd(), b"pong", arrival.local, arrival.peer).expect("sent");
            let mut buffer = [0; 8];
            assert_eq!(client.recv_from(&mut buffer).expect("arrived"), (4, asked));
        }
    }

    fn bound(address: &str) -> UdpSocket {
        let address = address.parse().expect("an address");
        bind::udp(address, &UdpOptions::default().only_v6(true)).expect("free")
    }
}
