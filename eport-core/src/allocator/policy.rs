use std::time::Duration;

use crate::lease::Clock;
use crate::pool::{Limits, Quota, Rules, Sharing};
use crate::quarantine::Quarantine;
use crate::strategy::Strategy;
use crate::system::now;

/// What a request does when no port is left.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It fails at once.
    #[default]
    Fail,
    /// It waits for its turn; the longest waiting request is served first.
    ///
    /// A request for one certain port does not wait: it fails, whoever holds the port.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use std::time::Duration;
    /// use eport_core::{Allocator, LeaseError, Policy, WhenFull};
    ///
    /// let patient = WhenFull::Wait { waiters: 100, at_most: Duration::from_millis(20) };
    /// let allocator = Allocator::builder()
    ///     .ports("50000".parse()?)
    ///     .policy(Policy::default().with_when_full(patient))
    ///     .build()?;
    /// let only = allocator.udp(Ipv4Addr::LOCALHOST).lease()?;
    /// let second = allocator.udp(Ipv4Addr::LOCALHOST).lease();
    /// assert!(matches!(second, Err(LeaseError::TimedOut { .. })));
    /// # drop(only);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Wait {
        /// How many requests may wait at the same time; one more fails at once.
        waiters: usize,
        /// How long a request waits before it fails.
        at_most: Duration,
    },
    /// It shares one of the last ports with other peers, if it is for a connected UDP socket, and
    /// fails otherwise.
    ///
    /// This needs a kernel that finds connected UDP sockets by both ends (Linux 6.13): an older one
    /// compares every datagram with all sockets of the port.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use eport_core::{Allocator, Policy, Sharing, WhenFull};
    /// use eport_core::allocator::BuildError;
    ///
    /// let last = WhenFull::Share(Sharing::of_the_last(1));
    /// let builder = Allocator::builder().ports("50001".parse()?);
    /// let allocator = match builder.policy(Policy::default().with_when_full(last)).build() {
    ///     Err(BuildError::SharingUnsupported { .. }) => return Ok(()), // an older kernel
    ///     built => built?,
    /// };
    /// let [one, other] = ["127.0.0.1:4000".parse()?, "127.0.0.1:4001".parse()?];
    /// let one = allocator.udp(Ipv4Addr::LOCALHOST).peer(one).lease()?;
    /// let other = allocator.udp(Ipv4Addr::LOCALHOST).peer(other).lease()?;
    /// assert_eq!(one.port(), other.port()); // and each hears its own peer alone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Share(Sharing),
}

/// How an allocator behaves; the default suits a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Makes the draws repeat themselves, for tests and simulations. By default the system gives
    /// the seed, and a new one after 2^16 draws or ten minutes; in between each draw depends on
    /// the moment it is made at, so that the two halves of a process that forks, or two machines
    /// started from one snapshot, do not go on with the same ports. (The secret keys of the hash
    /// strategies are the same on both sides until they are renewed.)
    pub seed: Option<[u8; 32]>,
    /// Where the time comes from; the system's clock by default.
    pub clock: Clock,
    /// How long refused ports rest, and for how many addresses ports are kept.
    pub limits: Limits,
    /// How many foreign ports one request tries before their time when nothing is free
    /// (default 1024, at worst half a millisecond). As long as no more are foreign, no request fails
    /// while a stranger has given one of them back.
    pub early_rechecks: u32,
    /// Which of the free ports is next.
    pub strategy: Strategy,
    /// How long used ports rest.
    pub quarantine: Quarantine,
    /// What a request does when no port is left.
    pub when_full: WhenFull,
    /// How many leases one client may have; as many as there are ports if `None`.
    pub quota: Option<Quota>,
    /// Ports of each local address that only those requests get that ask for the reserve
    /// (default 0).
    pub keep_free: u16,
}

impl Policy {
    /// The default, with draws that repeat themselves for the same seed.
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self {
            seed: Some(seed),
            ..Self::default()
        }
    }

    /// The same policy with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same policy with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same policy with another strategy.
    #[must_use]
    pub fn with_strategy(self, strategy: Strategy) -> Self {
        Self { strategy, ..self }
    }

    /// The same policy with other rests.
    #[must_use]
    pub fn with_quarantine(self, quarantine: Quarantine) -> Self {
        Self { quarantine, ..self }
    }

    /// The same policy with another answer to a full range.
    #[must_use]
    pub fn with_when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// The same policy with a quota for each client.
    #[must_use]
    pub fn with_quota(self, quota: Quota) -> Self {
        Self {
            quota: Some(quota),
            ..self
        }
    }

    /// The same policy with a reserve.
    #[must_use]
    pub fn with_keep_free(self, keep_free: u16) -> Self {
        Self { keep_free, ..self }
    }

    /// What concerns the pool.
    pub(super) fn rules(&self) -> Rules {
        let mut rules = Rules::from(self.limits);
        rules.strategy = self.strategy;
        rules.quarantine = self.quarantine;
        rules.quota = self.quota;
        rules.keep_free = self.keep_free;
        if let WhenFull::Share(sharing) = self.when_full {
            rules.sharing = Some(sharing);
        }
        rules
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            seed: None,
            clock: Clock::new(now),
            limits: Limits::default(),
            early_rechecks: 1024,
            strategy: Strategy::default(),
            quarantine: Quarantine::default(),
            when_full: WhenFull::default(),
            quota: None,
            keep_free: 0,
        }
    }
}
