//! Everything that decides which port is handed out and what happens when none is left.
//!
//! [`PortPolicy`] is the one place for these settings. Its fields are plain values; setters have the
//! name of the field, take and return the policy.

mod clock;
mod quota;
mod sharing;
mod when_full;

use std::time::Duration;

pub use clock::Clock;
pub use quota::Quota;
pub use sharing::Sharing;
pub use when_full::{WaitLimits, WhenFull};

use crate::quarantine::Quarantine;
use crate::strategy::Strategy;

/// The behaviour of an allocator; the default suits a service.
///
/// ```
/// use eport_core::{PortPolicy, Quota, Strategy};
///
/// let policy = PortPolicy::default()
///     .strategy(Strategy::DOUBLE_HASH)
///     .quota(Quota::per_prefix(100));
/// assert_eq!(policy.quota, Some(Quota::per_prefix(100)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortPolicy {
    /// The seed of draws that repeat themselves, for tests and simulations. By default the system
    /// gives the seed, and a new one after 2^16 draws or ten minutes; in between each draw depends
    /// on the moment it is made at, so that the two halves of a process that forks, or two machines
    /// started from one snapshot, do not go on with the same ports. (The secret keys of the hash
    /// strategies are the same on both sides until they are renewed.)
    pub seed: Option<[u8; 32]>,
    /// The source of the time; the system's clock if `None`.
    pub clock: Option<Clock>,
    /// The order in which free ports are drawn.
    pub strategy: Strategy,
    /// The rest of used ports.
    pub quarantine: Quarantine,
    /// The steps of a request when no port is left.
    pub when_full: WhenFull,
    /// The leases one client may have; as many as there are ports if `None`.
    pub quota: Option<Quota>,
    /// Ports of each space that only those requests get that ask for the reserve (default 0).
    pub keep_free: u16,
    /// The rest of a port that the system refused for the first time (default 1 s, rounded up to
    /// whole seconds); each further refusal in a row doubles it.
    pub first_rest: Duration,
    /// The longest rest of a refused port (default 300 s).
    pub longest_rest: Duration,
    /// The number of foreign ports that one request tries before their rest ends when nothing is
    /// free (default 1024, at worst half a millisecond). As long as no more are foreign, no request
    /// fails while another program has given one of them back.
    pub early_rechecks: u32,
    /// The number of spaces that are kept (default 64). When one more is needed, the one that has
    /// been idle longest makes room, and the rests there are lost; spaces with leases stay. The limit
    /// bounds the memory, since on some machines a peer chooses which local address it talks to.
    pub max_spaces: usize,
}

impl PortPolicy {
    /// Returns the default, with draws that repeat themselves for the same seed.
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self {
            seed: Some(seed),
            ..Self::default()
        }
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn seed(self, seed: [u8; 32]) -> Self {
        Self {
            seed: Some(seed),
            ..self
        }
    }

    /// Sets [`clock`](Self::clock).
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Sets [`strategy`](Self::strategy).
    #[must_use]
    pub fn strategy(self, strategy: Strategy) -> Self {
        Self { strategy, ..self }
    }

    /// Sets [`quarantine`](Self::quarantine).
    #[must_use]
    pub fn quarantine(self, quarantine: Quarantine) -> Self {
        Self { quarantine, ..self }
    }

    /// Sets [`when_full`](Self::when_full).
    #[must_use]
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Sets [`quota`](Self::quota).
    #[must_use]
    pub fn quota(self, quota: Quota) -> Self {
        Self {
            quota: Some(quota),
            ..self
        }
    }

    /// Sets [`keep_free`](Self::keep_free).
    #[must_use]
    pub fn keep_free(self, keep_free: u16) -> Self {
        Self { keep_free, ..self }
    }

    /// Sets [`first_rest`](Self::first_rest).
    #[must_use]
    pub fn first_rest(self, first_rest: Duration) -> Self {
        Self { first_rest, ..self }
    }

    /// Sets [`longest_rest`](Self::longest_rest).
    #[must_use]
    pub fn longest_rest(self, longest_rest: Duration) -> Self {
        Self {
            longest_rest,
            ..self
        }
    }

    /// Sets [`early_rechecks`](Self::early_rechecks).
    #[must_use]
    pub fn early_rechecks(self, early_rechecks: u32) -> Self {
        Self {
            early_rechecks,
            ..self
        }
    }

    /// Sets [`max_spaces`](Self::max_spaces).
    #[must_use]
    pub fn max_spaces(self, max_spaces: usize) -> Self {
        Self { max_spaces, ..self }
    }
}

impl Default for PortPolicy {
    fn default() -> Self {
        Self {
            seed: None,
            clock: None,
            strategy: Strategy::default(),
            quarantine: Quarantine::default(),
            when_full: WhenFull::default(),
            quota: None,
            keep_free: 0,
            first_rest: Duration::from_secs(1),
            longest_rest: Duration::from_secs(300),
            early_rechecks: 1024,
            max_spaces: 64,
        }
    }
}
