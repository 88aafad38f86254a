//! The ports of one space: free, leased, held through an overlapping space, or foreign.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use rand_core::Rng;

use super::free::FreeSet;
use super::space::Space;
use super::state::{Counts, ForeignCause};

/// Foreign ports whose rest is over are let back in small portions, so that no draw takes long.
const FORGIVEN_PER_DRAW: usize = 32;

/// Seconds since the pool began. Four bytes instead of sixteen, in a table with a row for each port.
pub(super) type Seconds = u32;

/// How long a refused port rests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    pub(super) first: Seconds,
    pub(super) longest: Seconds,
}

impl Penalty {
    /// The rest after so many refusals in a row: the first one, doubled each time.
    fn after(self, refusals: u8) -> Seconds {
        let doublings = u32::from(refusals.saturating_sub(1)).min(31);
        let rest = u64::from(self.first) << doublings;
        Seconds::try_from(rest)
            .unwrap_or(Seconds::MAX)
            .min(self.longest)
    }
}

/// A lease as the pool remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) slot: u16,
    pub(super) since: Seconds,
    pub(super) peer: Option<SocketAddr>,
}

/// What is known of one port, 12 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// When a foreign port may be tried again; 0 when the port is not foreign.
    pub(super) until: Seconds,
    /// How many leases of overlapping spaces hold the port.
    holders: u16,
    /// Where the lease is in `records`, or [`NO_RECORD`].
    record: u16,
    /// Refusals since the port was last bound.
    pub(super) refusals: u8,
    pub(super) cause: ForeignCause,
}

/// No lease has this index: there are at most 65535 ports, so the last index is 65534.
const NO_RECORD: u16 = u16::MAX;

impl Cell {
    const FRESH: Self = Self {
        until: 0,
        holders: 0,
        record: NO_RECORD,
        refusals: 0,
        cause: ForeignCause::InUse,
    };

    const fn is_free(&self) -> bool {
        self.until == 0 && self.holders == 0 && self.record == NO_RECORD
    }
}

/// The ports of one space.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) space: Space,
    pub(super) last_draw: Seconds,
    /// Exactly the slots whose cell is free.
    free: FreeSet,
    cells: Box<[Cell]>,
    records: Vec<Record>,
    /// One entry for each foreign port, the earliest end of rest first.
    foreign: BinaryHeap<Reverse<(Seconds, u16)>>,
}

impl Ports {
    /// All ports free.
    pub(super) fn new(space: Space, len: u16) -> Self {
        Self {
            space,
            last_draw: 0,
            free: FreeSet::full(len),
            cells: vec![Cell::FRESH; usize::from(len)].into(),
            records: Vec::new(),
            foreign: BinaryHeap::new(),
        }
    }

    /// Leases a free port, each equally likely.
    pub(super) fn draw<R: Rng + ?Sized>(
        &mut self,
        rng: &mut R,
        peer: Option<SocketAddr>,
        now: Seconds,
    ) -> Option<u16> {
        self.forgive(now);
        self.last_draw = now;
        let slot = self.free.pick(rng)?;
        self.lease(slot, peer, now);
        Some(slot)
    }

    /// Leases the foreign port whose rest ends first, before it has ended.
    pub(super) fn recheck(&mut self, peer: Option<SocketAddr>, now: Seconds) -> Option<u16> {
        while let Some(Reverse((_, slot))) = self.foreign.pop() {
            if self.pardon(slot) {
                self.lease(slot, peer, now);
                return Some(slot);
            }
        }
        None
    }

    fn lease(&mut self, slot: u16, peer: Option<SocketAddr>, since: Seconds) {
        let index = u16::try_from(self.records.len()).unwrap_or(NO_RECORD);
        if let Some(cell) = self.cells.get_mut(usize::from(slot)) {
            cell.record = index;
            self.records.push(Record { slot, since, peer });
            self.free.remove(slot);
        }
    }

    /// Ends a lease whose port worked.
    pub(super) fn release(&mut self, slot: u16) {
        self.end(slot);
        if let Some(cell) = self.cells.get_mut(usize::from(slot)) {
            cell.refusals = 0;
        }
        self.free_if_idle(slot);
    }

