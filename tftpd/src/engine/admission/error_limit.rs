//! The rate limit of ERRORs for packets that belong to no transfer.

use std::{hash::BuildHasher, net::IpAddr, num::NonZeroU32, time::Instant};

use eport_core::limit::{Bucket, PrefixBuckets, PrefixLengths, Rate};

/// Limits the ERRORs of one thread per prefix and in total: a single packet of another protocol is
/// answered, a flood, whose addresses may be forged, is not.
#[derive(Debug)]
pub(super) struct ErrorRateLimit {
    prefixes: PrefixBuckets,
    total: Bucket,
}

/// Buckets for prefixes.
const BUCKETS: NonZeroU32 = NonZeroU32::new(1024).expect("not zero");

impl ErrorRateLimit {
    pub(super) fn new() -> Self {
        let random = crate::net::random_state();
        let secret = [random.hash_one(0), random.hash_one(1)];
        let lengths = PrefixLengths::default();
        Self {
            prefixes: PrefixBuckets::new(per_second(10, 20), lengths, BUCKETS, secret),
            total: Bucket::default(),
        }
    }

    /// Returns true if an ERROR may be sent to this client.
    pub(super) fn allow(&mut self, client: IpAddr, now: Instant) -> bool {
        self.prefixes.take(client, now) && self.total.take(per_second(200, 200), now)
    }
}

fn per_second(rate: u32, burst: u32) -> Rate {
    let nonzero = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Rate::per_second(nonzero(rate), nonzero(burst))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_gets_few_errors_and_leaves_some_for_other_prefixes() {
        let (mut limit, start) = (ErrorRateLimit::new(), crate::net::now());
        let mut answered = |client: [u8; 4], after| {
            limit.allow(client.into(), start + Duration::from_millis(after))
        };
        let flood = (0..10_000).filter(|_| answered([192, 0, 2, 1], 0)).count();
        assert_eq!(flood, 20);
        assert!(
            !answered([192, 0, 2, 200], 0),
            "its prefix shares the limit"
        );
        assert!(
            answered([198, 51, 100, 1], 0),
            "other prefixes have their own"
        );
        assert!(answered([192, 0, 2, 1], 100), "the bucket refills");
        let all = (0..250)
            .filter(|net| answered([10, 0, *net, 1], 100))
            .count();
        assert!(all <= 200, "{all} answers");
    }
}
