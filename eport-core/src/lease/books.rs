//! What an allocator keeps under its lock: the pool, the generator and the counters.

use std::time::Instant;

use super::desk::Stock;
use super::stats::Stats;
use crate::pool::{DrawError, ForeignCause, Grant, Held, Pool, Want};
use crate::strategy::Generator;

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
    /// The fields that describe the state stay empty here.
    pub(super) stats: Stats,
}

impl Books {
    pub(super) fn new(pool: Pool, generator: Generator) -> Self {
        Self {
            pool,
            generator,
            leases: 0,
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

    /// Ends a lease.
    pub(super) fn end(&mut self, held: Held, ending: Ending, now: Instant) {
        self.leases -= 1;
        match ending {
            Ending::Used => self.pool.release(held, now),
            Ending::Unused => self.pool.cancel(held),
            Ending::Refused(cause, since) => {
                match cause {
                    ForeignCause::Denied => self.stats.denied += 1,
                    ForeignCause::InUse => self.stats.in_use += 1,
                }
                self.pool.refuse(held, cause, since);
            }
        }
    }

    /// The counters together with what the spaces say at the moment.
    pub(super) fn stats(&self, range: usize, waiting: usize) -> Stats {
        let stats = Stats {
            leases: self.leases,
            waiting,
            shared: self.pool.shared(),
            quarantine_broken: self.pool.tally().quarantine_broken,
            quarantine_shortened: self.pool.tally().quarantine_shortened,
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
