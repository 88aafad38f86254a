//! What a request asks for, and what it is given.

use std::net::SocketAddr;

use crate::address::Space;

/// What somebody asks a [`Pool`](super::Pool) for.
///
/// ```
/// # use std::net::Ipv4Addr;
/// # use eport_core::{Protocol, Space, pool::PoolRequest};
/// let local = Ipv4Addr::LOCALHOST;
/// // One number for both protocols.
/// let want = PoolRequest::new(Space::udp(local)).and([Space::new(Protocol::Tcp, local)]);
/// assert_eq!(want.spaces().count(), 2);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PoolRequest {
    pub(super) space: Space,
    /// Where the same number is wanted as well; nearly always nowhere.
    pub(super) also: Vec<Space>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) choice: PortChoice,
    pub(super) from_reserve: bool,
    pub(super) shareable: bool,
}

/// PortChoice port is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PortChoice {
    Any,
    Exactly(u16),
    /// An even one and the odd one after it.
    Pair,
}

impl PoolRequest {
    /// Any port of `space`.
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

    /// For a peer, if there is one: the port must have rested for it, and counts for its quota.
    #[must_use]
    pub fn peer(self, peer: Option<SocketAddr>) -> Self {
        Self { peer, ..self }
    }

    /// The same number in these spaces too, or none at all. They must not overlap.
    #[must_use]
    pub fn and(self, spaces: impl IntoIterator<Item = Space>) -> Self {
        Self {
            also: spaces.into_iter().collect(),
            ..self
        }
    }

    /// This port and no other, whether it rests or was foreign when last tried.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self {
            choice: PortChoice::Exactly(port),
            ..self
        }
    }

    /// An even port and the odd one after it.
    #[must_use]
    pub fn pair(self) -> Self {
        Self {
            choice: PortChoice::Pair,
            ..self
        }
    }

    /// Whether the ports may be taken that are kept free
    /// ([`PortPolicy::keep_free`](crate::PortPolicy::keep_free)).
    #[must_use]
    pub fn from_reserve(self, from_reserve: bool) -> Self {
        Self {
            from_reserve,
            ..self
        }
    }

    /// Whether the port may be shared with other peers ([`WhenFull::share`](crate::WhenFull::share));
    /// this needs a peer.
    #[must_use]
    pub fn shareable(self, shareable: bool) -> Self {
        Self { shareable, ..self }
    }

    /// Where the port is wanted.
    pub fn spaces(&self) -> impl Iterator<Item = Space> + '_ {
        std::iter::once(self.space).chain(self.also.iter().copied())
    }

    /// Where the port is wanted first of all.
    pub const fn space(&self) -> Space {
        self.space
    }

    /// For whom the port is wanted.
    pub const fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether this can certainly be had whenever `other` can: what there is none of for this, there
    /// is none of for the other.
    pub fn is_no_harder_than(&self, other: &Self) -> bool {
        let is_plain = self.also.is_empty() && matches!(self.choice, PortChoice::Any);
        let has_no_advantage = self.from_reserve || !other.from_reserve;
        // A peer that shares can fail where another one succeeds, because it has its port already.
        is_plain && !self.shareable && self.space == other.space && has_no_advantage
    }

    /// The port that is wanted and no other.
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

/// Whether a port has one peer or several.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Membership {
    Alone,
    /// The first of several, which binds the port.
    First(u32),
    Member(u32),
}

impl PoolLease {
    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the port is shared with other peers, now or later.
    pub const fn is_shared(&self) -> bool {
        !matches!(self.membership, Membership::Alone)
    }

    /// Whether this is the first lease of a port that others may share, once
    /// [`Pool::open_group`](super::Pool::open_group) is told that it is bound.
    pub const fn is_first(&self) -> bool {
        matches!(self.membership, Membership::First(_))
    }
}

/// What a [`PoolRequest`] is given.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "the ports stay leased until they are given back to the pool"]
pub enum Grant {
    /// One port.
    One(PoolLease),
    /// The port in each space of a set, or the even and the odd port of a pair.
    Several(Vec<PoolLease>),
}

impl Grant {
    /// How many ports there are.
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
            Self::One(held) => (Some(held), Vec::new()),
            Self::Several(ports) => (None, ports),
        };
        one.into_iter().chain(several)
    }
}
