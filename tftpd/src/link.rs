//! What may become of the datagrams of a transfer on their way: a bad network for tests.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::Arc,
};

use crate::proto::Packet;

/// Decides what becomes of each datagram of a server's transfers.
///
/// A [`Script`] names packets; a closure decides for itself:
///
/// ```
/// use tftpd::testing::{Datagram, Fate, Link};
///
/// // Each twentieth datagram is lost, whichever way it goes.
/// let bad = |datagram: &Datagram<'_>| match datagram.number % 20 {
///     0 => Fate::Lost,
///     _ => Fate::Arrives,
/// };
/// # fn takes(_: impl Link) {}
/// # takes(bad);
/// ```
///
/// Requests, and refusals, which are answered from the listening port, belong to no transfer and
/// always arrive.
pub trait Link: Send + Sync + 'static {
    /// What becomes of `datagram`.
    fn fate(&self, datagram: &Datagram<'_>) -> Fate;
}

impl<F> Link for F
where
    F: Fn(&Datagram<'_>) -> Fate + Send + Sync + 'static,
{
    fn fate(&self, datagram: &Datagram<'_>) -> Fate {
        self(datagram)
    }
}

/// A datagram on its way.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Whose transfer it belongs to.
    pub client: SocketAddr,
    /// Where it goes.
    pub way: Way,
    /// What it says.
    pub bytes: &'a [u8],
    /// Which of the transfer's datagrams that go this way it is; the first is 1.
    pub number: u32,
    /// How often the same packet went this way before it.
    pub copy: usize,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// From the server to the client.
    ToClient,
    /// From the client to the server.
    ToServer,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// It arrives, as most do.
    Arrives,
    /// It does not.
    Lost,
    /// It arrives, and so does a copy of it.
    Twice,
    /// It is overtaken by the next one that goes the same way. If none does, it is lost.
    Late,
}

/// A packet of a transfer, as far as it is told from others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Which {
    /// The options, acknowledged by the server.
    Oack,
    /// The block with this number on the wire.
    Data(u16),
    /// The acknowledgement with this number on the wire.
    Ack(u16),
    /// The end of the transfer.
    Error,
}

impl Which {
    /// What a datagram is, if it belongs to a transfer.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match Packet::decode(bytes).ok()? {
            Packet::Oack(_) => Some(Self::Oack),
            Packet::Data(data) => Some(Self::Data(data.block)),
            Packet::Ack(ack) => Some(Self::Ack(ack.block)),
            Packet::Error(_) => Some(Self::Error),
            Packet::Request(_) => None,
        }
    }
}

/// A list of packets to which something happens, in every transfer anew.
///
/// A line is about one passing of a packet. Named once more, the packet meets the next line when it
/// comes again; what no line is left for arrives.
///
/// ```
/// use tftpd::testing::{Script, Which};
///
/// let script = Script::new()
///     .lose(Which::Data(3))
///     .lose(Which::Data(3)) // sent again, and lost again
///     .repeat(Which::Ack(4))
///     .delay(Which::Data(6));
/// # drop(script);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<(Which, Fate)>);

impl Script {
    /// A link on which everything arrives.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses a packet.
    #[must_use]
    pub fn lose(self, which: Which) -> Self {
        self.line(which, Fate::Lost)
    }

    /// Delivers a packet twice.
    #[must_use]
    pub fn repeat(self, which: Which) -> Self {
        self.line(which, Fate::Twice)
    }

    /// Delivers a packet after the one that follows it.
    #[must_use]
    pub fn delay(self, which: Which) -> Self {
        self.line(which, Fate::Late)
    }

    fn line(mut self, which: Which, fate: Fate) -> Self {
        self.0.push((which, fate));
        self
    }
}

impl Link for Script {
    fn fate(&self, datagram: &Datagram<'_>) -> Fate {
        let Some(packet) = Which::of(datagram.bytes) else {
            return Fate::Arrives;
        };
        let mut lines = self.0.iter().filter(|(which, _)| *which == packet);
        lines
            .nth(datagram.copy)
            .map_or(Fate::Arrives, |(_, fate)| *fate)
    }
}

