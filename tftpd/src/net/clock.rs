//! The clock, and how many processors there are.

use std::time::Instant;

/// What time it is.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How many threads can run at once.
#[cfg(feature = "server")]
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
