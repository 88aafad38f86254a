//! The clock of a transfer.

use std::time::{Duration, Instant};

use crate::net;

/// A clock that stands still while a sink or a source keeps the transfer waiting, so that their
/// time is not taken for the server's silence.
#[derive(Debug, Default)]
pub(super) struct Clock {
    held: Duration,
}

impl Clock {
    /// What time it is by this clock.
    pub(super) fn now(&self) -> Instant {
        let now = net::now();
        // There is always as much to take away: it was held after it had begun.
        now.checked_sub(self.held).unwrap_or(now)
    }

    /// When a time of this clock comes, if it is not held any more.
    pub(super) fn comes(&self, time: Instant) -> Instant {
        time + self.held
    }

    /// Stands still while `work` is done.
    pub(super) async fn hold<F: Future>(&mut self, work: F) -> F::Output {
        let since = net::now();
        let done = work.await;
        self.held += net::now() - since;
        done
    }
}
