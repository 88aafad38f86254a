//! A time on the command line.

use std::time::Duration;

/// Parses a time in seconds, which is not zero.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a number of seconds above 0, such as 3 or 0.5".to_owned())
}
