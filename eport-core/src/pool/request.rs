//! Requests to the pool, and the ports that it grants.

use std::net::SocketAddr;

use crate::address::Space;

/// A request to a [`Pool`](super::Pool).
///
/// ```
/// # use std::net::Ipv4Addr;
/// # use eport_core::{Protocol, Space, pool::PoolRequest};
/// let local = Ipv4Addr::LOCALHOST;
/// // One number for both protocols.
/// let request = PoolRequest::new(Space::udp(local)).and([Space::new(Protocol::Tcp, local)]);
/// assert_eq!(request.spaces().count(), 2);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolRequest {
    pub(super) space: Space,
    /// Further spaces in which the same number is requested; nearly always none.
    pub(super) also: Vec<Space>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) choice: PortChoice,
    pub(super) from_reserve: bool,
    pub(super) shareable: bool,
}

/// The constraint on the number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PortChoice {
    Any,
    Exactly(u16),
    /// An even one and the odd one after it.
    Pair,
}

impl PoolRequest {
    /// Requests any port of `space`.
    pub const fn new(space: Space) -> Self {
        Self {
            space,
            also: Vec::new(),
            peer: None,
            choice: PortChoice::Any,
            from_reserve: false,
            shareable: false,
        }
    }

    /// Names the peer, if there is one: the port must have rested for it, and counts for its quota.
    #[must_use]
    pub fn peer(self, peer: Option<SocketAddr>) -> Self {
        Self { peer, ..self }
    }

    /// Requests the same number in these spaces too, or none at all. They must not overlap.
    #[must_use]
    pub fn and(self, spaces: impl IntoIterator<Item = Space>) -> Self {
        Self {
            also: spaces.into_iter().collect(),
            ..self
        }
    }

    /// Requests this port and no other, whether it rests or was foreign when last tried.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self {
            choice: PortChoice::Exactly(port),
            ..self
        }
    }

    /// Requests an even port and the odd one after it.
    #[must_use]
    pub fn pair(self) -> Self {
        Self {
            choice: PortChoice::Pair,
            ..self
        }
    }

    /// Allows the ports that are kept free
    /// ([`PortPolicy::keep_free`](crate::PortPolicy::keep_free)).
    #[must_use]
    pub fn from_reserve(self, from_reserve: bool) -> Self {
        Self {
            from_reserve,
            ..self
        }
    }

    /// Allows a port shared with other peers ([`WhenFull::share`](crate::WhenFull::share));
    /// this needs a peer.
    #[must_use]
    pub fn shareable(self, shareable: bool) -> Self {
        Self { shareable, ..self }
    }

    /// Returns the spaces of the request.
    pub fn spaces(&self) -> impl Iterator<Item = Space> + '_ {
        std::iter::once(self.space).chain(self.also.iter().copied())
    }

    /// Returns the first space of the request.
    pub const fn space(&self) -> Space {
        self.space
    }

    /// Returns the peer.
    pub const fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns true if this request certainly succeeds whenever `other` does: while there is no port
    /// for this one, there is none for the other.
    pub fn is_no_harder_than(&self, other: &Self) -> bool {
        let is_plain = self.also.is_empty() && matches!(self.choice, PortChoice::Any);
        let has_no_advantage = self.from_reserve || !other.from_reserve;
        // A peer that shares can fail where another one succeeds, because it has its port already.
        is_plain && !self.shareable && self.space == other.space && has_no_advantage
    }

    /// Returns the port if the request names one.
    pub const fn exact_port(&self) -> Option<u16> {
        match self.choice {
            PortChoice::Exactly(port) => Some(port),
            PortChoice::Any | PortChoice::Pair => None,
        }
    }
}

/// A port that is leased: the right, and the duty, to give it back once.
///
/// It belongs to the [`Pool`](super::Pool) that made it and must not be handed to another one.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "the port stays leased until it is given back to the pool"]
pub struct PoolLease {
    /// The index of its space; there are at most 65,535.
    pub(super) index: u16,
    pub(super) slot: u16,
    pub(super) port: u16,
    pub(super) membership: Membership,
}

/// The part of a lease in a shared port, if it is shared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Membership {
    Alone,
    /// The first of several, which binds the port.
    First(u32),
    Member(u32),
}

impl PoolLease {
    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if the port is shared with other peers, now or later.
    pub const fn is_shared(&self) -> bool {
        !matches!(self.membership, Membership::Alone)
    }

    /// Returns true for the first lease of a port that others may share, once it is bound and
    /// [`Pool::open_group`](super::Pool::open_group) is called.
    pub const fn is_first(&self) -> bool {
        matches!(self.membership, Membership::First(_))
    }
}

/// The ports granted to a [`PoolRequest`].
///
/// Closed: a request is for one port or for several.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "the ports stay leased until they are given back to the pool"]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: hidden from the stable surface"
)]
pub enum Grant {
    /// One port.
    One(PoolLease),
    /// The port in each space of a set, or the even and the odd port of a pair.
    Several(Vec<PoolLease>),
}

impl Grant {
    /// Returns the number of ports.
    #[expect(clippy::len_without_is_empty, reason = "a grant is never empty")]
    pub const fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(ports) => ports.len(),
        }
    }
}

impl IntoIterator for Grant {
    type Item = PoolLease;
    type IntoIter =
        std::iter::Chain<std::option::IntoIter<PoolLease>, std::vec::IntoIter<PoolLease>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, several) = match self {
            Self::One(lease) => (Some(lease), Vec::new()),
            Self::Several(ports) => (None, ports),
        };
        one.into_iter().chain(several)
    }
}
