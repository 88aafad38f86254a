//! What a pool is told of the world while it works.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Pool;
use super::backoff::whole;
use super::cell::Seconds;
use super::space::SpacePorts;
use crate::address::Space;
use crate::ports::{PortSet, Reserved};

///  Ports that the system lists as somebody else's.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignPorts {
    slots: BTreeMap<Space, Vec<u16>>,
    /// Until when they are believed to be there.
    until: Seconds,
}

impl ForeignPorts {
    /// Tells one space of them.
    pub(super) fn tell(&self, ports: &mut SpacePorts, now: Seconds) {
        if self.until <= now {
            return;
        }
        for slot in self.in_the_way_of(ports.space) {
            ports.mark_foreign(slot, self.until);
        }
    }

    /// Those that take ports away from a space.
    fn in_the_way_of(&self, space: Space) -> BTreeSet<u16> {
        let overlapping = self.slots.iter().filter(|(other, _)| other.overlaps(space));
        overlapping.flat_map(|(_, slots)| slots).copied().collect()
    }
}

impl Pool {
    /// Hands out the ports of `reserved` no more, and those again that were reserved by an earlier
    /// call and no longer are. What was left out when the pool was made stays out; leases stay as
    /// they are. What was reserved before.
    pub fn reserve(&mut self, reserved: Reserved) -> Reserved {
        let ports = reserved.union();
        for index in 0..self.spaces.len() {
            if let Some(known) = self.spaces.get_mut(index) {
                known.reserve(&self.slots, &ports);
            }
            self.close_groups(index, &ports);
        }
        std::mem::replace(&mut self.withheld, reserved)
    }

    /// Passes over the ports that the system lists as in use: all of them, each with its space. Our
    /// own may be among them. A port that was in use and is not listed is free again.
    ///
    /// They are believed to be there for as long as a refused port rests at most
    /// ([`PortPolicy::longest_rest`](crate::PortPolicy::longest_rest)), then they are tried. How many
    /// sockets of others there are.
    pub fn set_foreign_sockets(
        &mut self,
        sockets: impl IntoIterator<Item = (Space, u16)>,
        now: Instant,
    ) -> usize {
        let now = self.seconds(now);
        let mut slots: BTreeMap<Space, Vec<u16>> = BTreeMap::new();
        for (space, port) in sockets {
            if let Some(slot) = self.slots.slot(port)
                && !self.is_ours(space, slot)
            {
                slots.entry(space).or_default().push(slot);
            }
        }
        let rest = whole(self.policy.longest_rest);
        // `now` is rounded down: one second more, or the rest would be shorter than promised.
        let until = now.saturating_add(rest).saturating_add(1);
        let foreign = ForeignPorts { slots, until };
        for ports in &mut self.spaces {
            let listed = foreign.in_the_way_of(ports.space);
            ports.clear_unlisted(|slot| listed.contains(&slot));
            foreign.tell(ports, now);
        }
        self.foreign = foreign;
        self.foreign.slots.values().map(Vec::len).sum()
    }

    /// Whether a socket may be one of ours: a lease has its port.
    fn is_ours(&self, space: Space, slot: u16) -> bool {
        let mut overlapping = self
            .spaces
            .iter()
            .filter(|ports| ports.space.overlaps(space));
        overlapping.any(|ports| ports.record(slot).is_some())
    }

    /// Shared ports that are reserved take in no more peers.
    fn close_groups(&mut self, index: usize, reserved: &PortSet) {
        let Ok(index) = u16::try_from(index) else {
            return;
        };
        let slots = (0..self.slots.len()).filter(|slot| {
            let port = self.slots.port(*slot);
            port.is_some_and(|port| reserved.contains(port))
        });
        for slot in slots.collect::<Vec<u16>>() {
            self.close_group(index, slot);
        }
    }
}
