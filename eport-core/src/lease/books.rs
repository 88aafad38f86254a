//! What an allocator keeps under its lock: the pool, the generator and the counters.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use super::desk::Stock;
use super::stats::Stats;
use crate::pool::{DrawError, Emptied, ForeignCause, Grant, Held, Pool, Space, Want};
use crate::strategy::Generator;

/// What makes a shared port ready and has to last until its last peer has left.
pub(crate) struct Leader {
    _socket: Box<dyn Any + Send>,
}

impl Leader {
    pub(crate) fn new(socket: impl Send + 'static) -> Self {
        Self {
            _socket: Box::new(socket),
        }
    }
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

/// How a lease came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// It was used.
    Used,
    /// It never was.
    Unused,
    /// The system refused the port, at a moment from which the rest of the port counts.
    Refused(ForeignCause, Instant),
}

#[derive(Debug)]
pub(super) struct Books {
    pub(super) pool: Pool,
    generator: Generator,
    leases: usize,
    /// By the space and the port that they make ready.
    leaders: HashMap<(Space, u16), Leader>,
    /// The fields that describe the state stay empty here.
    pub(super) stats: Stats,
}

impl Books {
    pub(super) fn new(pool: Pool, generator: Generator) -> Self {
        Self {
            pool,
            generator,
            leases: 0,
            leaders: HashMap::new(),
            stats: Stats::default(),
        }
    }

    /// Leases the foreign port that is next to be tried again, before its time.
    pub(super) fn recheck(&mut self, want: &Want, now: Instant) -> Result<Grant, DrawError> {
        let grant = self.pool.recheck(want, now)?;
        self.count(&grant);
        self.stats.early_rechecks += 1;
        Ok(grant)
    }

    /// Ends a lease. What is returned is to be taken apart without the lock, the leader first.
    pub(super) fn end(
        &mut self,
        held: Held,
        space: Space,
        ending: Ending,
        now: Instant,
    ) -> Option<(Option<Leader>, Emptied)> {
        self.leases -= 1;
        let key = (space, held.port());
        let emptied = match ending {
            Ending::Used => self.pool.release(held, now),
            Ending::Unused => self.pool.cancel(held),
            Ending::Refused(cause, since) => {
                match cause {
                    ForeignCause::Denied => self.stats.denied += 1,
                    ForeignCause::InUse => self.stats.in_use += 1,
                }
                self.pool.refuse(held, cause, since)
            }
        };
        emptied.map(|emptied| (self.leaders.remove(&key), emptied))
    }

    /// A shared port is ready for others.
    pub(super) fn opened(&mut self, held: &Held, space: Space, leader: Leader) {
        self.leaders.insert((space, held.port()), leader);
        self.pool.opened(held);
    }

    /// The counters together with what the spaces say at the moment.
    pub(super) fn stats(&self, range: usize, waiting: usize) -> Stats {
        let stats = Stats {
            leases: self.leases,
            waiting,
            shared: self.leaders.len(),
            quarantine_broken: self.pool.tally().quarantine_broken,
            spaces_forgotten: self.pool.tally().spaces_forgotten,
            ..self.stats.clone()
        };
        stats.with_spaces(range, self.pool.spaces())
    }

    fn count(&mut self, grant: &Grant) {
        self.leases += grant.len();
        self.stats.draws += 1;
        self.stats.peak_leased = self.stats.peak_leased.max(self.leases);
    }
}

impl Stock for Books {
    type Want = Want;
    type Item = Grant;
    type Refusal = DrawError;
    type Now = Instant;

    fn take(&mut self, want: &Want, now: Instant) -> Result<Grant, DrawError> {
        let grant = self.pool.take(want, self.generator.at(now), now)?;
        self.count(&grant);
        Ok(grant)
    }

    fn is_for_now(refusal: &DrawError) -> bool {
        matches!(refusal, DrawError::Exhausted(_))
    }

    fn follows(failed: &Want, other: &Want) -> bool {
        failed.is_no_harder_than(other)
    }
}
