//! How many connections there may be, and who goes when there are too many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// The seats of a server.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Occupant>,
}

#[derive(Debug)]
struct Occupant {
    /// Since when nothing has been asked; `None` while something is being answered.
    idle_since: Option<Instant>,
    /// Whether it may be asked to leave.
    evictable: bool,
    leave: CancellationToken,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            seats: Mutex::default(),
        }
    }

    /// A seat for a connection; `None` if all are taken by such as may stay.
    pub(super) fn admit(self: &Arc<Self>, evictable: bool, now: Instant) -> Option<Seat> {
        let mut seats = self.lock();
        if seats.taken.len() >= self.most && !seats.evict_one() {
            return None;
        }
        let number = seats.next;
        seats.next += 1;
        let leave = CancellationToken::new();
        let occupant = Occupant {
            idle_since: Some(now),
            evictable,
            leave: leave.clone(),
        };
        seats.taken.insert(number, occupant);
        Some(Seat {
            number,
            leave,
            connections: Arc::clone(self),
        })
    }

    /// Makes room for a descriptor, if there is one to spare.
    pub(super) fn evict_one(&self) -> bool {
        self.lock().evict_one()
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing panics while it is locked, and a table of connections is sound at every moment.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn evict_one(&mut self) -> bool {
        let oldest = self
            .taken
            .iter()
            .filter(|(_, occupant)| occupant.evictable)
            .filter_map(|(number, occupant)| Some((occupant.idle_since?, *number)))
            .min();
        let Some((_, number)) = oldest else {
            return false;
        };
        if let Some(occupant) = self.taken.remove(&number) {
            occupant.leave.cancel();
        }
        true
    }
}

/// The right to be connected.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    leave: CancellationToken,
    connections: Arc<Connections>,
}

impl Seat {
    /// Says that something is being answered.
    pub(super) fn busy(&self) {
        self.set(None);
    }

    /// Says that everything has been answered.
    pub(super) fn idle(&self, now: Instant) {
        self.set(Some(now));
    }

    /// Waits until somebody else needs the seat more.
    pub(super) async fn evicted(&self) {
        self.leave.cancelled().await;
    }

    fn set(&self, idle_since: Option<Instant>) {
        if let Some(occupant) = self.connections.lock().taken.get_mut(&self.number) {
            occupant.idle_since = idle_since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_connection_that_has_been_idle_for_longest_goes_first() {
        let start = crate::transport::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let connections = Arc::new(Connections::new(3));
        let unix = connections.admit(false, at(0)).expect("a seat");
        let first = connections.admit(true, at(1)).expect("a seat");
        let second = connections.admit(true, at(2)).expect("a seat");
        first.idle(at(3));
        let third = connections.admit(true, at(4)).expect("the second one's");
        assert!(second.leave.is_cancelled());
        assert!(!first.leave.is_cancelled() && !unix.leave.is_cancelled());

        first.busy();
        third.busy();
        assert!(connections.admit(true, at(5)).is_none());
        drop(first);
        assert!(connections.admit(true, at(6)).is_some());
    }
}
