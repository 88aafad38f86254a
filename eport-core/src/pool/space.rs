//! The ports of one space: free, leased, resting, held through an overlapping space, or foreign.

use std::net::SocketAddr;

use rand_core::Rng;

use super::backoff::Backoff;
use super::cell::{Cell, CellState, ForeignCause, Seconds};
use super::free_set::FreeSet;
use super::group::Group;
use super::slots::Slots;
use super::state::Counts;
use crate::address::Space;
use crate::policy::PortPolicy;
use crate::ports::PortSet;
use crate::quarantine::{DeadlineHeap, DeadlineQueue};
use crate::strategy::{Conversation, Selector};

/// The number of expired rests that one draw releases, so that no draw takes long.
const RELEASED_PER_DRAW: usize = 32;

/// The record of a lease, or of all leases of a shared port.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) slot: u16,
    pub(super) since: Seconds,
    pub(super) peer: Option<SocketAddr>,
    pub(super) group: Option<Box<Group>>,
}

/// The ports of one space.
#[derive(Clone, Debug)]
pub(super) struct SpacePorts {
    pub(super) space: Space,
    pub(super) last_draw: Seconds,
    backoff: Backoff,
    /// Exactly the slots whose cell is free.
    free: FreeSet,
    cells: Box<[Cell]>,
    records: Vec<Record>,
    /// One entry for each foreign port.
    foreign: DeadlineHeap,
    /// The rests of ports that rest for all peers.
    resting: DeadlineQueue,
    /// The most entries of `resting`.
    most_resting: usize,
    /// The number of cells in each state.
    counts: Counts,
    selector: Selector,
    /// Shared ports that have room for one peer more.
    pub(super) joinable: FreeSet,
}

impl SpacePorts {
    /// Makes a space with all ports free.
    pub(super) fn new(space: Space, len: u16, policy: &PortPolicy) -> Self {
        let free = FreeSet::full(len);
        let ordered = policy.strategy.is_ordered();
        Self {
            space,
            last_draw: 0,
            backoff: Backoff::new(policy),
            free: if ordered { free.ordered() } else { free },
            cells: vec![Cell::default(); usize::from(len)].into(),
            records: Vec::new(),
            foreign: DeadlineHeap::default(),
            resting: DeadlineQueue::default(),
            most_resting: policy.quarantine.max_resting(len),
            counts: Counts::all_free(len),
            selector: Selector::new(policy.strategy, len),
            joinable: FreeSet::empty(if policy.when_full.share.is_some() {
                len
            } else {
                0
            }),
        }
    }

    /// Returns the slot where the search for a port for `peer` begins; `None` if each is to be equally
    /// likely.
    pub(super) fn start<R: Rng + ?Sized>(
        &mut self,
        peer: Option<SocketAddr>,
        rng: &mut R,
        now: Seconds,
    ) -> Option<u16> {
        let space = self.space;
        let local = space.local();
        let conversation = || {
            let protocol = space.protocol().number();
            peer.map(|peer| Conversation::new(protocol, local.ip(), local.scope_id(), peer))
        };
        self.selector.start(conversation, rng, now)
    }

    /// Returns a free slot that suits: the first from `start` on, or any.
    pub(super) fn pick<R: Rng + ?Sized>(
        &self,
        start: Option<u16>,
        rng: &mut R,
        suits: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        match start {
            Some(start) => self.free.next_where(start, suits),
            None => self.free.pick_where(rng, suits),
        }
    }

    /// Returns the free slot that suits and whose last lease for a peer ended first.
    pub(super) fn longest_rested(&self, suits: impl Fn(u16) -> bool) -> Option<u16> {
        let suiting = self.free.iter().filter(|slot| suits(*slot));
        suiting.min_by_key(|slot| self.cell(*slot).and_then(Cell::released))
    }

    pub(super) fn is_free(&self, slot: u16) -> bool {
        self.free.contains(slot)
    }

    pub(super) fn free(&self) -> usize {
        usize::from(self.free.len())
    }

    /// Leases a port that is not leased, found by a search if it was `chosen`.
    pub(super) fn lease(
        &mut self,
        slot: u16,
        peer: Option<SocketAddr>,
        since: Seconds,
        chosen: bool,
    ) {
        self.clear_marks(slot);
        let Ok(index) = u16::try_from(self.records.len()) else {
            return;
        };
        self.change(slot, |cell| cell.lease(index));
        self.records.push(Record {
            slot,
            since,
            peer,
            group: None,
        });
        if chosen {
            self.selector.took(slot);
        }
    }

