//! How often something may happen.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use super::network::{PrefixLengths, Spread};

/// So many at once, and one more after each interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    every: Duration,
    /// How far a bucket may be ahead of the clock.
    depth: Duration,
}

impl Rate {
    /// `burst` at once, then one each `every`.
    pub fn new(burst: NonZeroU32, every: Duration) -> Self {
        Self {
            every,
            depth: every.saturating_mul(burst.get()),
        }
    }

    /// `burst` at once, then `rate` in a second.
    pub fn per_second(rate: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::new(burst, Duration::from_secs(1) / rate.get())
    }
}

/// A token bucket, full to begin with.
///
/// It is one instant: the one at which the bucket is full again. Taking a token puts that off by an
/// interval, and it may not lie further ahead than the burst (the "virtual scheduling" of the
/// generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a token if there is one. A `now` before an earlier one does no harm.
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

/// A token bucket for each client prefix, in a table of fixed size.
///
/// Prefixes that meet in one place share its bucket: with `places` far above the number of busy
/// neighbourhoods that is rare, nobody can bring it about, and it errs on the careful side. No
/// number of addresses makes the table grow.
#[derive(Clone, Debug)]
pub struct ClientBuckets {
    rate: Rate,
    prefixes: PrefixLengths,
    spread: Spread,
    places: Box<[Bucket]>,
}

impl ClientBuckets {
    /// Full buckets; `secret` is random, so that strangers cannot choose where they meet.
    pub fn new(rate: Rate, prefixes: PrefixLengths, places: NonZeroU32, secret: [u64; 2]) -> Self {
        let places = (0..places.get()).map(|_| Bucket::default()).collect();
        Self {
            rate,
            prefixes,
            spread: Spread::new(secret),
            places,
        }
    }

    /// Takes a token for this client's neighbourhood if there is one. O(1).
    #[must_use]
    pub fn take(&mut self, client: IpAddr, now: Instant) -> bool {
        let place = self
            .spread
            .place(&self.prefixes.around(client), self.places.len());
        let bucket = self.places.get_mut(place);
        bucket.is_some_and(|bucket| bucket.take(self.rate, now))
    }
}

/// Lets a kind of log line through at a bounded rate, and says how many it held back.
///
/// ```
/// use std::{num::NonZeroU32, time::{Duration, Instant}};
/// use tftpd::policy::limit::{LogLimit, Rate};
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
    /// A limit that has held nothing back.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            bucket: Bucket::default(),
            suppressed: 0,
        }
    }

    /// Whether the line may be written now, and then how many were not since the last one.
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
    use crate::policy::testing::start;
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
    fn neighbours_share_a_bucket_and_strangers_do_not() {
        let (rate, start) = (Rate::new(nonzero(1), ms(1000)), start());
        let prefixes = PrefixLengths::default();
        let mut buckets = ClientBuckets::new(rate, prefixes, nonzero(4096), [7, 11]);
        let mut take = |address: &str| buckets.take(address.parse().expect("an address"), start);
        assert!(take("192.0.2.1"));
        assert!(!take("192.0.2.200") && !take("::ffff:192.0.2.3"));
        assert!(take("198.51.100.1"));
        assert!(take("2001:db8:0:1::1") && !take("2001:db8:0:1:ffff::9"));
        assert!(take("2001:db8:0:2::1"));
    }

    #[test]
    fn where_prefixes_meet_they_share() {
        let (rate, start) = (Rate::new(nonzero(1), ms(1000)), start());
        let prefixes = PrefixLengths::default();
        let mut buckets = ClientBuckets::new(rate, prefixes, nonzero(1), [7, 11]);
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
