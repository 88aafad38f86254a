//! The client's socket: unconnected until the server has answered from the port it chose.

use std::{io, net::SocketAddr};

use eport_core::{Lease, Ticket};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::UdpSocket;

/// A leased socket, driven by tokio, with room for the largest block.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    // Closed before the port is given back: fields drop in this order.
    socket: UdpSocket,
    _port: Ticket,
    buffer: Box<[u8]>,
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
        })
    }

    pub(crate) async fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer).await
    }

    pub(crate) async fn send_to(&self, datagram: &[u8], peer: SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, peer).await.map(drop)
    }

    pub(crate) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).await.map(drop)
    }

    pub(crate) async fn receive_from(&mut self) -> io::Result<(&[u8], SocketAddr)> {
        let (length, peer) = self.socket.recv_from(&mut self.buffer).await?;
        Ok((self.buffer.get(..length).unwrap_or_default(), peer))
    }

    pub(crate) async fn receive(&mut self) -> io::Result<&[u8]> {
        let length = self.socket.recv(&mut self.buffer).await?;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }
}
