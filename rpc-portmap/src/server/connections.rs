//! Limits on open connections, and eviction of idle ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use eport_core::limit::{Prefix, PrefixLengths};
use tokio_util::sync::CancellationToken;

use super::caller::Peer;

/// The open connections of a server, bounded in total and per peer.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_peer: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The start of the idle period; `None` while a call is being answered.
    idle_since: Option<Instant>,
    /// Set for TCP; a unix connection is never evicted.
    evictable: bool,
    /// The peer whose share it counts towards; `None` for peers without a share.
    from: Option<PeerKey>,
    evicted: CancellationToken,
}

/// The unit that shares a limit: a /32 of IPv4 or a /64 of IPv6, since a machine can take any
/// number of addresses of its /64; on the unix socket, a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PeerKey {
    Prefix(Prefix),
    User(u32),
}

impl PeerKey {
    /// Returns `None` for root, who runs services by the dozen, and for loopback TCP, on which
    /// users cannot be distinguished.
    fn new(peer: &Peer) -> Option<Self> {
        match peer {
            Peer::Unix { uid: 0, .. } => None,
            Peer::Unix { uid, .. } => Some(Self::User(*uid)),
            Peer::Ip(address) => match address.ip().to_canonical() {
                ip if ip.is_loopback() => None,
                ip => Some(Self::Prefix(PrefixLengths::HOST.prefix(ip))),
            },
        }
    }
}

impl Connections {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Self {
        Self {
            most,
            most_per_peer,
            entries: Mutex::default(),
        }
    }

    /// Issues a permit for a connection; `None` if no connection can be evicted.
    ///
    /// Idle TCP connections can be evicted. Unix connections cannot: the kernel's connection to its
    /// portmapper stays idle for months.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer, now: Instant) -> Option<ConnectionPermit> {
        let from = PeerKey::new(peer);
        let evictable = matches!(peer, Peer::Ip(_));
        let mut entries = self.lock();
        if from.is_some_and(|from| entries.count(from) >= self.most_per_peer)
            && !entries.evict_idle(|entry| entry.from == from)
        {
            return None;
        }
        if entries.open.len() >= self.most && !entries.evict_idle(|_| true) {
            return None;
        }
        let number = entries.next;
        entries.next += 1;
        let evicted = CancellationToken::new();
        let entry = Entry {
            idle_since: Some(now),
            evictable,
            from,
            evicted: evicted.clone(),
        };
        entries.open.insert(number, entry);
        Some(ConnectionPermit {
            number,
            evicted,
            connections: Arc::clone(self),
        })
    }

    /// Evicts the TCP connection that has been idle for longest, to free a descriptor.
    pub(super) fn evict_idle(&self) -> bool {
        self.lock().evict_idle(|_| true)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics while the lock is held, and every intermediate state of the table is
        // valid.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn count(&self, key: PeerKey) -> usize {
        let same = |entry: &&Entry| entry.from == Some(key);
        self.open.values().filter(same).count()
    }

    fn evict_idle(&mut self, may: impl Fn(&Entry) -> bool) -> bool {
        let oldest = self
            .open
            .iter()
            .filter(|(_, entry)| entry.evictable && may(entry))
            .filter_map(|(number, entry)| Some((entry.idle_since?, *number)))
            .min();
        let Some((_, number)) = oldest else {
            return false;
        };
        if let Some(entry) = self.open.remove(&number) {
            entry.evicted.cancel();
        }
        true
    }
}

/// A place in the table of connections, freed on drop.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    number: u64,
    evicted: CancellationToken,
    connections: Arc<Connections>,
}

impl ConnectionPermit {
    /// Marks the connection as busy: a call is being answered.
    pub(super) fn busy(&self) {
        self.set(None);
    }

    /// Marks the connection as idle since `now`: all calls are answered.
    pub(super) fn idle(&self, now: Instant) {
        self.set(Some(now));
    }

    /// Waits until the connection is evicted in favour of another one.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn set(&self, idle_since: Option<Instant>) {
        if let Some(entry) = self.connections.lock().open.get_mut(&self.number) {
            entry.idle_since = idle_since;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_connection_that_has_been_idle_for_longest_goes_first() {
        let connections = Arc::new(Connections::new(3, 3));
        let unix = connections.admit(&user(0), at(0)).expect("a permit");
        let first = connections
            .admit(&ip("192.0.2.1"), at(1))
            .expect("a permit");
        let second = connections
            .admit(&ip("192.0.2.2"), at(2))
            .expect("a permit");
        first.idle(at(3));
        let third = connections.admit(&ip("192.0.2.3"), at(4));
        let third = third.expect("the second one's");
        assert!(second.evicted.is_cancelled());
        assert!(!first.evicted.is_cancelled() && !unix.evicted.is_cancelled());
        first.busy();
        third.busy();
        assert!(connections.admit(&ip("192.0.2.4"), at(5)).is_none());
        drop(first);
        assert!(connections.admit(&ip("192.0.2.4"), at(6)).is_some());
    }

    #[test]
    fn a_peer_at_its_share_evicts_only_its_own_connections() {
        let connections = Arc::new(Connections::new(100, 2));
        let other = connections
            .admit(&ip("192.0.2.9"), at(0))
            .expect("a permit");
        let first = connections.admit(&ip("2001:db8::1"), at(1));
        let first = first.expect("a permit");
        let second = connections.admit(&ip("2001:db8::2"), at(2));
        let second = second.expect("a permit");
        first.busy();
        let third = connections.admit(&ip("2001:db8::3"), at(3));
        let third = third.expect("the second one's");
        assert!(second.evicted.is_cancelled() && !other.evicted.is_cancelled());
        third.busy();
        assert!(connections.admit(&ip("2001:db8::4"), at(4)).is_none());
        assert!(connections.admit(&ip("2001:db8:0:1::4"), at(4)).is_some());
    }

    #[test]
    fn users_share_the_unix_socket_and_root_and_this_machine_have_no_share() {
        let connections = Arc::new(Connections::new(100, 2));
        let entries = [(1000, true), (1000, true), (1000, false), (1001, true)];
        let mut held = Vec::new();
        for (uid, admitted) in entries {
            let permit = connections.admit(&user(uid), at(0));
            assert_eq!(permit.is_some(), admitted, "{uid}");
            held.extend(permit);
        }
        for peer in [user(0), ip("127.0.0.1"), ip("::1"), ip("::ffff:127.0.0.1")] {
            for _ in 0..5 {
                held.push(connections.admit(&peer, at(0)).expect("a permit"));
            }
        }
        assert!(held.iter().all(|permit| !permit.evicted.is_cancelled()));
    }

    fn at(seconds: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(crate::transport::now) + Duration::from_secs(seconds)
    }

    fn ip(address: &str) -> Peer {
        let ip: IpAddr = address.parse().expect("an address");
        Peer::Ip((ip, 700).into())
    }

    const fn user(uid: u32) -> Peer {
        Peer::Unix {
            uid,
            gid: 0,
            pid: None,
        }
    }
}
