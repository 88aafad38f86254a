//! Ports with several peers.

use std::net::SocketAddr;

use rand_core::Rng;

use super::cell::Seconds;
use super::group::Group;
use super::ports::Ports;
use super::want::Share;
use super::{Held, Pool, Sharing, Want};
use crate::quarantine::PeerHash;

impl Pool {
    /// The first lease of a shared port is bound: others may join.
    pub fn opened(&mut self, held: &Held) {
        if let Some(ports) = self.places.get_mut(usize::from(held.place)) {
            ports.change_group(held.slot, |group| group.set_open(true));
        }
    }

    /// How the port for a request is shared, if ports are so few that it is.
    pub(super) fn sharing_now(&self, want: &Want, place: u16) -> Option<(Sharing, SocketAddr)> {
        let sharing = self.rules.sharing.filter(|_| want.shareable)?;
        let is_low = self.places.get(usize::from(place))?.free() <= usize::from(sharing.ports);
        let alone = want.also.is_empty();
        want.peer
            .filter(|_| is_low && alone)
            .map(|peer| (sharing, peer))
    }

    /// Leases a free port to the first of several peers.
    pub(super) fn open(
        &mut self,
        place: u16,
        slot: u16,
        sharing: Sharing,
        peer: SocketAddr,
        now: Seconds,
    ) -> Held {
        let held = self.lease(place, slot, None, now, true);
        let mut group = Group::new(sharing);
        let number = group.join(peer);
        self.usage.add(Some(peer.ip()));
        if let Some(record) = self
            .places
            .get_mut(usize::from(place))
            .and_then(|ports| ports.record_mut(slot))
        {
            record.group = Some(Box::new(group));
            self.groups += 1;
        }
        Held {
            share: Share::First(number),
            ..held
        }
    }

    /// Lets a peer join one of the ports that have room, each equally likely.
    pub(super) fn join<R: Rng + ?Sized>(
        &mut self,
        place: u16,
        peer: SocketAddr,
        rng: &mut R,
        now: Seconds,
    ) -> Option<Held> {
        let hash = PeerHash::of(peer);
        let ports = self.places.get_mut(usize::from(place))?;
        let rest = ports.rests.same_peer;
        let has = |group: &Group| group.has(peer);
        let rests = |group: &Group| group.rests_for(hash, rest, now);
        let rested = ports.pick_group(rng, |group| !has(group) && !rests(group));
        let slot = rested.or_else(|| {
            let slot = ports.pick_group(rng, |group| !has(group))?;
            self.tally.quarantine_broken += 1;
            Some(slot)
        })?;
        let number = ports.change_group(slot, |group| group.join(peer))?;
        self.usage.add(Some(peer.ip()));
        Some(Held {
            place,
            slot,
            port: self.slots.port(slot).unwrap_or(0),
            share: Share::Member(number),
        })
    }

    /// Lets a peer leave its port, which rests for it if it was used until `used`. With the last
    /// peer the lease of the port ends.
    pub(super) fn leave(&mut self, held: &Held, number: u32, used: Option<Seconds>) {
        let rest = self.rests.same_peer;
        let Some(ports) = self.places.get_mut(usize::from(held.place)) else {
            return;
        };
        if used.is_some() {
            ports.worked(held.slot);
        }
        let left = ports.change_group(held.slot, |group| {
            let peer = group.leave(number)?;
            let remembered = used.filter(|_| rest > 0);
            let broken =
                remembered.is_some_and(|now| group.remember(PeerHash::of(peer), rest, now));
            Some((peer, group.peers() == 0, broken))
        });
        let Some((peer, is_empty, broken)) = left.flatten() else {
            return;
        };
        self.usage.subtract(Some(peer.ip()));
        self.tally.quarantine_broken += u64::from(broken);
        if is_empty {
            self.dissolve(held, used);
        }
    }

    /// Ends the lease of a port whose last peer has left.
    fn dissolve(&mut self, held: &Held, used: Option<Seconds>) {
        if let Some(ports) = self.places.get_mut(usize::from(held.place)) {
            ports.joinable.remove(held.slot);
        }
        let ended = self.end(held);
        self.groups -= 1;
        let departed = ended
            .and_then(|record| record.group)
            .and_then(|group| group.departed(self.rests.same_peer));
        let Some(((peer, left), others)) = departed else {
            return;
        };
        // A free port remembers one peer. While others rest as well, nobody gets it.
        self.remember(held.place, held.slot, peer, left);
        if let Some(until) = others.filter(|until| used.is_none_or(|now| now < *until)) {
            self.rest_until(held.place, held.slot, until);
        }
    }

    /// Nobody else may join a port.
    pub(super) fn close_group(&mut self, place: u16, slot: u16) {
        if let Some(ports) = self.places.get_mut(usize::from(place)) {
            ports.change_group(slot, |group| group.set_open(false));
        }
    }
}

impl Ports {
    /// A shared port that has room and suits, each equally likely.
    fn pick_group<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        suits: impl Fn(&Group) -> bool,
    ) -> Option<u16> {
        self.joinable
            .pick_where(rng, |slot| self.group(slot).is_some_and(&suits))
    }

    /// The peers of a shared port.
    pub(super) fn group(&self, slot: u16) -> Option<&Group> {
        self.record(slot)?.group.as_deref()
    }

    /// The only place that changes a group, so that the set of those with room follows.
    fn change_group<T>(&mut self, slot: u16, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let group = self.record_mut(slot)?.group.as_deref_mut()?;
        let result = change(group);
        if group.has_room() {
            self.joinable.insert(slot);
        } else {
            self.joinable.remove(slot);
        }
        Some(result)
    }
}
