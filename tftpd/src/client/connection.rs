//! The line to a server: a socket, who is at the other end, and who is not.

use std::{net::SocketAddr, time::Instant};

use tokio::time::timeout_at;

use super::TransferError;
use crate::{
    net::{ClientSocket, Event as SocketEvent, Why},
    proto::{Error, ErrorCode, Opcode},
};

/// A socket that has found its peer.
pub(super) struct Connection {
    socket: ClientSocket,
    peer: SocketAddr,
    foreign: ForeignSenders,
}

/// What was waited for.
pub(super) enum Event<'a> {
    /// A datagram of the peer.
    Datagram(&'a [u8]),
    /// The peer's port is closed.
    Gone,
    /// The time is up.
    Nothing,
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

    /// Sends a packet to the peer. One that does not leave is as good as lost on the way: the
    /// timer sees to it.
    pub(super) async fn send(&mut self, packet: &[u8]) {
        let _ = self.socket.send_to(packet, self.peer).await;
    }

    /// Waits until `until` for the peer; others are refused meanwhile.
    pub(super) async fn listen(&mut self, until: Instant) -> Result<Event<'_>, TransferError> {
        loop {
            let Ok(event) = timeout_at(until.into(), self.socket.receive()).await else {
                return Ok(Event::Nothing);
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
                        return Ok(Event::Gone);
                    }
                }
                SocketEvent::Lost(_) => {}
            }
        }
    }

    /// What goes to the peer in one piece, headers and all.
    pub(super) async fn path_mtu(&self) -> Option<usize> {
        self.socket.path_mtu(self.peer).await
    }
}

/// Who wrote without having a part in the transfer. Each is told so once
/// ([RFC 1350 §4](https://www.rfc-editor.org/rfc/rfc1350#section-4)), as far as they are few.
#[derive(Debug, Default)]
pub(super) struct ForeignSenders(Vec<SocketAddr>);

/// More than a server has addresses; fewer than a flood.
const MAX_FOREIGN: usize = 4;

impl ForeignSenders {
    /// Refuses the datagram that `socket` received last.
    pub(super) async fn refuse(
        &mut self,
        socket: &mut ClientSocket,
        length: usize,
        from: SocketAddr,
    ) {
        // An ERROR is never answered, or two hosts could go on for ever.
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
