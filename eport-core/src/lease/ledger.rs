//! The pool behind a lock, shared by all clones of an allocator and by all leases.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Clock, Failure, Stats, Ticket};
use crate::pool::{Counts, DrawError, ForeignCause, Held, Pool, PortState, Space};
use crate::strategy::Generator;

/// A pool, the generator that draws from it and the counters, under one lock.
///
/// One lock for all spaces, because a lease concerns every space that overlaps its own: with a
/// lock for each, a wildcard address would have to take them all, in order. Held for some tens of
/// nanoseconds beside microseconds of system calls, it is not what limits anything.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    range: usize,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    pool: Pool,
    generator: Generator,
    leased: usize,
    /// The fields that describe spaces stay empty here.
    stats: Stats,
}

/// One of the tries to find a port for a request; all tries of a request share `now`, so that no
/// port that it was refused comes back to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) space: Space,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) now: Instant,
    pub(crate) is_first: bool,
}

impl Ledger {
    pub(crate) fn new(pool: Pool, range: usize, generator: Generator, clock: Clock) -> Self {
        let state = State {
            pool,
            generator,
            leased: 0,
            stats: Stats::default(),
        };
        Self {
            state: Mutex::new(state),
            range,
            clock,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Leases a free port.
    pub(crate) fn draw(self: &Arc<Self>, attempt: Attempt) -> Result<Ticket, DrawError> {
        let held = {
            let mut state = self.lock();
            let State {
                pool, generator, ..
            } = &mut *state;
            let held = pool.draw(attempt.space, attempt.peer, generator, attempt.now)?;
            state.count_draw(attempt.is_first);
            held
        };
        Ok(self.ticket(held, attempt))
    }

    /// Leases the foreign port that is next to be tried again, before its time.
    pub(crate) fn recheck(self: &Arc<Self>, attempt: Attempt) -> Option<Ticket> {
        let held = {
            let mut state = self.lock();
            let held = state
                .pool
                .recheck(attempt.space, attempt.peer, attempt.now)?;
            state.count_draw(attempt.is_first);
            state.stats.early_rechecks += 1;
            held
        };
        Some(self.ticket(held, attempt))
    }

    fn ticket(self: &Arc<Self>, held: Held, attempt: Attempt) -> Ticket {
        let Attempt { space, peer, .. } = attempt;
        Ticket {
            ledger: Arc::clone(self),
            port: held.port(),
            held: Some(held),
            space,
            peer,
        }
    }

    pub(super) fn release(&self, held: Held) {
        let mut state = self.lock();
        state.leased -= 1;
        state.pool.release(held);
    }

    pub(crate) fn count_failure(&self, failure: Failure) {
        self.lock().stats.count(failure);
    }

    /// Notes that a request went away empty-handed, and says what the space looked like.
    pub(crate) fn count_exhausted(&self, space: Space) -> Counts {
        let mut state = self.lock();
        state.stats.exhausted += 1;
        state.pool.counts(space)
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        state.stats.with_spaces(self.range, state.pool.spaces())
    }

    pub(crate) fn counts(&self, space: Space) -> Counts {
        self.lock().pool.counts(space)
    }

    pub(crate) fn explain(&self, space: Space, port: u16) -> PortState {
        self.lock().pool.explain(space, port)
    }

    /// No code that can panic runs under the lock, so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count_draw(&mut self, is_first: bool) {
        self.leased += 1;
        self.stats.draws += 1;
        self.stats.redraws += u64::from(!is_first);
        self.stats.peak_leased = self.stats.peak_leased.max(self.leased);
    }
}

impl Ticket {
    /// Gives the port back as one that the system refused.
    pub(crate) fn refuse(mut self, cause: ForeignCause, now: Instant) {
        let Some(held) = self.held.take() else { return };
        let mut state = self.ledger.lock();
        state.leased -= 1;
        match cause {
            ForeignCause::Denied => state.stats.denied += 1,
            ForeignCause::InUse => state.stats.in_use += 1,
        }
        state.pool.refuse(held, cause, now);
    }
}
