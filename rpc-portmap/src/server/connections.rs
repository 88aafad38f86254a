//! How many connections there may be, and who goes when there are too many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::caller::Peer;

/// The seats of a server.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_peer: usize,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Occupant>,
}

#[derive(Debug)]
struct Occupant {
    /// Since when nothing has been asked; `None` while something is being answered.
    idle_since: Option<Instant>,
    /// Whether it may be asked to leave.
    evictable: bool,
    /// Whose share it counts towards; `None` for those who may have all.
    from: Option<Origin>,
    leave: CancellationToken,
}

/// Who shares a share of the connections: a machine (IPv6: a network of /64, of which a machine can
/// take any number of addresses), or a user of this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    Network(IpAddr),
    User(u32),
}

impl Origin {
    /// Root runs services by the dozen, and this machine's own TCP is not told apart by user.
    fn of(peer: &Peer) -> Option<Self> {
        match peer {
            Peer::Unix { uid: 0, .. } => None,
            Peer::Unix { uid, .. } => Some(Self::User(*uid)),
            Peer::Ip(address) => match address.ip().to_canonical() {
                ip if ip.is_loopback() => None,
                IpAddr::V4(v4) => Some(Self::Network(v4.into())),
                IpAddr::V6(v6) => {
                    let network = Ipv6Addr::from(u128::from(v6) >> 64 << 64);
                    Some(Self::Network(network.into()))
                }
            },
        }
    }
}

impl Connections {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Self {
        Self {
            most,
            most_per_peer,
            seats: Mutex::default(),
        }
    }

    /// A seat for a connection; `None` if all that it could have are taken by such as may stay.
    ///
    /// TCP connections that are idle may be asked to leave. Unix connections are not: the kernel's
    /// own to its portmapper is idle for months.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer, now: Instant) -> Option<Seat> {
        let from = Origin::of(peer);
        let evictable = matches!(peer, Peer::Ip(_));
        let mut seats = self.lock();
        if from.is_some_and(|from| seats.of(from) >= self.most_per_peer)
            && !seats.evict_one(|occupant| occupant.from == from)
        {
            return None;
        }
        if seats.taken.len() >= self.most && !seats.evict_one(|_| true) {
            return None;
        }
        let number = seats.next;
        seats.next += 1;
        let leave = CancellationToken::new();
        let occupant = Occupant {
            idle_since: Some(now),
            evictable,
            from,
            leave: leave.clone(),
        };
        seats.taken.insert(number, occupant);
        Some(Seat {
            number,
            leave,
            connections: Arc::clone(self),
        })
    }

    /// Makes room for a descriptor, if there is one to spare.
    pub(super) fn evict_one(&self) -> bool {
        self.lock().evict_one(|_| true)
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing panics while it is locked, and a table of connections is sound at every moment.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn of(&self, origin: Origin) -> usize {
        let same = |occupant: &&Occupant| occupant.from == Some(origin);
        self.taken.values().filter(same).count()
    }

    fn evict_one(&mut self, may: impl Fn(&Occupant) -> bool) -> bool {
        let oldest = self
            .taken
            .iter()
            .filter(|(_, occupant)| occupant.evictable && may(occupant))
            .filter_map(|(number, occupant)| Some((occupant.idle_since?, *number)))
            .min();
        let Some((_, number)) = oldest else {
            return false;
        };
        if let Some(occupant) = self.taken.remove(&number) {
            occupant.leave.cancel();
        }
        true
    }
}

/// The right to be connected.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    leave: CancellationToken,
    connections: Arc<Connections>,
}

impl Seat {
    /// Says that something is being answered.
    pub(super) fn busy(&self) {
        self.set(None);
    }

    /// Says that everything has been answered.
    pub(super) fn idle(&self, now: Instant) {
        self.set(Some(now));
    }

    /// Waits until somebody else needs the seat more.
    pub(super) async fn evicted(&self) {
        self.leave.cancelled().await;
    }

    fn set(&self, idle_since: Option<Instant>) {
        if let Some(occupant) = self.connections.lock().taken.get_mut(&self.number) {
            occupant.idle_since = idle_since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_connection_that_has_been_idle_for_longest_goes_first() {
        let connections = Arc::new(Connections::new(3, 3));
        let unix = connections.admit(&user(0), at(0)).expect("a seat");
        let first = connections.admit(&ip("192.0.2.1"), at(1)).expect("a seat");
        let second = connections.admit(&ip("192.0.2.2"), at(2)).expect("a seat");
        first.idle(at(3));
        let third = connections.admit(&ip("192.0.2.3"), at(4));
        let third = third.expect("the second one's");
        assert!(second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !unix.leave.is_cancelled());
        first.busy();
        third.busy();
        assert!(connections.admit(&ip("192.0.2.4"), at(5)).is_none());
        drop(first);
        assert!(connections.admit(&ip("192.0.2.4"), at(6)).is_some());
    }

    #[test]
    fn a_peer_with_its_share_makes_room_for_itself_and_is_in_nobodys_way() {
        let connections = Arc::new(Connections::new(100, 2));
        let other = connections.admit(&ip("192.0.2.9"), at(0)).expect("a seat");
        let first = connections.admit(&ip("2001:db8::1"), at(1));
        let first = first.expect("a seat");
        let second = connections.admit(&ip("2001:db8::2"), at(2));
        let second = second.expect("a seat");
        first.busy();
        let third = connections.admit(&ip("2001:db8::3"), at(3));
        let third = third.expect("the second one's");
        assert!(second.leave.is_cancelled() && !other.leave.is_cancelled());
        third.busy();
        assert!(connections.admit(&ip("2001:db8::4"), at(4)).is_none());
        assert!(connections.admit(&ip("2001:db8:0:1::4"), at(4)).is_some());
    }

    #[test]
    fn users_share_the_unix_socket_and_root_and_this_machine_have_no_share() {
        let connections = Arc::new(Connections::new(100, 2));
        let seats = [(1000, true), (1000, true), (1000, false), (1001, true)];
        let mut held = Vec::new();
        for (uid, admitted) in seats {
            let seat = connections.admit(&user(uid), at(0));
            assert_eq!(seat.is_some(), admitted, "{uid}");
            held.extend(seat);
        }
        for peer in [user(0), ip("127.0.0.1"), ip("::1"), ip("::ffff:127.0.0.1")] {
            for _ in 0..5 {
                held.push(connections.admit(&peer, at(0)).expect("a seat"));
            }
        }
        assert!(held.iter().all(|seat| !seat.leave.is_cancelled()));
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
