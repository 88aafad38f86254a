//! The choice of a port: uniformly from the free ones, or by an algorithm of RFC 6056.
//!
//! The algorithms are those of [RFC 6056 §3.3](https://www.rfc-editor.org/rfc/rfc6056#section-3.3).
//! All of them choose among the ports that are free, and number these without gaps: a long run of
//! reserved ports does not make the port behind it likelier, which is why that document forbids its
//! Algorithm 1 to hosts with many of them (§5).

#[cfg(feature = "net")]
mod generator;
mod ordered;
mod uniform;

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

#[cfg(feature = "net")]
pub(crate) use generator::Generator;
pub(crate) use ordered::{Conversation, Selector};
pub use uniform::below;

/// The algorithm that chooses the next of the free ports.
///
/// ```
/// # use eport_core::Strategy;
/// assert_eq!("random".parse(), Ok(Strategy::Random));
/// assert_eq!(Strategy::DOUBLE_HASH.to_string(), "double-hash");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Strategy {
    /// Each free port is equally likely, at any occupancy: what Algorithm 2 aims at, without its
    /// retries. Observed ports reveal nothing about the next one.
    #[default]
    Random,
    /// The port after the last one, and the first after the last: the classic. It is
    /// predictable, and suits tests, and networks where ports are read by people.
    Sequential,
    /// Algorithm 3: each destination counts upwards from a secret offset, so a port is used
    /// again for a destination as late as possible. One counter serves all destinations, so an
    /// observer of one of them learns how many ports the others take.
    HashBased {
        /// The lifetime of a secret key. A new one starts new sequences everywhere, and may by
        /// chance repeat a port.
        rekey: Duration,
    },
    /// Algorithm 4: like [`HashBased`](Self::HashBased) with a table of counters, so that most
    /// destinations do not see how often others are served.
    DoubleHash {
        /// The number of counters; a second hash chooses one for each destination.
        table: NonZeroU16,
        /// The lifetime of a pair of secret keys.
        rekey: Duration,
    },
    /// Algorithm 5: a random step forward from the last port. It trades predictability, best
    /// guess 1 in `most`, for distance before a port comes again, on average the range divided by
    /// half of `most`.
    RandomIncrements {
        /// The largest step.
        most: NonZeroU16,
    },
}

impl Strategy {
    /// Algorithm 3 with a new key every hour.
    pub const HASH_BASED: Self = Self::HashBased { rekey: AN_HOUR };
    /// Algorithm 4 with 1024 counters and new keys every hour.
    pub const DOUBLE_HASH: Self = Self::DoubleHash {
        table: number(1024),
        rekey: AN_HOUR,
    };
    /// Algorithm 5 with steps of up to 500, as the document proposes.
    pub const RANDOM_INCREMENTS: Self = Self::RandomIncrements { most: number(500) };

    /// Returns true if the algorithm searches for the next free port after a given one.
    pub(crate) const fn is_ordered(self) -> bool {
        !matches!(self, Self::Random)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Sequential => "sequential",
            Self::HashBased { .. } => "hash-based",
            Self::DoubleHash { .. } => "double-hash",
            Self::RandomIncrements { .. } => "random-increments",
        }
    }
}

const AN_HOUR: Duration = Duration::from_secs(3600);

/// A number known when the crate is compiled; zero does not compile.
const fn number(value: u16) -> NonZeroU16 {
    match NonZeroU16::new(value) {
        Some(number) => number,
        None => panic!("not zero"),
    }
}

/// Prints the name without the parameters.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the name of a strategy; its parameters are the default ones.
impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [
            Self::Random,
            Self::Sequential,
            Self::HASH_BASED,
            Self::DOUBLE_HASH,
            Self::RANDOM_INCREMENTS,
        ];
        let found = all.into_iter().find(|strategy| strategy.name() == text);
        found.ok_or_else(|| ParseStrategyError {
            text: text.chars().take(24).collect(),
        })
    }
}

/// A text that names no strategy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{text:?} is not a way to choose ports; write random, sequential, hash-based, double-hash or random-increments"
)]
pub struct ParseStrategyError {
    /// The beginning of the text.
    text: String,
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::TryRng;

    use super::*;

    /// Returns the given numbers, the last one first.
    struct Given(Vec<u32>);

    impl TryRng for Given {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0.pop().expect("no more numbers than the test gives"))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("32 bits are enough for a port")
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("32 bits are enough for a port")
        }
    }

    fn bound(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).expect("not zero")
    }

    #[test]
    fn the_extreme_numbers_give_the_extreme_results() {
        for n in [1, 2, 3, 1000, 65_535] {
            assert_eq!(below(&mut Given(vec![u32::MAX]), bound(n)), n - 1);
            let first_kept = u32::MAX / u32::from(n);
            assert_eq!(below(&mut Given(vec![first_kept]), bound(n)), 0);
        }
    }

    #[test]
    fn a_number_from_the_surplus_is_rejected() {
        // 2^32 mod 3 = 1: of the numbers, exactly 0 is one too many.
        assert_eq!(below(&mut Given(vec![u32::MAX, 0]), bound(3)), 2);
        // A power of two divides 2^32: nothing is rejected.
        assert_eq!(below(&mut Given(vec![0]), bound(4)), 0);
    }

    #[test]
    fn every_strategy_is_read_by_the_name_it_prints() {
        for name in [
            "random",
            "sequential",
            "hash-based",
            "double-hash",
            "random-increments",
        ] {
            let strategy: Strategy = name.parse().expect(name);
            assert_eq!(strategy.to_string(), name);
        }
        let error = "round-robin"
            .parse::<Strategy>()
            .expect_err("unknown")
            .to_string();
        assert!(error.contains("round-robin") && error.contains("double-hash"));
    }

    #[test]
    fn as_many_numbers_lead_to_each_result() {
        // The same reduction with 2^32 cut into the places where the result changes.
        for n in [3u64, 5, 7, 100, 16_383, 65_535] {
            let surplus = (1u64 << 32) % n;
            let kept = |result: u64| {
                // Numbers x with x·n in [result·2^32 + surplus, (result + 1)·2^32).
                let from = ((result << 32) + surplus).div_ceil(n);
                let to = ((result + 1) << 32).div_ceil(n);
                to - from
            };
            let expected = (1u64 << 32) / n;
            assert!((0..n).all(|result| kept(result) == expected), "bound {n}");
        }
    }
}
