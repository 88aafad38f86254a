//! Token buckets.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::{PrefixLengths, PrefixTable};

/// A burst, and one token more after each interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    every: Duration,
    /// The most by which a bucket may be ahead of the clock.
    depth: Duration,
}

impl Rate {
    /// A burst of `burst`, then one each `every`.
    pub fn new(burst: NonZeroU32, every: Duration) -> Self {
        Self {
            every,
            depth: every.saturating_mul(burst.get()),
        }
    }

    /// A burst of `burst`, then `rate` in a second.
    pub fn per_second(rate: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::new(burst, Duration::from_secs(1) / rate.get())
    }
}

/// A token bucket, full to begin with.
///
/// The state is one instant: the one at which the bucket is full again. Taking a token puts that off by an
/// interval, and it may not lie further ahead than the burst (the "virtual scheduling" of the
/// generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a token and returns true, if there is one. A `now` before an earlier one does no harm.
    #[must_use]
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        let owed = full_at.saturating_duration_since(now);
        if owed.saturating_add(rate.every) > rate.depth {
            return false;
        }
        self.full_at = full_at.checked_add(rate.every);
        true
    }
}

/// A token bucket for each client prefix, in a [`PrefixTable`]: prefixes whose hashes collide share
/// a bucket, so collisions only ever allow less.
#[derive(Clone, Debug)]
pub struct PrefixBuckets {
    rate: Rate,
    buckets: PrefixTable<Bucket>,
}

impl PrefixBuckets {
    /// Makes full buckets. The secret has to be random, so that no sender can choose its bucket.
    pub fn new(rate: Rate, lengths: PrefixLengths, slots: NonZeroU32, secret: [u64; 2]) -> Self {
        Self {
            rate,
            buckets: PrefixTable::new(lengths, slots, secret),
        }
    }

    /// Takes a token for this client's prefix and returns true, if there is one. O(1).
    #[must_use]
    pub fn take(&mut self, client: IpAddr, now: Instant) -> bool {
        let slot = self.buckets.slot(&self.buckets.prefix(client));
        let bucket = self.buckets.get_mut(slot);
        bucket.is_some_and(|bucket| bucket.take(self.rate, now))
    }
}

/// Admits a kind of log line at a bounded rate, and counts those it suppresses.
///
/// ```
/// use std::{num::NonZeroU32, time::{Duration, Instant}};
/// use eport_core::limit::{LogLimit, Rate};
///
/// let one_each_minute = Rate::new(NonZeroU32::MIN, Duration::from_secs(60));
/// let (mut limit, start) = (LogLimit::new(one_each_minute), Instant::now());
/// assert_eq!(limit.admit(start), Some(0));
/// assert_eq!(limit.admit(start), None);
/// assert_eq!(limit.admit(start + Duration::from_secs(60)), Some(1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LogLimit {
    rate: Rate,
    bucket: Bucket,
    suppressed: u64,
}

impl LogLimit {
    /// Makes a limit that has suppressed nothing.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            bucket: Bucket::default(),
            suppressed: 0,
        }
    }

    /// Returns the number of lines suppressed since the last one, if a line may be written now.
    #[must_use]
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.bucket.take(self.rate, now) {
            return Some(std::mem::take(&mut self.suppressed));
        }
        self.suppressed = self.suppressed.saturating_add(1);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::testing::start;
    use proptest::prelude::*;

    fn nonzero(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_goes_through_and_then_one_each_interval() {
        let (rate, start) = (Rate::per_second(nonzero(10), nonzero(3)), start());
        let mut bucket = Bucket::default();
        let mut taken_at = |at| bucket.take(rate, start + ms(at));
        assert_eq!([0, 0, 0, 0].map(&mut taken_at), [true, true, true, false]);
        assert_eq!([99, 100, 100].map(&mut taken_at), [false, true, false]);
        assert_eq!([5000; 4].map(&mut taken_at), [true, true, true, false]);
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_away() {
        let (rate, start) = (Rate::new(nonzero(1), ms(100)), start());
        let mut bucket = Bucket::default();
        assert!(bucket.take(rate, start + ms(50)));
        assert!(!bucket.take(rate, start));
        assert!(bucket.take(rate, start + ms(150)));
    }

    #[test]
    fn clients_of_a_prefix_share_a_bucket_and_others_do_not() {
        let (rate, start) = (Rate::new(nonzero(1), ms(1000)), start());
        let prefixes = PrefixLengths::default();
        let mut buckets = PrefixBuckets::new(rate, prefixes, nonzero(4096), [7, 11]);
        let mut take = |address: &str| buckets.take(address.parse().expect("an address"), start);
        assert!(take("192.0.2.1"));
        assert!(!take("192.0.2.200") && !take("::ffff:192.0.2.3"));
        assert!(take("198.51.100.1"));
        assert!(take("2001:db8:0:1::1") && !take("2001:db8:0:1:ffff::9"));
        assert!(take("2001:db8:0:2::1"));
    }

    #[test]
    fn prefixes_that_collide_share_a_bucket() {
        let (rate, start) = (Rate::new(nonzero(1), ms(1000)), start());
        let prefixes = PrefixLengths::default();
        let mut buckets = PrefixBuckets::new(rate, prefixes, nonzero(1), [7, 11]);
        assert!(buckets.take("192.0.2.1".parse().expect("an address"), start));
        assert!(!buckets.take("2001:db8::1".parse().expect("an address"), start));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_allow(
            burst in 1_u32..20,
            every in 1_u64..50,
            gaps in proptest::collection::vec(0_u64..30, 1..200),
        ) {
            let (rate, start) = (Rate::new(nonzero(burst), ms(every)), start());
            let (mut bucket, mut at, mut taken) = (Bucket::default(), 0, 0);
            for gap in gaps {
                at += gap;
                taken += u64::from(bucket.take(rate, start + ms(at)));
                prop_assert!(taken <= u64::from(burst) + at / every);
            }
        }
    }
}
