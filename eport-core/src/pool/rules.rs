//! How a pool treats the ports.

use std::time::Duration;

use super::cell::Seconds;
use super::group::Sharing;
use super::quota::Quota;
use crate::quarantine::Quarantine;
use crate::strategy::Strategy;

/// How a [`Pool`](super::Pool) treats refused ports, and how many spaces it keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a port rests after the system refused it for the first time (default 1 s, rounded
    /// up to whole seconds); each further refusal in a row doubles it.
    pub first_rest: Duration,
    /// The longest rest of a refused port (default 300 s).
    pub longest_rest: Duration,
    /// How many spaces are kept (default 64). When one more is needed, the one that has been idle
    /// longest makes room, and what rests there is forgotten; spaces with leases stay. It bounds
    /// the memory, since on some machines a peer chooses which local address it talks to.
    pub spaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_rest: Duration::from_secs(1),
            longest_rest: Duration::from_secs(300),
            spaces: 64,
        }
    }
}

/// Everything that decides which port a [`Pool`](super::Pool) gives to whom.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// How long refused ports rest, and for how many addresses ports are kept.
    pub limits: Limits,
    /// Which of the free ports is next.
    pub strategy: Strategy,
    /// How long used ports rest.
    pub quarantine: Quarantine,
    /// How many leases one client may have; as many as there are ports if `None`.
    pub quota: Option<Quota>,
    /// Ports of each space that only those get who ask for the reserve (default 0).
    pub keep_free: u16,
    /// How the last ports are shared; not at all if `None`.
    pub sharing: Option<Sharing>,
}

impl From<Limits> for Rules {
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}

/// How long a refused port rests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    first: Seconds,
    longest: Seconds,
}

impl Penalty {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            first: whole(limits.first_rest).max(1),
            longest: whole(limits.longest_rest).max(1),
        }
    }

    /// The rest after so many refusals in a row: the first one, doubled each time.
    pub(super) fn after(self, refusals: u8) -> Seconds {
        let doublings = u32::from(refusals.saturating_sub(1)).min(31);
        let rest = u64::from(self.first) << doublings;
        Seconds::try_from(rest)
            .unwrap_or(Seconds::MAX)
            .min(self.longest)
    }
}

/// Rounds up: a rest is never shorter than promised.
pub(super) fn whole(rest: Duration) -> Seconds {
    Seconds::try_from(rest.as_nanos().div_ceil(1_000_000_000)).unwrap_or(Seconds::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_up_to_its_limit() {
        let penalty = Penalty {
            first: 1,
            longest: 300,
        };
        let rests: Vec<_> = (1..=11).map(|refusals| penalty.after(refusals)).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(penalty.after(u8::MAX), 300);
        let endless = Penalty {
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