/// A link with the datagrams of one transfer that are on their way.
pub(crate) struct Crossing {
    link: Arc<dyn Link>,
    client: SocketAddr,
    to_client: Lane,
    to_server: Lane,
    arrived: VecDeque<Vec<u8>>,
}

/// One direction.
#[derive(Default)]
struct Lane {
    number: u32,
    copies: HashMap<Option<Which>, usize>,
    late: Option<Vec<u8>>,
}

impl Crossing {
    pub(crate) fn new(link: Arc<dyn Link>, client: SocketAddr) -> Self {
        Self {
            link,
            client,
            to_client: Lane::default(),
            to_server: Lane::default(),
            arrived: VecDeque::new(),
        }
    }

    /// What arrives at the client when the server sends `bytes`.
    pub(crate) fn leave(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let lane = &mut self.to_client;
        lane.pass(&*self.link, self.client, Way::ToClient, bytes)
    }

    /// The client has sent `bytes`; see [`arrived`](Self::arrived).
    pub(crate) fn come(&mut self, bytes: &[u8]) {
        let lane = &mut self.to_server;
        let passed = lane.pass(&*self.link, self.client, Way::ToServer, bytes);
        self.arrived.extend(passed);
    }

    /// Takes the next datagram that has arrived at the server.
    pub(crate) fn arrived(&mut self) -> Option<Vec<u8>> {
        self.arrived.pop_front()
    }
}

impl Lane {
    fn pass(
        &mut self,
        link: &dyn Link,
        client: SocketAddr,
        way: Way,
        bytes: &[u8],
    ) -> Vec<Vec<u8>> {
        self.number = self.number.saturating_add(1);
        let copies = self.copies.entry(Which::of(bytes)).or_default();
        let copy = *copies;
        *copies += 1;
        let datagram = Datagram {
            client,
            way,
            bytes,
            number: self.number,
            copy,
        };
        let late = self.late.take();
        let own = match link.fate(&datagram) {
            Fate::Arrives => 1,
            Fate::Twice => 2,
            Fate::Lost => 0,
            Fate::Late => {
                self.late = Some(bytes.to_vec());
                0
            }
        };
        std::iter::repeat_n(bytes.to_vec(), own)
            .chain(late)
            .collect()
    }
}

impl fmt::Debug for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crossing")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(block: u8) -> Vec<u8> {
        vec![0, 4, 0, block]
    }

    fn crossing(link: impl Link) -> Crossing {
        Crossing::new(
            Arc::new(link),
            "192.0.2.7:2071".parse().expect("an address"),
        )
    }

    #[test]
    fn each_line_is_about_one_passing_of_its_packet() {
        let mut crossing = crossing(
            Script::new()
                .lose(Which::Ack(1))
                .repeat(Which::Ack(1))
                .lose(Which::Ack(2)),
        );
        let mut pass = |block| crossing.leave(&ack(block)).len();
        assert_eq!([pass(1), pass(1), pass(1)], [0, 2, 1]);
        assert_eq!([pass(2), pass(2), pass(3)], [0, 1, 1]);
    }

    #[test]
    fn what_is_late_comes_behind_the_next_one() {
        let mut crossing = crossing(Script::new().delay(Which::Ack(1)).delay(Which::Ack(2)));
        for block in 1..=3 {
            crossing.come(&ack(block));
        }
        let arrived: Vec<_> = std::iter::from_fn(|| crossing.arrived()).collect();
        assert_eq!(arrived, [ack(1), ack(3), ack(2)]);
    }

    #[test]
    fn the_two_ways_are_counted_each_by_itself() {
        let mut crossing = crossing(|datagram: &Datagram<'_>| match datagram.number {
            2 => Fate::Lost,
            _ => Fate::Arrives,
        });
        assert_eq!(crossing.leave(&ack(1)).len(), 1);
        crossing.come(&ack(1));
        assert_eq!(crossing.arrived(), Some(ack(1)));
        assert_eq!(crossing.leave(&ack(1)).len(), 0);
        crossing.come(&ack(1));
        assert_eq!(crossing.arrived(), None);
    }
}