    /// Ends the foreign mark and the rest of a port that is leased all the same.
    fn clear_marks(&mut self, slot: u16) {
        let Some(cell) = self.cell(slot).copied() else {
            return;
        };
        if cell.foreign.is_some() {
            self.foreign.remove(slot);
            self.change(slot, |cell| cell.foreign = None);
        }
        if cell.rests {
            self.resting.remove(slot);
            self.change(slot, |cell| cell.rests = false);
        }
    }

    /// Ends a lease and returns its record.
    pub(super) fn end(&mut self, slot: u16) -> Option<Record> {
        let index = self.cell(slot)?.record()?;
        self.change(slot, Cell::end_lease);
        if index >= self.records.len() {
            return None;
        }
        let record = self.records.swap_remove(index);
        if let Some(moved) = self.records.get(index).map(|record| record.slot)
            && let Ok(index) = u16::try_from(index)
        {
            self.change(moved, |cell| cell.lease(index));
        }
        Some(record)
    }

    /// Resets the count of refusals, because the port was bound.
    pub(super) fn succeeded(&mut self, slot: u16) {
        self.change(slot, |cell| cell.refusals = 0);
    }

    /// Marks a port foreign that the system refused, for as long as the back-off demands.
    pub(super) fn refuse(&mut self, slot: u16, cause: ForeignCause, now: Seconds) {
        let Some(cell) = self.cell(slot) else { return };
        let refusals = cell.refusals.saturating_add(1);
        self.change(slot, |cell| cell.refusals = refusals);
        // `now` is rounded down: one second more, or the rest would be shorter than configured.
        let until = now
            .saturating_add(self.backoff.after(refusals))
            .saturating_add(1);
        self.set_foreign(slot, cause, until);
    }

    fn set_foreign(&mut self, slot: u16, cause: ForeignCause, until: Seconds) {
        let is_new = self.cell(slot).is_some_and(|cell| cell.foreign.is_none());
        self.change(slot, |cell| cell.foreign = Some(cause));
        if is_new {
            self.foreign.push(slot, until, self.cells.len());
        }
    }

    /// Marks a port foreign until then, because the system lists it as held by another program. One
    /// that is leased, or foreign already, keeps its state.
    pub(super) fn mark_foreign(&mut self, slot: u16, until: Seconds) {
        let is_news = |cell: &Cell| cell.is_unheld() && cell.foreign.is_none();
        if self.cell(slot).is_some_and(is_news) {
            self.set_foreign(slot, ForeignCause::InUse, until);
        }
    }

    /// Ends the foreign mark of ports that were in use and are not `listed` any more.
    pub(super) fn clear_unlisted(&mut self, listed: impl Fn(u16) -> bool) {
        let foreign: Vec<u16> = self.foreign.iter().map(|(_, slot)| slot).collect();
        let in_use = |slot: &u16| {
            let cause = self.cell(*slot).and_then(|cell| cell.foreign);
            cause == Some(ForeignCause::InUse)
        };
        let gone: Vec<u16> = foreign
            .into_iter()
            .filter(|slot| in_use(slot) && !listed(*slot))
            .collect();
        for slot in &gone {
            self.change(*slot, |cell| cell.foreign = None);
        }
        let cells = &self.cells;
        let is_foreign = |slot: u16| {
            let cell = cells.get(usize::from(slot));
            cell.is_some_and(|cell| cell.foreign.is_some())
        };
        self.foreign.retain(is_foreign);
    }

    /// Withholds exactly the ports of `reserved`.
    pub(super) fn reserve(&mut self, slots: &Slots, reserved: &PortSet) {
        for slot in 0..slots.len() {
            let is_reserved = slots.port(slot).is_some_and(|port| reserved.contains(port));
            if self
                .cell(slot)
                .is_some_and(|cell| cell.reserved != is_reserved)
            {
                self.change(slot, |cell| cell.reserved = is_reserved);
            }
        }
    }

    /// Starts the rest of a port for all peers; `true` if the rest of another one was cut short for it.
    pub(super) fn rest(&mut self, slot: u16, until: Seconds) -> bool {
        if self.most_resting == 0 {
            return false;
        }
        if self.cell(slot).is_some_and(|cell| cell.rests) {
            // It was leased in two spaces that this one overlaps; the longer rest counts.
            let until = until.max(self.rests_until(slot));
            self.resting.remove(slot);
            self.resting.push(slot, until);
            return false;
        }
        let full = self.resting.len() >= self.most_resting;
        if full {
            self.end_longest_rest();
        }
        self.change(slot, |cell| cell.rests = true);
        self.resting.push(slot, until);
        full
    }

    /// Ends the longest rest for all peers; `true` if there was one.
    pub(super) fn end_longest_rest(&mut self) -> bool {
        let slot = self.resting.pop();
        if let Some(slot) = slot {
            self.change(slot, |cell| cell.rests = false);
        }
        slot.is_some()
    }

