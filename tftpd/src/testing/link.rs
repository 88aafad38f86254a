//! A link that loses, duplicates and delays the datagrams of a transfer, for tests.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use crate::proto::Packet;

/// Decides the delivery of each datagram of a server's transfers.
///
/// A [`Script`] names packets; a closure decides by itself:
///
/// ```
/// use tftpd::testing::{Datagram, Delivery, Link};
///
/// // Every twentieth datagram is lost, in both directions.
/// let bad = |datagram: &Datagram<'_>| match datagram.number % 20 {
///     0 => Delivery::Lost,
///     _ => Delivery::Once,
/// };
/// # fn takes(_: impl Link) {}
/// # takes(bad);
/// ```
///
/// Requests, and rejections, which are sent from the listening port, belong to no transfer and are
/// always delivered.
pub trait Link: Send + Sync + 'static {
    /// Returns the delivery of `datagram`.
    fn delivery(&self, datagram: &Datagram<'_>) -> Delivery;
}

impl<F> Link for F
where
    F: Fn(&Datagram<'_>) -> Delivery + Send + Sync + 'static,
{
    fn delivery(&self, datagram: &Datagram<'_>) -> Delivery {
        self(datagram)
    }
}

/// A datagram on the link.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// The client of the transfer.
    pub client: SocketAddr,
    /// The side that receives it.
    pub to: Destination,
    /// The payload.
    pub bytes: &'a [u8],
    /// Its number among the transfer's datagrams in this direction; the first is 1.
    pub number: u32,
    /// The number of earlier datagrams in this direction with the same [`PacketId`].
    pub copy: usize,
}

/// The side of a transfer that receives a datagram. Closed: a transfer has two sides.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed: a transfer has two sides")]
pub enum Destination {
    /// From the server to the client.
    Client,
    /// From the client to the server.
    Server,
}

/// The delivery of a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Delivery {
    /// Delivered once, as most are.
    Once,
    /// Not delivered.
    Lost,
    /// Delivered twice in succession.
    Twice,
    /// Delivered after the next datagram in the same direction; lost if there is none.
    Late,
}

/// A packet of a transfer, identified by opcode and block number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PacketId {
    /// The server's OACK.
    Oack,
    /// DATA with this block number on the wire.
    Data(u16),
    /// ACK with this block number on the wire.
    Ack(u16),
    /// ERROR.
    Error,
}

impl PacketId {
    /// Reads the identity of a datagram; `None` for a request and for bytes that are no packet.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match Packet::decode(bytes).ok()? {
            Packet::Oack(_) => Some(Self::Oack),
            Packet::Data(data) => Some(Self::Data(data.block)),
            Packet::Ack(ack) => Some(Self::Ack(ack.block)),
            Packet::Error(_) => Some(Self::Error),
            Packet::Request(_) => None,
        }
    }
}

/// A list of packets with their delivery, applied to every transfer from the beginning.
///
/// Each entry is used once: the second entry for a packet applies to its second transmission.
/// Transmissions without an entry are delivered once.
///
/// ```
/// use tftpd::testing::{PacketId, Script};
///
/// let script = Script::new()
///     .lose(PacketId::Data(3))
///     .lose(PacketId::Data(3)) // retransmitted, and lost again
///     .repeat(PacketId::Ack(4))
///     .delay(PacketId::Data(6));
/// # drop(script);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<(PacketId, Delivery)>);

impl Script {
    /// Creates a link that delivers everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses a packet.
    #[must_use]
    pub fn lose(self, packet: PacketId) -> Self {
        self.entry(packet, Delivery::Lost)
    }

    /// Delivers a packet twice.
    #[must_use]
    pub fn repeat(self, packet: PacketId) -> Self {
        self.entry(packet, Delivery::Twice)
    }

    /// Delivers a packet after the one that follows it.
    #[must_use]
    pub fn delay(self, packet: PacketId) -> Self {
        self.entry(packet, Delivery::Late)
    }

