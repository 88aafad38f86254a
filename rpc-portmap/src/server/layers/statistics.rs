//! Counters of calls and their outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::caller::Caller;
use super::super::layer::{Layer, Outcome, Request};

/// Counts calls; clones share the counters, so that one can be a layer and another be read.
#[derive(Clone, Debug, Default)]
pub struct Statistics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    done: AtomicU64,
    failed: AtomicU64,
    silent: AtomicU64,
    received: AtomicU64,
    results: AtomicU64,
}

/// The counts of [`Statistics`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that were answered with results.
    pub done: u64,
    /// Calls that were answered with an error.
    pub failed: u64,
    /// Calls that were not answered.
    pub silent: u64,
    /// All their messages, in bytes.
    pub received: u64,
    /// All results, in bytes.
    pub results: u64,
}

impl Statistics {
    /// Returns the counts so far.
    pub fn totals(&self) -> Totals {
        let counters = &*self.0;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            done: read(&counters.done),
            failed: read(&counters.failed),
            silent: read(&counters.silent),
            received: read(&counters.received),
            results: read(&counters.results),
        }
    }
}

impl Layer for Statistics {
    fn after(&self, _: &Caller, request: &Request, outcome: Outcome) {
        let counters = &*self.0;
        let add = |counter: &AtomicU64, number: usize| {
            counter.fetch_add(number as u64, Ordering::Relaxed);
        };
        add(&counters.received, request.bytes);
        match outcome {
            Outcome::Done { bytes } => {
                add(&counters.done, 1);
                add(&counters.results, bytes);
            }
            Outcome::Failed(_) => add(&counters.failed, 1),
            Outcome::Silent => add(&counters.silent, 1),
        }
    }
}
