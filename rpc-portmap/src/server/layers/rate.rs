//! The rate of datagrams from each source.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use eport_core::limit::{PrefixBuckets, PrefixLengths, Rate};

use super::super::caller::Caller;
use super::super::layer::Layer;
use crate::transport::{self, now};

/// Token buckets. Sources whose hashes collide share one, so that a flood from many addresses costs
/// them something and the server no memory.
const BUCKETS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// Drops datagrams of sources that send too many of them, other than this machine.
///
/// The source address can be forged: then this bounds the datagrams that its owner gets without
/// having asked. A source is an address of IPv4 or a network of /64 of IPv6.
#[derive(Debug)]
pub struct RateLimit(Mutex<PrefixBuckets>);

impl RateLimit {
    /// Makes a limit of `per_second` datagrams from each source, and of `burst` after a pause; both
    /// are at least one.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let [per_second, burst] =
            [per_second, burst].map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN));
        // A sender that had the secret could choose a bucket, and with it another source to suppress.
        let random = transport::random_state();
        let secret = [random.hash_one(0), random.hash_one(1)];
        Self(Mutex::new(PrefixBuckets::new(
            Rate::per_second(per_second, burst),
            PrefixLengths::HOST,
            BUCKETS,
            secret,
        )))
    }

    fn take(&self, source: IpAddr, now: Instant) -> bool {
        // Nothing panics while it is locked, and any table of moments is sound.
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(source, now)
    }
}

impl Layer for RateLimit {
    fn accepts_datagram(&self, caller: &Caller) -> bool {
        match caller.ip() {
            Some(source) if !caller.is_this_machine() => self.take(source, now()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rpcbind::Netid;
    use crate::server::Peer;

    #[test]
    fn a_source_has_a_burst_and_then_its_rate() {
        let limit = RateLimit::new(10, 5);
        let start = now();
        let answered = |milliseconds: u64| {
            let now = start + Duration::from_millis(milliseconds);
            let source = IpAddr::from([192, 0, 2, 1]);
            (0..100).filter(|_| limit.take(source, now)).count()
        };
        assert_eq!(answered(0), 5);
        assert_eq!(answered(99), 0);
        assert_eq!(answered(100), 1);
        assert_eq!(answered(1100), 5);
        assert_eq!(answered(1300), 2);
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
    fn other_sources_are_answered_while_one_floods() {
        let limit = RateLimit::new(1, 1);
        let now = now();
        assert!(limit.take(ip("192.0.2.1"), now));
        // One in 4096 shares a bucket with the flood.
        let answered = (0..=255_u8)
            .filter(|last| limit.take(ip(&format!("198.51.100.{last}")), now))
            .count();
        assert!(answered > 200, "{answered}");
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn caller(peer: &str) -> Caller {
        Caller::new(Netid::Udp, Peer::Ip((ip(peer), 700).into()), None)
    }
}
