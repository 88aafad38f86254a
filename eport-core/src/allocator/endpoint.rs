//! The kinds of sockets that are handed out.

use std::net::{TcpListener, UdpSocket};

use socket2::Socket;

use crate::address::Protocol;
use crate::bind::SctpListener;

/// A kind of socket that an [`Allocator`](crate::Allocator) hands out: [`UdpSocket`],
/// [`TcpListener`] or [`SctpListener`](crate::bind::SctpListener).
pub trait Endpoint: sealed::Sealed {}

impl Endpoint for UdpSocket {}
impl Endpoint for TcpListener {}
impl Endpoint for SctpListener {}

pub(super) mod sealed {
    use super::{Protocol, Socket};

    /// Only the kinds that [`bind`](crate::bind) can make.
    pub trait Sealed: Sized {
        /// The protocol of the kind.
        const PROTOCOL: Protocol;

        /// A socket of the protocol as one of the kind.
        fn from_socket(socket: Socket) -> Self;
    }
}

impl sealed::Sealed for UdpSocket {
    const PROTOCOL: Protocol = Protocol::Udp;

    fn from_socket(socket: Socket) -> Self {
        socket.into()
    }
}

impl sealed::Sealed for TcpListener {
    const PROTOCOL: Protocol = Protocol::Tcp;

    fn from_socket(socket: Socket) -> Self {
        socket.into()
    }
}

impl sealed::Sealed for SctpListener {
    const PROTOCOL: Protocol = Protocol::Sctp;

    fn from_socket(socket: Socket) -> Self {
        std::os::fd::OwnedFd::from(socket).into()
    }
}

/// A socket of any kind, as a [`LeaseSet`](crate::LeaseSet) has them.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnySocket {
    /// A UDP socket, not connected.
    Udp(UdpSocket),
    /// A listening TCP socket.
    Tcp(TcpListener),
    /// A listening SCTP socket.
    Sctp(SctpListener),
}

impl AnySocket {
    pub(super) fn new(protocol: Protocol, socket: Socket) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp(sealed::Sealed::from_socket(socket)),
            Protocol::Tcp => Self::Tcp(sealed::Sealed::from_socket(socket)),
            Protocol::Sctp => Self::Sctp(sealed::Sealed::from_socket(socket)),
        }
    }
}

impl std::os::fd::AsFd for AnySocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
            Self::Sctp(listener) => listener.as_fd(),
        }
    }
}
