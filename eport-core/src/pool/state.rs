//! What the pool says about its ports.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::cell::{CellState, ForeignCause};
use crate::address::Space;
use crate::ports::Source;

/// What is the case with one port of a [`Space`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PortState {
    /// It was never asked for, so it is never handed out.
    NotInRange,
    /// It was asked for and is left out, from the beginning or since the host was read again.
    Reserved(Vec<Source>),
    /// It may be the next one to be handed out.
    Free,
    /// It is handed out.
    Leased {
        /// To whom, if the peer is known.
        peer: Option<SocketAddr>,
        /// Since when, to the second.
        since: Instant,
    },
    /// It is handed out to several peers, each with a socket of its own.
    Shared {
        /// To how many at the moment.
        peers: usize,
        /// Since when, to the second.
        since: Instant,
    },
    /// Its last lease was for nobody in particular: it rests, and nobody gets it.
    Resting {
        /// When it is drawn from again at the latest.
        until: Instant,
    },
    /// Its last lease was for a peer, which does not get it again yet; for everybody else it is
    /// free.
    RestingForPeer {
        /// When the peer may get it again at the earliest.
        until: Instant,
    },
    /// It is handed out for an address that includes this one or is included in it.
    Overlapped(Vec<Space>),
    /// The system refused it, or lists it as somebody else's; it is tried again later.
    Foreign {
        /// Why.
        cause: ForeignCause,
        /// How many times in a row it was refused; 0 if it was never tried.
        refusals: u8,
        /// When it is drawn from again at the latest.
        until: Instant,
    },
}

impl PortState {
    /// Whether a request that names the port may have it, if the system agrees.
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

/// How many ports of a [`Space`] are in which state.
///
/// `free + leased + resting + overlapped + foreign + reserved = range`, always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    ///  Ports that are handed out here at all.
    pub range: usize,
    ///  Ports that can be drawn.
    pub free: usize,
    ///  Ports that are handed out for this address; a shared one counts once.
    pub leased: usize,
    ///  Ports that rest for everybody.
    pub resting: usize,
    ///  Ports that are handed out for an overlapping address.
    pub overlapped: usize,
    ///  Ports that the system refused, or that it lists as somebody else's.
    pub foreign: usize,
    ///  Ports that somebody reserved after they were planned for.
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
