//! A port that several peers share.

use std::net::SocketAddr;
use std::num::NonZeroU8;

/// How one port is given to several peers when no other is left.
///
/// Sockets that are connected to different peers can be bound to the same port, and each hears its
/// own peer alone. What a stranger sends has to be compared with all of them, so there are few.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sharing {
    /// The most peers of one port: 1 to 64 (default 64). With 64 a datagram of a stranger costs the
    /// kernel about as much as with one; with 18,000 it would cost a thousand times that.
    pub peers_per_port: NonZeroU8,
    /// How many ports of a space are shared (default 256): sharing begins when no more than these
    /// are free. The others serve one peer each.
    pub ports: u16,
}

impl Sharing {
    /// The most peers that one port may have.
    pub const MOST_PEERS: NonZeroU8 = match NonZeroU8::new(64) {
        Some(most) => most,
        None => NonZeroU8::MIN,
    };

    /// Sharing of the last `ports` ports among up to 64 peers each.
    pub const fn of_the_last(ports: u16) -> Self {
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

    pub(super) fn most(self) -> usize {
        usize::from(self.peers_per_port.min(Self::MOST_PEERS).get())
    }
}

impl Default for Sharing {
    fn default() -> Self {
        Self::of_the_last(256)
    }
}

/// The peers of one port: no two of them are equal.
#[derive(Clone, Debug)]
pub(super) struct Group {
    members: Vec<Member>,
    most: usize,
    joined: u32,
    /// Whether others may join: the port is bound, and no one was refused it.
    open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    number: u32,
    peer: SocketAddr,
}

impl Group {
    pub(super) fn new(sharing: Sharing) -> Self {
        Self {
            members: Vec::new(),
            most: sharing.most(),
            joined: 0,
            open: false,
        }
    }

    pub(super) fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    pub(super) fn has_room(&self) -> bool {
        self.open && self.members.len() < self.most
    }

    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        self.members.iter().any(|member| member.peer == peer)
    }

    pub(super) fn peers(&self) -> usize {
        self.members.len()
    }

    /// Takes a peer in, and says under which number.
    pub(super) fn join(&mut self, peer: SocketAddr) -> u32 {
        let number = self.joined;
        self.joined = self.joined.wrapping_add(1);
        self.members.push(Member { number, peer });
        number
    }

    /// Lets the peer with this number go.
    pub(super) fn leave(&mut self, number: u32) -> Option<SocketAddr> {
        let mut members = self.members.iter();
        let at = members.position(|member| member.number == number)?;
        Some(self.members.swap_remove(at).peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    #[test]
    fn a_group_takes_in_as_many_as_it_may_once_it_is_open() {
        let two = NonZeroU8::new(2).expect("not zero");
        let mut group = Group::new(Sharing::default().peers_per_port(two));
        let first = group.join(peer(1));
        assert!(!group.has_room(), "not open");
        group.set_open(true);
        assert!(group.has_room());
        group.join(peer(2));
        assert!(!group.has_room() && group.has(peer(1)));
        assert_eq!(group.leave(first), Some(peer(1)));
        assert_eq!(group.leave(first), None);
        assert!(group.has_room() && !group.has(peer(1)) && group.peers() == 1);
    }
}
