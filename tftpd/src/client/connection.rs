//! The socket of a transfer, its peer, and the rejection of other senders.

use std::{net::SocketAddr, time::Instant};

use tokio::time::timeout_at;

use super::TransferError;
use crate::{
    net::{ClientSocket, Event as SocketEvent, Why},
    proto::{Error, ErrorCode, Opcode},
};

/// A socket with the server's address and port for this transfer.
pub(super) struct Connection {
    socket: ClientSocket,
    peer: SocketAddr,
    foreign: ForeignSenders,
}

/// The result of waiting for the peer.
pub(super) enum Event<'a> {
    /// A datagram from the peer.
    Datagram(&'a [u8]),
    /// The peer's port is closed.
    PortClosed,
    /// The deadline passed.
    TimedOut,
}

impl Connection {
    pub(super) fn new(socket: ClientSocket, peer: SocketAddr, foreign: ForeignSenders) -> Self {
        Self {
            socket,
            peer,
            foreign,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a packet to the peer. A send error is treated as packet loss: the timer repeats the
    /// packet.
    pub(super) async fn send(&mut self, packet: &[u8]) {
        let _ = self.socket.send_to(packet, self.peer).await;
    }

    /// Waits for the peer until `until`, and answers other senders with ERROR 5.
    pub(super) async fn receive(&mut self, until: Instant) -> Result<Event<'_>, TransferError> {
        loop {
            let Ok(event) = timeout_at(until.into(), self.socket.receive()).await else {
                return Ok(Event::TimedOut);
            };
            match event.map_err(TransferError::Socket)? {
                SocketEvent::Datagram { length, from } if from == self.peer => {
                    return Ok(Event::Datagram(self.socket.datagram(length)));
                }
                SocketEvent::Datagram { length, from } => {
                    self.foreign.refuse(&mut self.socket, length, from).await;
                }
                SocketEvent::Lost(lost) if lost.to == self.peer => {
                    if let Why::PortClosed = lost.why {
                        return Ok(Event::PortClosed);
                    }
                }
                SocketEvent::Lost(_) => {}
            }
        }
    }

    /// Returns the path MTU to the peer in bytes, headers included.
    pub(super) async fn path_mtu(&self) -> Option<usize> {
        self.socket.path_mtu(self.peer).await
    }
}

/// Senders that are not the peer. Each of the first [`MAX_FOREIGN`] is sent one ERROR 5
/// ([RFC 1350 §4](https://www.rfc-editor.org/rfc/rfc1350#section-4)).
#[derive(Debug, Default)]
pub(super) struct ForeignSenders(Vec<SocketAddr>);

/// More addresses than one server has, and few enough to bound the answers to a flood.
const MAX_FOREIGN: usize = 4;

impl ForeignSenders {
    /// Answers the datagram that `socket` received last with ERROR 5, if due.
    pub(super) async fn refuse(
        &mut self,
        socket: &mut ClientSocket,
        length: usize,
        from: SocketAddr,
    ) {
        // An ERROR is never answered: two hosts could otherwise answer each other endlessly.
        let is_error = socket
            .datagram(length)
            .starts_with(&Opcode::Error.to_wire());
        if is_error || self.0.contains(&from) || self.0.len() >= MAX_FOREIGN {
            return;
        }
        self.0.push(from);
        let mut packet = Vec::new();
        Error::new(ErrorCode::UnknownTransferId).encode(&mut packet);
        // Sent once, as all errors are.
        let _ = socket.send_to(&packet, from).await;
    }
}