    fn entry(mut self, packet: PacketId, delivery: Delivery) -> Self {
        self.0.push((packet, delivery));
        self
    }
}

impl Link for Script {
    fn delivery(&self, datagram: &Datagram<'_>) -> Delivery {
        let Some(packet) = PacketId::decode(datagram.bytes) else {
            return Delivery::Once;
        };
        let mut entries = self.0.iter().filter(|(id, _)| *id == packet);
        entries
            .nth(datagram.copy)
            .map_or(Delivery::Once, |(_, delivery)| *delivery)
    }
}

/// A link and the counters of one transfer on it.
pub(super) struct LinkState {
    link: Arc<dyn Link>,
    client: SocketAddr,
    to_client: DirectionState,
    to_server: DirectionState,
}

#[derive(Default)]
struct DirectionState {
    number: u32,
    copies: HashMap<Option<PacketId>, usize>,
    late: Option<Vec<u8>>,
}

impl LinkState {
    pub(super) fn new(link: Arc<dyn Link>, client: SocketAddr) -> Self {
        Self {
            link,
            client,
            to_client: DirectionState::default(),
            to_server: DirectionState::default(),
        }
    }

    /// Returns the datagrams to deliver now that one was sent.
    pub(super) fn pass(&mut self, to: Destination, bytes: &[u8]) -> Vec<Vec<u8>> {
        let state = match to {
            Destination::Client => &mut self.to_client,
            Destination::Server => &mut self.to_server,
        };
        state.number = state.number.saturating_add(1);
        let copies = state.copies.entry(PacketId::decode(bytes)).or_default();
        let copy = *copies;
        *copies += 1;
        let datagram = Datagram {
            client: self.client,
            to,
            bytes,
            number: state.number,
            copy,
        };
        let late = state.late.take();
        let count = match self.link.delivery(&datagram) {
            Delivery::Once => 1,
            Delivery::Twice => 2,
            Delivery::Lost => 0,
            Delivery::Late => {
                state.late = Some(bytes.to_vec());
                0
            }
        };
        std::iter::repeat_n(bytes.to_vec(), count)
            .chain(late)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(block: u8) -> Vec<u8> {
        vec![0, 4, 0, block]
    }

    fn state(link: impl Link) -> LinkState {
        LinkState::new(
            Arc::new(link),
            "192.0.2.7:2071".parse().expect("an address"),
        )
    }

    #[test]
    fn each_entry_applies_to_one_transmission_of_its_packet() {
        let mut state = state(
            Script::new()
                .lose(PacketId::Ack(1))
                .repeat(PacketId::Ack(1))
                .lose(PacketId::Ack(2)),
        );
        let mut pass = |block| state.pass(Destination::Client, &ack(block)).len();
        assert_eq!([pass(1), pass(1), pass(1)], [0, 2, 1]);
        assert_eq!([pass(2), pass(2), pass(3)], [0, 1, 1]);
    }

    #[test]
    fn a_late_datagram_is_delivered_behind_the_next_one() {
        let script = Script::new()
            .delay(PacketId::Ack(1))
            .delay(PacketId::Ack(2));
        let mut state = state(script);
        let delivered: Vec<_> = (1..=3)
            .flat_map(|block| state.pass(Destination::Server, &ack(block)))
            .collect();
        assert_eq!(delivered, [ack(1), ack(3), ack(2)]);
    }

    #[test]
    fn the_two_directions_are_counted_apart() {
        let mut state = state(|datagram: &Datagram<'_>| match datagram.number {
            2 => Delivery::Lost,
            _ => Delivery::Once,
        });
        for delivered in [vec![ack(1)], vec![]] {
            assert_eq!(state.pass(Destination::Client, &ack(1)), delivered);
            assert_eq!(state.pass(Destination::Server, &ack(1)), delivered);
        }
    }
}
