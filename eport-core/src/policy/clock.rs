//! The source of the time.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The clock of an [`Allocator`](crate::Allocator), for a simulation or a test.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::{Duration, Instant};
/// use eport_core::Clock;
///
/// # #[expect(clippy::disallowed_methods, reason = "an example")]
/// let time = Arc::new(Mutex::new(Instant::now()));
/// let clock = Clock::new({
///     let time = Arc::clone(&time);
///     move || *time.lock().expect("no panic while it was held")
/// });
/// *time.lock().expect("no panic while it was held") += Duration::from_secs(120);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// Makes a clock that calls `now`, which should never go backwards.
    pub fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time.
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
