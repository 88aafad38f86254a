//! The states of ports, and their counts.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::cell::{CellState, ForeignCause};
use crate::address::Space;
use crate::ports::Source;

/// The state of one port of a [`Space`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PortState {
    /// Not requested, so it is never handed out.
    NotInRange,
    /// Requested and left out, from the beginning or since the host was read again.
    Reserved(Vec<Source>),
    /// Free for the next request.
    Free,
    /// Leased.
    Leased {
        /// The peer, if it is known.
        peer: Option<SocketAddr>,
        /// The beginning of the lease, to the second.
        since: Instant,
    },
    /// Leased to several peers, each with a socket of its own.
    Shared {
        /// The number of peers at the moment.
        peers: usize,
        /// The beginning of the lease, to the second.
        since: Instant,
    },
    /// Rests for all peers, because its last lease had no peer.
    Resting {
        /// The latest moment at which it becomes free again.
        until: Instant,
    },
    /// Rests for the peer of its last lease; for all other peers it is free.
    RestingForPeer {
        /// The earliest moment at which the peer may get it again.
        until: Instant,
    },
    /// Leased for an address that includes this one or is included in it.
    Overlapped(Vec<Space>),
    /// Refused by the system, or listed as held by another program; it is tried again later.
    Foreign {
        /// The reason.
        cause: ForeignCause,
        /// The number of refusals in a row; 0 if it was never tried.
        refusals: u8,
        /// The latest moment at which it becomes free again.
        until: Instant,
    },
}

impl PortState {
    /// Returns true if a request that names the port may have it, if the system can bind it.
    pub const fn is_available(&self) -> bool {
        matches!(
            self,
            Self::Free | Self::Foreign { .. } | Self::Resting { .. } | Self::RestingForPeer { .. }
        )
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInRange => f.write_str("not in the range"),
            Self::Reserved(sources) => write!(f, "reserved: {}", list(sources)),
            Self::Free => f.write_str("free"),
            Self::Leased {
                peer: Some(peer), ..
            } => write!(f, "leased for {peer}"),
            Self::Leased { peer: None, .. } => f.write_str("leased"),
            Self::Shared { peers, .. } => write!(f, "shared by {peers} peers"),
            Self::Resting { .. } => f.write_str("resting after its last lease"),
            Self::RestingForPeer { .. } => f.write_str("free, but not for its last peer"),
            Self::Overlapped(spaces) => write!(f, "leased as {}", list(spaces)),
            Self::Foreign {
                cause, refusals: 0, ..
            } => write!(f, "foreign: {cause} (listed by the system)"),
            Self::Foreign {
                cause, refusals, ..
            } => {
                write!(f, "foreign: {cause} (refused {refusals} times)")
            }
        }
    }
}

fn list(items: &[impl ToString]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The number of ports of a [`Space`] in each state.
///
/// `free + leased + resting + overlapped + foreign + reserved = range`, always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: the states add up to the range"
)]
pub struct Counts {
    /// Ports of the plan.
    pub range: usize,
    /// Ports that can be drawn.
    pub free: usize,
    /// Ports that are handed out for this address; a shared one counts once.
    pub leased: usize,
    /// Ports that rest for all peers.
    pub resting: usize,
    /// Ports that are handed out for an overlapping address.
    pub overlapped: usize,
    /// Ports that the system refused, or that it lists as held by other programs.
    pub foreign: usize,
    /// Ports that were reserved after the plan was made.
    pub reserved: usize,
}

impl Counts {
    pub(super) fn all_free(len: u16) -> Self {
        let range = usize::from(len);
        Self {
            range,
            free: range,
            ..Self::default()
        }
    }

    pub(super) const fn count_mut(&mut self, state: CellState) -> &mut usize {
        match state {
            CellState::Free => &mut self.free,
            CellState::Leased => &mut self.leased,
            CellState::Reserved => &mut self.reserved,
            CellState::Foreign => &mut self.foreign,
            CellState::Overlapped => &mut self.overlapped,
            CellState::Resting => &mut self.resting,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            range,
            free,
            leased,
            resting,
            overlapped,
            foreign,
            reserved,
        } = self;
        write!(f, "{range} ports: {free} free, {leased} leased")?;
        if *resting > 0 {
            write!(f, ", {resting} resting")?;
        }
        if *overlapped > 0 {
            write!(f, ", {overlapped} leased for overlapping addresses")?;
        }
        if *reserved > 0 {
            write!(f, ", {reserved} reserved")?;
        }
        write!(f, ", {foreign} foreign")
    }
}