    /// Records that a port was leased for a peer until `now`.
    pub(super) fn record_release(&mut self, slot: u16, now: Seconds) {
        self.change(slot, |cell| cell.record_release(now));
    }

    /// Counts a lease of an overlapping space that holds the port.
    pub(super) fn hold(&mut self, slot: u16) {
        self.change(slot, Cell::hold);
    }

    /// Uncounts a lease of an overlapping space that held the port.
    pub(super) fn unhold(&mut self, slot: u16) {
        self.change(slot, Cell::unhold);
    }

    /// Frees ports whose rest has ended.
    pub(super) fn release_due(&mut self, now: Seconds) {
        self.last_draw = now;
        for _ in 0..RELEASED_PER_DRAW {
            let Some(slot) = self.foreign.pop_due(now) else {
                break;
            };
            self.expire(slot);
        }
        for _ in 0..RELEASED_PER_DRAW {
            let Some(slot) = self.resting.pop_due(now) else {
                break;
            };
            self.change(slot, |cell| cell.rests = false);
        }
    }

    /// Ends the rest of the foreign port whose rest ends first, and returns it.
    pub(super) fn expire_earliest(&mut self) -> Option<u16> {
        let slot = self.foreign.pop()?;
        self.expire(slot);
        Some(slot)
    }

    /// Ends the rest of a foreign port. It keeps its count of refusals, so that the next rest is
    /// longer if nothing has changed.
    fn expire(&mut self, slot: u16) {
        self.change(slot, |cell| cell.foreign = None);
    }

    /// Copies the state of an overlapping space: its leases hold ports here too, and its rests count
    /// here. Returns the number of rests that were cut short for it.
    pub(super) fn copy_overlapping(&mut self, other: &Self) -> u64 {
        for record in &other.records {
            self.hold(record.slot);
        }
        let rests = other.resting.iter();
        let cut = rests.filter(|(until, slot)| self.rest(*slot, *until));
        let cut = u64::try_from(cut.count()).unwrap_or(u64::MAX);
        for (slot, cell) in (0..).zip(&other.cells) {
            if let Some(released) = cell.released()
                && self.cell(slot).and_then(Cell::released) < Some(released)
            {
                self.record_release(slot, released);
            }
        }
        cut
    }

    /// The only place that changes a cell, so that the free set and the counts follow.
    fn change(&mut self, slot: u16, change: impl FnOnce(&mut Cell)) {
        let Some(cell) = self.cells.get_mut(usize::from(slot)) else {
            return;
        };
        let before = cell.state();
        change(cell);
        let after = cell.state();
        if before == after {
            return;
        }
        match (before, after) {
            (CellState::Free, _) => self.free.remove(slot),
            (_, CellState::Free) => self.free.insert(slot),
            _ => false,
        };
        *self.counts.count_mut(before) -= 1;
        *self.counts.count_mut(after) += 1;
    }

    pub(super) fn cell(&self, slot: u16) -> Option<&Cell> {
        self.cells.get(usize::from(slot))
    }

    pub(super) fn record(&self, slot: u16) -> Option<&Record> {
        self.records.get(self.cell(slot)?.record()?)
    }

    pub(super) fn record_mut(&mut self, slot: u16) -> Option<&mut Record> {
        let index = self.cell(slot)?.record()?;
        self.records.get_mut(index)
    }

    pub(super) fn has_leases(&self) -> bool {
        !self.records.is_empty()
    }

    /// Returns true if ports rest here whose rest would be lost with the space.
    pub(super) fn has_rests(&self) -> bool {
        self.resting.len() > 0
    }

    /// Returns the foreign ports, each with the second at which its rest ends.
    pub(super) fn foreign(&self) -> impl Iterator<Item = (Seconds, u16)> + '_ {
        self.foreign.iter()
    }

    /// Returns the second from which a foreign port is tried again.
    pub(super) fn foreign_until(&self, slot: u16) -> Seconds {
        self.foreign.until(slot).unwrap_or(0)
    }

    /// Returns the second in which the rest of a port for all peers ends.
    pub(super) fn rests_until(&self, slot: u16) -> Seconds {
        self.resting.until(slot).unwrap_or(0)
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn a_port_costs_at_most_24_bytes() {
        // Both generations of recent peers take 8 bytes for all spaces together.
        let cell = size_of::<Cell>() + 2 * size_of::<u16>();
        let queued = size_of::<Reverse<(Seconds, u16)>>();
        assert!(cell + 8 <= 24 && cell + queued <= 24, "{cell}, {queued}");
        assert!(size_of::<Record>() <= 96);
    }
}
