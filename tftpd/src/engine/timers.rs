//! Deadlines of many transfers, of which few ever come due.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use super::id::TransferId;

/// A queue of transfers by the time of their next check.
///
/// A transfer moves its deadline with every acknowledgement, nearly always to later. The queue holds
/// one entry for it that may be too early: when that entry comes due, the transfer is checked and
/// queued again, so an acknowledgement costs no work here.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, TransferId)>>,
}

impl Timers {
    /// Queues a check of `id` at `deadline`. `queued` is the transfer's own record of its next check.
    pub(crate) fn arm(&mut self, id: TransferId, deadline: Instant, queued: &mut Option<Instant>) {
        if queued.is_none_or(|at| deadline < at) {
            self.heap.push(Reverse((deadline, id)));
            *queued = Some(deadline);
        }
    }

    /// Returns the time of the next entry.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Removes the next entry that is due; returns it with the time it was queued for.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, TransferId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_that_moves_later_costs_no_entry_and_one_that_moves_earlier_is_kept() {
        let start = crate::net::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut timers, mut queued, id) = (Timers::default(), None, TransferId::new(3, 1));
        for deadline in [50, 60, 70, 80] {
            timers.arm(id, at(deadline), &mut queued);
        }
        assert_eq!((timers.heap.len(), queued), (1, Some(at(50))));
        timers.arm(id, at(20), &mut queued);
        assert_eq!((timers.next(), queued), (Some(at(20)), Some(at(20))));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(20)), Some((at(20), id)));
        assert_eq!(timers.pop(at(60)), Some((at(50), id)));
        assert_eq!(timers.pop(at(60)), None);
    }

    #[test]
    fn transfers_come_due_in_the_order_of_their_deadlines() {
        let start = crate::net::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        for (slot, ms) in [(1, 30), (2, 10), (3, 20)] {
            timers.arm(TransferId::new(slot, 1), at(ms), &mut None);
        }
        let due = std::iter::from_fn(|| timers.pop(at(25)));
        let slots: Vec<_> = due.map(|(_, id)| id.slot()).collect();
        assert_eq!((slots, timers.next()), (vec![2, 3], Some(at(30))));
    }
}