    /// Ends a lease whose port the system refused, and lets the port rest.
    pub(super) fn refuse(
        &mut self,
        slot: u16,
        cause: ForeignCause,
        penalty: Penalty,
        now: Seconds,
    ) {
        self.end(slot);
        let Some(cell) = self.cells.get_mut(usize::from(slot)) else {
            return;
        };
        cell.refusals = cell.refusals.saturating_add(1);
        cell.cause = cause;
        // `now` is rounded down: one second more, or the rest would be shorter than promised.
        cell.until = now
            .saturating_add(penalty.after(cell.refusals))
            .saturating_add(1);
        let entry = Reverse((cell.until, slot));
        if self.foreign.len() == self.foreign.capacity() {
            // Doubling, but never beyond one entry for each port.
            let room = self.cells.len() - self.foreign.len();
            self.foreign
                .reserve_exact(self.foreign.len().max(16).min(room));
        }
        self.foreign.push(entry);
    }

    fn end(&mut self, slot: u16) {
        let Some(cell) = self.cells.get_mut(usize::from(slot)) else {
            return;
        };
        let index = std::mem::replace(&mut cell.record, NO_RECORD);
        if usize::from(index) >= self.records.len() {
            return;
        }
        self.records.swap_remove(usize::from(index));
        if let Some(moved) = self.records.get(usize::from(index))
            && let Some(cell) = self.cells.get_mut(usize::from(moved.slot))
        {
            cell.record = index;
        }
    }

    /// A lease of an overlapping space holds the port from now on.
    pub(super) fn hold(&mut self, slot: u16) {
        if let Some(cell) = self.cells.get_mut(usize::from(slot)) {
            cell.holders = cell.holders.saturating_add(1);
            self.free.remove(slot);
        }
    }

    /// A lease of an overlapping space no longer holds the port.
    pub(super) fn unhold(&mut self, slot: u16) {
        if let Some(cell) = self.cells.get_mut(usize::from(slot)) {
            cell.holders = cell.holders.saturating_sub(1);
            self.free_if_idle(slot);
        }
    }

    /// Lets foreign ports back in whose rest is over.
    fn forgive(&mut self, now: Seconds) {
        for _ in 0..FORGIVEN_PER_DRAW {
            match self.foreign.peek() {
                Some(Reverse((until, slot))) if *until <= now => {
                    let slot = *slot;
                    self.foreign.pop();
                    self.pardon(slot);
                }
                _ => return,
            }
        }
    }

    /// Ends the rest of a foreign port; whether it is free now. It keeps its count of refusals, so
    /// that the next rest is longer if nothing has changed.
    fn pardon(&mut self, slot: u16) -> bool {
        if let Some(cell) = self.cells.get_mut(usize::from(slot)) {
            cell.until = 0;
        }
        self.free_if_idle(slot)
    }

    fn free_if_idle(&mut self, slot: u16) -> bool {
        let idle = self.cells.get(usize::from(slot)).is_some_and(Cell::is_free);
        idle && self.free.insert(slot)
    }

    pub(super) fn cell(&self, slot: u16) -> Option<&Cell> {
        self.cells.get(usize::from(slot))
    }

    pub(super) fn record(&self, slot: u16) -> Option<&Record> {
        let index = self.cells.get(usize::from(slot))?.record;
        self.records.get(usize::from(index))
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn counts(&self) -> Counts {
        let (range, free) = (self.cells.len(), usize::from(self.free.len()));
        let (leased, foreign) = (self.records.len(), self.foreign.len());
        // Whatever is none of these is held through another space.
        Counts {
            range,
            free,
            leased,
            foreign,
            overlapped: range - free - leased - foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_rest_doubles_up_to_its_limit() {
        let penalty = Penalty {
            first: 1,
            longest: 300,
        };
        let rests: Vec<_> = (1..=11).map(|refusals| penalty.after(refusals)).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(penalty.after(u8::MAX), 300);
        assert_eq!(
            Penalty {
                first: 3,
                longest: u32::MAX
            }
            .after(u8::MAX),
            u32::MAX
        );
    }

    #[test]
    fn a_port_costs_at_most_24_bytes() {
        let cell = size_of::<Cell>() + 2 * size_of::<u16>();
        let foreign = size_of::<Reverse<(Seconds, u16)>>();
        assert!(cell <= 16 && cell + foreign <= 24, "{cell} + {foreign}");
        assert!(size_of::<Record>() <= 96);
    }

    #[test]
    fn the_list_of_foreign_ports_never_outgrows_the_range() {
        let space = Space::udp(std::net::Ipv4Addr::LOCALHOST);
        let mut ports = Ports::new(space, 1000);
        let mut rng = ChaCha8Rng::from_seed([0; 32]);
        while let Some(slot) = ports.draw(&mut rng, None, 0) {
            ports.refuse(
                slot,
                ForeignCause::InUse,
                Penalty {
                    first: 1,
                    longest: 8,
                },
                0,
            );
        }
        assert_eq!(ports.counts().foreign, 1000);
        assert!(ports.foreign.capacity() <= 1000);
    }
}
