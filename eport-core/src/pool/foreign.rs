//! Ports that were reserved or found in use after the pool was built.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Pool;
use super::backoff::whole;
use super::cell::Seconds;
use super::space::SpacePorts;
use crate::address::Space;
use crate::ports::{PortSet, Reserved};

/// Ports that the system lists as held by sockets of other programs.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignPorts {
    slots: BTreeMap<Space, Vec<u16>>,
    /// The second until which the list counts.
    until: Seconds,
}

impl ForeignPorts {
    /// Marks them foreign in one space.
    pub(super) fn mark_in(&self, ports: &mut SpacePorts, now: Seconds) {
        if self.until <= now {
            return;
        }
        for slot in self.slots_in(ports.space) {
            ports.mark_foreign(slot, self.until);
        }
    }

    /// Returns the slots that they take from a space.
    fn slots_in(&self, space: Space) -> BTreeSet<u16> {
        let overlapping = self.slots.iter().filter(|(other, _)| other.overlaps(space));
        overlapping.flat_map(|(_, slots)| slots).copied().collect()
    }
}

impl Pool {
    /// Hands out the ports of `reserved` no more, and those again that were reserved by an earlier
    /// call and no longer are. What was left out when the pool was made stays out; leases stay as
    /// they are. Returns the previous reservations.
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

    /// Skips the ports that the system lists as in use: all of them, each with its space. Ports leased
    /// here may be among them. A port that was in use and is not listed is free again.
    ///
    /// The list counts for as long as a refused port rests at most
    /// ([`PortPolicy::longest_rest`](crate::PortPolicy::longest_rest)), then the ports are tried. Returns
    /// the number of sockets of other programs.
    pub fn set_foreign_sockets(
        &mut self,
        sockets: impl IntoIterator<Item = (Space, u16)>,
        now: Instant,
    ) -> usize {
        let now = self.seconds(now);
        let mut slots: BTreeMap<Space, Vec<u16>> = BTreeMap::new();
        for (space, port) in sockets {
            if let Some(slot) = self.slots.slot(port)
                && !self.is_leased(space, slot)
            {
                slots.entry(space).or_default().push(slot);
            }
        }
        let rest = whole(self.policy.longest_rest);
        // `now` is rounded down: one second more, or the rest would be shorter than configured.
        let until = now.saturating_add(rest).saturating_add(1);
        let foreign = ForeignPorts { slots, until };
        for ports in &mut self.spaces {
            let listed = foreign.slots_in(ports.space);
            ports.clear_unlisted(|slot| listed.contains(&slot));
            foreign.mark_in(ports, now);
        }
        self.foreign = foreign;
        self.foreign.slots.values().map(Vec::len).sum()
    }

    /// Returns true if a lease has the port of a socket, which may be its own.
    fn is_leased(&self, space: Space, slot: u16) -> bool {
        let mut overlapping = self
            .spaces
            .iter()
            .filter(|ports| ports.space.overlaps(space));
        overlapping.any(|ports| ports.record(slot).is_some())
    }

    /// Closes the groups of shared ports that are reserved.
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
