//! The last ports, shared by several peers each.

use std::num::NonZeroU8;

/// The use of one port by several peers, once few ports are left.
///
/// Sockets that are connected to different peers can be bound to the same port; each receives the
/// datagrams of its own peer only. A datagram from any other source has to be compared with all of
/// them, so their number is small.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sharing {
    /// The most peers of one port: 1 to 64 (default 64). With 64 a datagram from another source costs
    /// the kernel about as much as with one; with 18,000 it would cost a thousand times that.
    pub peers_per_port: NonZeroU8,
    /// The number of ports of a space that are shared (default 256): sharing begins when no more than
    /// these are free. The others serve one peer each.
    pub ports: u16,
}

impl Sharing {
    /// The most peers that one port may have.
    pub const MOST_PEERS: NonZeroU8 = match NonZeroU8::new(64) {
        Some(most) => most,
        None => NonZeroU8::MIN,
    };

    /// Returns the sharing of the last `ports` ports among up to 64 peers each.
    pub const fn last_ports(ports: u16) -> Self {
        Self {
            peers_per_port: Self::MOST_PEERS,
            ports,
        }
    }

    /// Sets [`peers_per_port`](Self::peers_per_port).
    #[must_use]
    pub const fn peers_per_port(self, peers_per_port: NonZeroU8) -> Self {
        Self {
            peers_per_port,
            ..self
        }
    }

    /// Returns the most peers of one port, within the bounds of [`MOST_PEERS`](Self::MOST_PEERS).
    pub(crate) fn most_peers(self) -> usize {
        usize::from(self.peers_per_port.min(Self::MOST_PEERS).get())
    }
}

impl Default for Sharing {
    fn default() -> Self {
        Self::last_ports(256)
    }
}
