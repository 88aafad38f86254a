//! The rest of ports that the system refused.

use std::time::Duration;

use super::cell::Seconds;
use crate::policy::PortPolicy;

/// The rest of a refused port, doubled with every further refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Seconds,
    longest: Seconds,
}

impl Backoff {
    pub(super) fn new(policy: &PortPolicy) -> Self {
        Self {
            first: whole(policy.first_rest).max(1),
            longest: whole(policy.longest_rest).max(1),
        }
    }

    /// Returns the rest after so many refusals in a row: the first one, doubled each time.
    pub(super) fn after(self, refusals: u8) -> Seconds {
        let doublings = u32::from(refusals.saturating_sub(1)).min(31);
        let rest = u64::from(self.first) << doublings;
        Seconds::try_from(rest)
            .unwrap_or(Seconds::MAX)
            .min(self.longest)
    }
}

/// Converts to whole seconds, rounded up so that no rest is shorter than configured.
pub(super) fn whole(rest: Duration) -> Seconds {
    Seconds::try_from(rest.as_nanos().div_ceil(1_000_000_000)).unwrap_or(Seconds::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_up_to_its_limit() {
        let backoff = Backoff {
            first: 1,
            longest: 300,
        };
        let rests: Vec<_> = (1..=11).map(|refusals| backoff.after(refusals)).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.after(u8::MAX), 300);
        let endless = Backoff {
            first: 3,
            longest: u32::MAX,
        };
        assert_eq!(endless.after(u8::MAX), u32::MAX);
    }

    #[test]
    fn times_are_rounded_up() {
        assert_eq!(whole(Duration::ZERO), 0);
        assert_eq!(whole(Duration::from_millis(1001)), 2);
        assert_eq!(whole(Duration::MAX), Seconds::MAX);
    }
}
