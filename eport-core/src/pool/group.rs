//! The peers of a shared port.

use std::net::SocketAddr;

use crate::policy::Sharing;

/// The peers of one port: no two of them are equal.
#[derive(Clone, Debug)]
pub(super) struct Group {
    members: Vec<Member>,
    most: usize,
    joined: u32,
    /// Set while peers may join: the port is bound, and no bind of it was refused.
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
            most: sharing.most_peers(),
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

    /// Adds a peer and returns its number.
    pub(super) fn join(&mut self, peer: SocketAddr) -> u32 {
        let number = self.joined;
        self.joined = self.joined.wrapping_add(1);
        self.members.push(Member { number, peer });
        number
    }

    /// Removes the peer with this number.
    pub(super) fn leave(&mut self, number: u32) -> Option<SocketAddr> {
        let mut members = self.members.iter();
        let at = members.position(|member| member.number == number)?;
        Some(self.members.swap_remove(at).peer)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

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
