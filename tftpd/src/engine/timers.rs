//! Deadlines of many transfers, of which few ever come due.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use super::sessions::Key;

/// When to look at which transfer.
///
/// A transfer moves its deadline with every acknowledgement, nearly always to later. So the queue
/// holds one entry for it that may be too early: when that comes due the transfer is asked again,
/// and an acknowledgement costs no work here at all.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl Timers {
    /// Has `key` looked at when `deadline` has passed. `queued` is the transfer's own note of when
    /// it will next be looked at.
    pub(super) fn arm(&mut self, key: Key, deadline: Instant, queued: &mut Option<Instant>) {
        if queued.is_none_or(|at| deadline < at) {
            self.heap.push(Reverse((deadline, key)));
            *queued = Some(deadline);
        }
    }

    /// When the next entry is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next entry that is due, with the time it was queued for.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, Key)> {
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
        let (mut timers, mut queued, key) = (Timers::default(), None, Key::from_bits(3));
        for deadline in [50, 60, 70, 80] {
            timers.arm(key, at(deadline), &mut queued);
        }
        assert_eq!((timers.heap.len(), queued), (1, Some(at(50))));
        timers.arm(key, at(20), &mut queued);
        assert_eq!((timers.next(), queued), (Some(at(20)), Some(at(20))));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(20)), Some((at(20), key)));
        assert_eq!(timers.pop(at(60)), Some((at(50), key)));
        assert_eq!(timers.pop(at(60)), None);
    }
}
