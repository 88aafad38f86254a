//! How many datagrams are answered.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::caller::Caller;
use super::super::layer::Layer;
use crate::transport::now;

/// Buckets; sources that meet in one share it, so that a flood from many addresses costs them
/// something and the server no memory.
const BUCKETS: usize = 4096;

/// Drops datagrams of sources that send too many of them, other than this machine.
///
/// The address may be forged: then this bounds what its owner, who asked for nothing, gets from us.
/// A source is an address of IPv4 or a network of /64 of IPv6.
#[derive(Debug)]
pub struct RateLimit {
    /// What one datagram costs.
    interval: Duration,
    /// What a source may have saved up.
    depth: Duration,
    /// Which bucket is whose must not be known to those who would like to share somebody's.
    hasher: RandomState,
    /// When each bucket will be full again, all of them in the past at first.
    full_at: Mutex<Box<[Option<Instant>]>>,
}

impl RateLimit {
    /// So many datagrams a second from each source, and so many at once after a pause; both are at
    /// least one.
    pub fn new(per_second: u32, at_once: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            depth: interval * at_once.max(1),
            hasher: RandomState::new(),
            full_at: Mutex::new(vec![None; BUCKETS].into_boxed_slice()),
        }
    }

    fn take(&self, source: IpAddr, now: Instant) -> bool {
        let key = match source {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            IpAddr::V6(v6) => u64::try_from(u128::from(v6) >> 64).unwrap_or_default(),
        };
        let hash = self.hasher.hash_one((source.is_ipv4(), key));
        let index = usize::try_from(hash % BUCKETS as u64).unwrap_or_default();
        // Nothing panics while it is locked, and any table of moments is sound.
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = buckets.get_mut(index) else {
            return true;
        };
        let full_at = bucket.map_or(now, |full_at| full_at.max(now)) + self.interval;
        let enough = full_at.saturating_duration_since(now) <= self.depth;
        if enough {
            *bucket = Some(full_at);
        }
        enough
    }
}

impl Layer for RateLimit {
    fn accepts_datagram(&self, caller: &Caller) -> bool {
        match caller.ip() {
            Some(source) if !caller.is_this_machine() => self.take(source.to_canonical(), now()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn a_source_may_be_hasty_once_and_then_has_its_rate() {
        let limit = RateLimit::new(10, 5);
        let start = now();
        let heard = |milliseconds: u64| {
            let now = start + Duration::from_millis(milliseconds);
            let source = IpAddr::from([192, 0, 2, 1]);
            (0..100).filter(|_| limit.take(source, now)).count()
        };
        assert_eq!(heard(0), 5);
        assert_eq!(heard(99), 0);
        assert_eq!(heard(100), 1);
        assert_eq!(heard(1100), 5);
        assert_eq!(heard(1300), 2);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_this_machine_is_none() {
        let limit = RateLimit::new(1, 1);
        assert!(limit.take(ip("2001:db8::1"), now()));
        assert!(!limit.accepts_datagram(&caller("2001:db8::2")));
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(
                (0..9).all(|_| limit.accepts_datagram(&caller(local))),
                "{local}"
            );
        }
    }

    #[test]
    fn other_sources_are_heard_while_one_floods() {
        let limit = RateLimit::new(1, 1);
        let now = now();
        assert!(limit.take(ip("192.0.2.1"), now));
        // One in 4096 shares a bucket with the flood.
        let heard = (0..=255_u8)
            .filter(|last| limit.take(ip(&format!("198.51.100.{last}")), now))
            .count();
        assert!(heard > 200, "{heard}");
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn caller(peer: &str) -> Caller {
        Caller::new(Netid::Udp, Peer::Ip((ip(peer), 700).into()), None)
    }
}
