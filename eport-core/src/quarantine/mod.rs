//! How long a port rests before it is used again.
//!
//! A datagram that was on its way when a port changed hands would reach the wrong conversation. It
//! can do so only if it comes from the same peer (a connected socket hears nobody else), or if the
//! socket hears everybody. [RFC 6888 §4, REQ-8](https://www.rfc-editor.org/rfc/rfc6888#section-4)
//! asks for a rest of 120 s and exempts ports whose conversations are told apart by the peer. So the
//! rest is one of the pair of port and peer: for everybody else the port is free at once. A rest
//! of 120 s for each port would allow a range of 16,384 ports no more than 136 conversations a second.

mod deadlines;
mod recent_peers;

use std::time::Duration;

pub(crate) use deadlines::{DeadlineHeap, DeadlineQueue};
pub(crate) use recent_peers::{PeerHash, RecentPeers};

/// How long ports rest after a lease.
///
/// When no other port is left, the one that has rested longest is handed out before its time, and
/// counted ([`Stats::quarantine_broken`](crate::Stats::quarantine_broken)): a late datagram is less
/// likely than a refused conversation is bad.
#[cfg_attr(
    not(feature = "net"),
    expect(rustdoc::broken_intra_doc_links, reason = "names parts behind `net`")
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quarantine {
    /// How long a port leased for a peer is not leased for that peer again, at least (default 120 s,
    /// rounded up to whole seconds). What is remembered takes 8 bytes for each port: enough for four
    /// conversations per port in that time. When there are more, it is counted and the rest is shorter.
    pub same_peer: Duration,
    /// How long a port leased without a peer is not leased to anybody (default 10 s, rounded up to
    /// whole seconds). It should be twice the time after which peers send again: then what comes
    /// late meets a closed port. Ten seconds suit TFTP and RPC, whose peers repeat after at most 5.
    pub any_peer: Duration,
    /// The share of a space's ports that may rest for everybody at the same time, in percent
    /// (default 25). When more would, the one that has rested longest is let go early.
    pub most_percent: u8,
}

impl Quarantine {
    /// No port rests; for tests, or where datagrams carry something that tells conversations apart.
    pub const NONE: Self = Self {
        same_peer: Duration::ZERO,
        any_peer: Duration::ZERO,
        most_percent: 0,
    };

    /// Sets [`same_peer`](Self::same_peer).
    #[must_use]
    pub const fn same_peer(self, same_peer: Duration) -> Self {
        Self { same_peer, ..self }
    }

    /// Sets [`any_peer`](Self::any_peer).
    #[must_use]
    pub const fn any_peer(self, any_peer: Duration) -> Self {
        Self { any_peer, ..self }
    }

    /// Sets [`most_percent`](Self::most_percent).
    #[must_use]
    pub const fn most_percent(self, most_percent: u8) -> Self {
        Self {
            most_percent,
            ..self
        }
    }

    /// How many of `ports` may rest for everybody.
    pub(crate) fn max_resting(&self, ports: u16) -> usize {
        usize::from(ports) * usize::from(self.most_percent.min(100)) / 100
    }
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            same_peer: Duration::from_secs(120),
            any_peer: Duration::from_secs(10),
            most_percent: 25,
        }
    }
}
