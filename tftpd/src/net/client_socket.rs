//! The client's socket. It is never connected: a sender outside the transfer gets an ERROR, and
//! the system reports the destination of each lost datagram.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
};

use eport_core::{Lease, PortGuard, datagram::socket_addr};
use nix::{
    cmsg_space,
    errno::Errno,
    libc::sock_extended_err,
    sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

/// A leased socket, driven by tokio, with room for the largest block.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    // Closed before the port is given back: fields drop in this order.
    socket: UdpSocket,
    _port: PortGuard,
    buffer: Box<[u8]>,
    /// A report read while a datagram was being sent; at most one.
    lost: Option<Lost>,
}

/// The result of [`ClientSocket::receive`].
#[derive(Debug)]
pub(crate) enum Event {
    /// A datagram; [`ClientSocket::datagram`] has its bytes.
    Datagram { length: usize, from: SocketAddr },
    /// An ICMP error: an earlier datagram did not arrive.
    Lost(Lost),
}

/// A datagram that did not arrive, and why.
#[derive(Debug)]
pub(crate) struct Lost {
    /// The destination.
    pub(crate) to: SocketAddr,
    pub(crate) why: Why,
}

/// The reason why a datagram did not arrive.
#[derive(Debug)]
pub(crate) enum Why {
    /// The host itself reports that no socket has the port.
    PortClosed,
    /// A router or firewall on the way rejects it.
    Rejected(Option<IpAddr>),
    /// It was larger than some link on the way carries. The kernel cuts the next one.
    TooLarge,
    /// There is no way there.
    Unreachable(io::Error),
}

/// The largest datagram.
const LARGEST: usize = 65_536;

impl ClientSocket {
    /// Hands a leased socket to the runtime.
    pub(crate) fn new(lease: Lease<std::net::UdpSocket>) -> io::Result<Self> {
        let (socket, port) = lease.into_parts();
        // Without it the system keeps to itself that nothing listens at the other end. Where it
        // cannot be had, silence takes longer.
        let _ = match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
        };
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self {
            socket,
            _port: port,
            buffer: vec![0; LARGEST].into_boxed_slice(),
            lost: None,
        })
    }

    /// Asks for a receive buffer of `bytes`, never for less than there is, and answers with what
    /// there is then.
    pub(crate) fn reserve(&self, bytes: usize) -> usize {
        let room = || getsockopt(&self.socket, sockopt::RcvBuf).unwrap_or_default();
        if room() < bytes {
            // The system doubles what is asked for. Beyond `net.core.rmem_max` only the first of
            // these goes, and only for root; the second gives what the limit allows.
            let half = bytes.div_ceil(2);
            let _ = setsockopt(&self.socket, sockopt::RcvBufForce, &half)
                .or_else(|_| setsockopt(&self.socket, sockopt::RcvBuf, &half));
        }
        room()
    }

    /// Sends a datagram. An ICMP error of an earlier one is no failure of this one.
    ///
    /// # Errors
    /// The error of this host: no route, a rule of its firewall, a full send buffer.
    pub(crate) async fn send_to(&mut self, datagram: &[u8], peer: SocketAddr) -> io::Result<()> {
        match self.socket.send_to(datagram, peer).await {
            Err(_) if self.note_lost() => self.socket.send_to(datagram, peer).await.map(drop),
            sent => sent.map(drop),
        }
    }

    /// Waits for a datagram, or for the news that one was lost.
    ///
    /// # Errors
    /// If the socket itself is unusable.
    pub(crate) async fn receive(&mut self) -> io::Result<Event> {
        loop {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, from)) => return Ok(Event::Datagram { length, from }),
                // The error of an earlier datagram, which is in the queue too.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    if !self.note_lost() && !is_news_of_the_network(&error) {
                        return Err(error);
                    }
                }
                Err(_) => {
                    if let Some(lost) = self.next_news() {
                        return Ok(Event::Lost(lost));
                    }
                    // Interest in readability alone sleeps through an error.
                    let interest = Interest::READABLE | Interest::ERROR;
                    self.socket.ready(interest).await?;
                }
            }
        }
    }

    /// The bytes of the datagram that was received last.
    pub(crate) fn datagram(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// The largest packet, IP header and all, that is known to go to `peer` in one piece: the MTU
    /// of the device, or less if a router has reported it.
    pub(crate) async fn path_mtu(&self, peer: SocketAddr) -> Option<usize> {
        // Only a connected socket has a route to ask about.
        self.socket.connect(peer).await.ok()?;
        let mtu = getsockopt(&self.socket, sockopt::IpMtu).ok()?;
        usize::try_from(mtu).ok()
    }

    /// Takes news from the system's queue; whether there was any. The system is asked itself: the
    /// runtime may not have been notified yet.
    fn note_lost(&mut self) -> bool {
        let news = next_lost(&self.socket).ok();
        let any = news.is_some();
        self.lost = news.or(self.lost.take());
        any
    }

    /// The next report to return. Clears the runtime's readiness when there are no more.
    fn next_news(&mut self) -> Option<Lost> {
        let socket = &self.socket;
        self.lost
            .take()
            .or_else(|| socket.try_io(Interest::ERROR, || next_lost(socket)).ok())
    }
}

/// Returns true if an error is about a datagram rather than about the socket, where the error
/// queue has no entry for it.
fn is_news_of_the_network(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::PermissionDenied
    ) || error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}

/// The oldest entry of the socket's error queue.
fn next_lost(socket: &UdpSocket) -> io::Result<Lost> {
    // One control message with the error and who reported it.
    let mut control = cmsg_space!([u8; 64]);
    let mut sent = [0; 4];
    let mut pieces = [IoSliceMut::new(&mut sent)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
    let to = message.address.as_ref().and_then(socket_addr);
    let to = to.ok_or(io::ErrorKind::InvalidData)?;
    let why = message.cmsgs()?.find_map(|entry| match entry {
        ControlMessageOwned::Ipv4RecvErr(error, by) => {
            let by = by.map(|by| IpAddr::from(u32::from_be(by.sin_addr.s_addr).to_be_bytes()));
            Some(Why::new(&error, by, to))
        }
        ControlMessageOwned::Ipv6RecvErr(error, by) => {
            let by = by.map(|by| IpAddr::from(by.sin6_addr.s6_addr));
            Some(Why::new(&error, by, to))
        }
        _ => None,
    });
    let why = why.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Lost { to, why })
}

impl Why {
    fn new(error: &sock_extended_err, by: Option<IpAddr>, to: SocketAddr) -> Self {
        let errno = Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or_default());
        // RFC 1812 §5.2.7.1, RFC 4443 §3.1: "administratively prohibited" and its kin.
        let prohibited = match error.ee_origin {
            ICMP => error.ee_type == 3 && matches!(error.ee_code, 9 | 10 | 13),
            ICMPV6 => error.ee_type == 1 && matches!(error.ee_code, 1 | 5 | 6),
            _ => matches!(errno, Errno::EPERM | Errno::EACCES),
        };
        match errno {
            Errno::EMSGSIZE => Self::TooLarge,
            _ if prohibited => Self::Rejected(by),
            // The host itself reports a closed port; another address is a firewall's.
            Errno::ECONNREFUSED if by.is_none_or(|by| by == to.ip()) => Self::PortClosed,
            Errno::ECONNREFUSED => Self::Rejected(by),
            errno => Self::Unreachable(errno.into()),
        }
    }
}

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6`.
const ICMP: u8 = 2;
const ICMPV6: u8 = 3;
