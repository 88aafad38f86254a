//! Slots with deadlines.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Whole seconds since some beginning.
type Seconds = u32;

/// Slots, each with the second of its deadline; the earliest is first.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeadlineHeap {
    entries: BinaryHeap<Reverse<(Seconds, u16)>>,
}

impl DeadlineHeap {
    /// Adds a slot. Room grows by doubling, but never beyond `most` entries while they suffice.
    pub(crate) fn push(&mut self, slot: u16, until: Seconds, most: usize) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            let room = most.saturating_sub(len).max(1);
            self.entries.reserve_exact(len.max(16).min(room));
        }
        self.entries.push(Reverse((until, slot)));
    }

    /// Removes the earliest slot if its deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Seconds) -> Option<u16> {
        let Reverse((until, _)) = self.entries.peek()?;
        if *until <= now { self.pop() } else { None }
    }

    /// Removes the earliest slot, even before its deadline.
    pub(crate) fn pop(&mut self) -> Option<u16> {
        self.entries.pop().map(|Reverse((_, slot))| slot)
    }

    /// Removes a slot; in time proportional to the length.
    pub(crate) fn remove(&mut self, slot: u16) {
        self.entries.retain(|Reverse((_, other))| *other != slot);
    }

    /// Removes all slots but those that are kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(u16) -> bool) {
        self.entries.retain(|Reverse((_, slot))| keep(*slot));
    }

    /// Returns the deadline of a slot; in time proportional to the length.
    pub(crate) fn until(&self, slot: u16) -> Option<Seconds> {
        let own = self
            .entries
            .iter()
            .filter(|Reverse((_, other))| *other == slot);
        own.map(|Reverse((until, _))| *until).max()
    }

    /// Returns the slots in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seconds, u16)> + '_ {
        self.entries.iter().map(|Reverse(entry)| *entry)
    }
}

/// The same for rests that are nearly always equally long, so that the last slot leaves last: every
/// operation but [`remove`](Self::remove) and [`until`](Self::until) then takes constant time.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeadlineQueue {
    /// Sorted by time; at the same time in the order of arrival.
    entries: VecDeque<(Seconds, u16)>,
}

impl DeadlineQueue {
    /// Adds a slot at the position of its deadline.
    pub(crate) fn push(&mut self, slot: u16, until: Seconds) {
        let is_last = self.entries.back().is_none_or(|(last, _)| *last <= until);
        if is_last {
            self.entries.push_back((until, slot));
        } else {
            let at = self.entries.partition_point(|(other, _)| *other <= until);
            self.entries.insert(at, (until, slot));
        }
    }

    /// Removes the earliest slot if its deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Seconds) -> Option<u16> {
        let (until, _) = self.entries.front()?;
        if *until <= now { self.pop() } else { None }
    }

    /// Removes the earliest slot, even before its deadline.
    pub(crate) fn pop(&mut self) -> Option<u16> {
        self.entries.pop_front().map(|(_, slot)| slot)
    }

    /// Removes a slot.
    pub(crate) fn remove(&mut self, slot: u16) {
        self.entries.retain(|(_, other)| *other != slot);
    }

    /// Returns the deadline of a slot.
    pub(crate) fn until(&self, slot: u16) -> Option<Seconds> {
        let mut latest = self.entries.iter().rev();
        let own = latest.find(|(_, other)| *other == slot);
        own.map(|(until, _)| *until)
    }

    /// Returns the slots, the earliest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seconds, u16)> + '_ {
        self.entries.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_leave_in_the_order_of_their_time() {
        let mut queue = DeadlineHeap::default();
        for (slot, until) in [(1, 30), (2, 10), (3, 20)] {
            queue.push(slot, until, 3);
        }
        assert_eq!(queue.pop_due(9), None);
        assert_eq!(queue.pop_due(10), Some(2));
        assert_eq!(queue.until(1), Some(30));
        queue.remove(1);
        assert_eq!((queue.pop(), queue.pop()), (Some(3), None));
    }

    #[test]
    fn a_queue_keeps_its_order_when_a_deadline_is_earlier() {
        let mut line = DeadlineQueue::default();
        for (slot, until) in [(1, 10), (3, 20), (2, 20), (4, 15), (2, 30)] {
            line.push(slot, until);
        }
        assert_eq!(line.until(2), Some(30));
        line.remove(3);
        let order: Vec<_> = line.iter().collect();
        assert_eq!(order, [(10, 1), (15, 4), (20, 2), (30, 2)]);
        assert_eq!((line.pop_due(9), line.pop_due(10)), (None, Some(1)));
        assert_eq!((line.pop(), line.len()), (Some(4), 2));
    }

    #[test]
    fn memory_is_bounded_by_what_may_wait() {
        let mut queue = DeadlineHeap::default();
        for slot in 0..1000 {
            queue.push(slot, 0, 1000);
        }
        assert!(queue.entries.capacity() <= 1000);
    }
}
