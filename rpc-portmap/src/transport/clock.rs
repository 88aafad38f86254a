//! The clocks.

use std::time::{Instant, SystemTime};

/// Returns the present instant.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day as the wire has it: 32 bits, which last until 2106.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the calendar"
)]
pub(crate) fn seconds_since_1970() -> u32 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
