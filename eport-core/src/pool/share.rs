//! Ports with several peers.

use std::net::SocketAddr;

use rand_core::Rng;

use super::cell::Seconds;
use super::group::Group;
use super::request::Membership;
use super::space::SpacePorts;
use super::{Pool, PoolLease, PoolRequest};
use crate::policy::Sharing;
use crate::quarantine::PeerHash;

impl Pool {
    /// Lets peers join a shared port, whose first lease is bound now.
    pub fn open_group(&mut self, lease: &PoolLease) {
        if let Some(ports) = self.spaces.get_mut(usize::from(lease.index)) {
            let is_reserved = ports.cell(lease.slot).is_some_and(|cell| cell.reserved);
            ports.change_group(lease.slot, |group| group.set_open(!is_reserved));
        }
    }

    /// Returns the sharing for a request, if few enough ports are free.
    pub(super) fn sharing_now(
        &self,
        request: &PoolRequest,
        index: u16,
    ) -> Option<(Sharing, SocketAddr)> {
        let sharing = self.policy.when_full.share.filter(|_| request.shareable)?;
        let is_low = self.spaces.get(usize::from(index))?.free() <= usize::from(sharing.ports);
        let alone = request.also.is_empty();
        request
            .peer
            .filter(|_| is_low && alone)
            .map(|peer| (sharing, peer))
    }

    /// Leases a free port to the first of several peers.
    pub(super) fn open(
        &mut self,
        index: u16,
        slot: u16,
        sharing: Sharing,
        peer: SocketAddr,
        now: Seconds,
    ) -> PoolLease {
        let lease = self.lease(index, slot, None, now, true);
        let mut group = Group::new(sharing);
        let number = group.join(peer);
        self.usage.add(Some(peer.ip()));
        if let Some(record) = self
            .spaces
            .get_mut(usize::from(index))
            .and_then(|ports| ports.record_mut(slot))
        {
            record.group = Some(Box::new(group));
            self.groups += 1;
        }
        PoolLease {
            membership: Membership::First(number),
            ..lease
        }
    }

    /// Lets a peer join one of the ports that have room, each equally likely.
    pub(super) fn join<R: Rng + ?Sized>(
        &mut self,
        index: u16,
        peer: SocketAddr,
        rng: &mut R,
    ) -> Option<PoolLease> {
        let hash = PeerHash::new(peer);
        let (memory, ports) = (&self.recent_peers, self.spaces.get_mut(usize::from(index))?);
        let rested = ports.pick_group(rng, |slot, group| {
            !group.has(peer) && !memory.contains(slot, hash)
        });
        let slot = rested.or_else(|| {
            let slot = ports.pick_group(rng, |_, group| !group.has(peer))?;
            self.counters.quarantine_broken += 1;
            Some(slot)
        })?;
        let number = ports.change_group(slot, |group| group.join(peer))?;
        self.usage.add(Some(peer.ip()));
        Some(PoolLease {
            index,
            slot,
            port: self.slots.port(slot).unwrap_or(0),
            membership: Membership::Member(number),
        })
    }

    /// Lets a peer leave its port, which rests for it if it was used until `used`. With the last
    /// peer the lease of the port ends.
    pub(super) fn leave(&mut self, lease: &PoolLease, number: u32, used: Option<Seconds>) {
        let Some(ports) = self.spaces.get_mut(usize::from(lease.index)) else {
            return;
        };
        if used.is_some() {
            ports.succeeded(lease.slot);
        }
        let left = ports.change_group(lease.slot, |group| {
            let peer = group.leave(number)?;
            Some((peer, group.peers() == 0))
        });
        let Some((peer, is_empty)) = left.flatten() else {
            return;
        };
        self.usage.subtract(Some(peer.ip()));
        if is_empty {
            ports.joinable.remove(lease.slot);
            self.groups -= 1;
            self.end(lease);
        }
        if let Some(now) = used {
            self.record_release(lease.index, lease.slot, PeerHash::new(peer), now);
        }
    }

    /// Stops peers from joining a port.
    pub(super) fn close_group(&mut self, index: u16, slot: u16) {
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            ports.change_group(slot, |group| group.set_open(false));
        }
    }
}

impl SpacePorts {
    /// Returns a shared port that has room and suits, each equally likely.
    fn pick_group<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        suits: impl Fn(u16, &Group) -> bool,
    ) -> Option<u16> {
        let suits = |slot| self.group(slot).is_some_and(|group| suits(slot, group));
        self.joinable.pick_where(rng, suits)
    }

    /// Returns the peers of a shared port.
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
