//! The clock of a transfer.

use std::time::{Duration, Instant};

use crate::net;

/// A clock that is paused while a transfer waits for its sink or source, so that this time does not
/// count against the server.
#[derive(Debug, Default)]
pub(super) struct Clock {
    paused: Duration,
}

impl Clock {
    /// Returns the time on this clock.
    pub(super) fn now(&self) -> Instant {
        let now = net::now();
        // The pauses lie after the process start, so the subtraction does not fail.
        now.checked_sub(self.paused).unwrap_or(now)
    }

    /// Converts a time of this clock to system time, assuming no further pause.
    pub(super) fn to_system(&self, time: Instant) -> Instant {
        time + self.paused
    }

    /// Pauses the clock while `work` runs.
    pub(super) async fn pause<F: Future>(&mut self, work: F) -> F::Output {
        let since = net::now();
        let done = work.await;
        self.paused += net::now() - since;
        done
    }
}
