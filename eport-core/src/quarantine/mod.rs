//! The rest of a port before it is used again.
//!
//! A datagram that was on its way when a port changed hands would reach the wrong conversation. It
//! can do so only if it comes from the same peer (a connected socket receives from no other), or if the
//! socket is not connected. [RFC 6888 §4, REQ-8](https://www.rfc-editor.org/rfc/rfc6888#section-4)
//! asks for a rest of 120 s and exempts ports whose conversations are distinguished by the peer. So the
//! rest is one of the pair of port and peer: for all other peers the port is free immediately. A rest
//! of 120 s for each port would allow a range of 16,384 ports no more than 136 conversations a second.

mod deadlines;
mod recent_peers;

use std::time::Duration;

pub(crate) use deadlines::{DeadlineHeap, DeadlineQueue};
pub(crate) use recent_peers::{PeerHash, RecentPeers};

/// The rest of ports after a lease.
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
    /// The least time before a port leased for a peer is leased for that peer again (default 120 s,
    /// rounded up to whole seconds). The filters of recent peers take 8 bytes for each port: enough for
    /// four conversations per port in that time. When there are more, it is counted and the rest is shorter.
    pub same_peer: Duration,
    /// The time before a port leased without a peer is leased again (default 10 s, rounded up to
    /// whole seconds). It should be twice the time after which peers send again: then late
    /// datagrams meet a closed port. Ten seconds suit TFTP and RPC, whose peers repeat after at most 5.
    pub any_peer: Duration,
    /// The share of a space's ports that may rest for all peers at the same time, in percent
    /// (default 25). When more would, the longest rest is cut short.
    pub most_percent: u8,
}

impl Quarantine {
    /// No port rests; for tests, or where datagrams carry an identifier of the conversation.
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

    /// Returns the number of `ports` that may rest for all peers.
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
