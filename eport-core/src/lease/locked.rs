//! The part of an allocator that is under its lock: the pool, the generator and the counters.

use std::time::Instant;

use super::stats::Stats;
use super::wait_queue::Resource;
use crate::pool::{DrawError, ForeignCause, Grant, Pool, PoolLease, PoolRequest};
use crate::strategy::Generator;

/// The way in which a lease ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// Its port was bound.
    Used,
    /// Its port was never bound.
    Unused,
    /// The system refused the port, at a moment from which the rest of the port counts.
    Refused(ForeignCause, Instant),
}

#[derive(Debug)]
pub(super) struct Locked {
    pub(super) pool: Pool,
    generator: Generator,
    leases: usize,
    /// The fields that describe the state stay empty here.
    pub(super) stats: Stats,
}

impl Locked {
    pub(super) fn new(pool: Pool, generator: Generator) -> Self {
        Self {
            pool,
            generator,
            leases: 0,
            stats: Stats::default(),
        }
    }

    /// Leases the foreign port whose rest ends first, before it ends.
    pub(super) fn recheck(
        &mut self,
        request: &PoolRequest,
        now: Instant,
    ) -> Result<Grant, DrawError> {
        let grant = self.pool.recheck(request, now)?;
        self.count(&grant);
        self.stats.early_rechecks += 1;
        Ok(grant)
    }

    /// Ends a lease.
    pub(super) fn end(&mut self, lease: PoolLease, ending: Ending, now: Instant) {
        self.leases -= 1;
        match ending {
            Ending::Used => self.pool.release(lease, now),
            Ending::Unused => self.pool.cancel(lease),
            Ending::Refused(cause, since) => {
                match cause {
                    ForeignCause::Denied => self.stats.denied += 1,
                    ForeignCause::InUse => self.stats.in_use += 1,
                }
                self.pool.refuse(lease, cause, since);
            }
        }
    }

    /// Returns the counters together with the current state of the spaces.
    pub(super) fn stats(&self, range: usize, waiting: usize) -> Stats {
        let stats = Stats {
            leases: self.leases,
            waiting,
            shared: self.pool.shared(),
            quarantine_broken: self.pool.counters().quarantine_broken,
            quarantine_shortened: self.pool.counters().quarantine_shortened,
            spaces_evicted: self.pool.counters().spaces_evicted,
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

impl Resource for Locked {
    type Request = PoolRequest;
    type Item = Grant;
    type Error = DrawError;
    type Now = Instant;

    fn take(&mut self, request: &PoolRequest, now: Instant) -> Result<Grant, DrawError> {
        let grant = self.pool.take(request, self.generator.at(now), now)?;
        self.count(&grant);
        Ok(grant)
    }

    fn is_temporary(error: &DrawError) -> bool {
        matches!(error, DrawError::Exhausted(_))
    }

    fn implies_none_for(failed: &PoolRequest, other: &PoolRequest) -> bool {
        failed.is_no_harder_than(other)
    }
}
