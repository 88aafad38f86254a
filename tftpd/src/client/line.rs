//! The line to a server: a socket, who is at the other end, and who is not.

use std::{net::SocketAddr, time::Instant};

use tokio::time::timeout_at;

use super::TransferError;
use crate::{
    net::{ClientSocket, Event, Why},
    proto::{Error, ErrorCode, Opcode},
};

/// A socket that has found its peer.
pub(super) struct Line {
    socket: ClientSocket,
    peer: SocketAddr,
    strangers: Strangers,
}

/// What was waited for.
pub(super) enum News<'a> {
    /// A datagram of the peer.
    Datagram(&'a [u8]),
    /// The peer's port is closed.
    Gone,
    /// The time is up.
    Nothing,
}

impl Line {
    pub(super) fn new(socket: ClientSocket, peer: SocketAddr, strangers: Strangers) -> Self {
        Self {
            socket,
            peer,
            strangers,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends a packet to the peer. One that does not leave is as good as lost on the way: the
    /// timer sees to it.
    pub(super) async fn say(&mut self, packet: &[u8]) {
        let _ = self.socket.send_to(packet, self.peer).await;
    }

    /// Waits until `until` for the peer; others are refused meanwhile.
    pub(super) async fn listen(&mut self, until: Instant) -> Result<News<'_>, TransferError> {
        loop {
            let Ok(event) = timeout_at(until.into(), self.socket.receive()).await else {
                return Ok(News::Nothing);
            };
            match event.map_err(TransferError::Socket)? {
                Event::Datagram { length, from } if from == self.peer => {
                    return Ok(News::Datagram(self.socket.datagram(length)));
                }
                Event::Datagram { length, from } => {
                    self.strangers.refuse(&mut self.socket, length, from).await;
                }
                Event::Lost(lost) if lost.to == self.peer => {
                    if let Why::PortClosed = lost.why {
                        return Ok(News::Gone);
                    }
                }
                Event::Lost(_) => {}
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
pub(super) struct Strangers(Vec<SocketAddr>);

/// More than a server has addresses; fewer than a flood.
const MOST_STRANGERS: usize = 4;

impl Strangers {
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
        if is_error || self.0.contains(&from) || self.0.len() >= MOST_STRANGERS {
            return;
        }
        self.0.push(from);
        let mut packet = Vec::new();
        Error::new(ErrorCode::UnknownTransferId).encode(&mut packet);
        // Sent once, as all errors are.
        let _ = socket.send_to(&packet, from).await;
    }
}
