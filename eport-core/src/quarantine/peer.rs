//! Who used a port last, in two bytes.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

/// A peer in two bytes.
///
/// Two peers in 65,535 are taken for each other. The worst that comes of it is that another port is
/// drawn, so there is no secret in it: nobody gains by being mistaken for somebody else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerHash(NonZeroU16);

impl PeerHash {
    pub(crate) fn of(peer: SocketAddr) -> Self {
        let address = match peer.ip() {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let (high, low) = halves(address);
        let mixed = folded(folded(high) ^ low ^ u64::from(peer.port()).rotate_left(40));
        let in_range = u16::try_from(mixed % u64::from(u16::MAX)).unwrap_or(0);
        Self(NonZeroU16::MIN.saturating_add(in_range))
    }
}

/// The halves of a product, laid over each other: every bit of the number reaches the result.
fn folded(number: u64) -> u64 {
    const OFFSET: u64 = 0x5851_f42d_4c95_7f2d;
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let (high, low) = halves(u128::from(number ^ OFFSET) * u128::from(MULTIPLIER));
    high ^ low
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
const fn halves(number: u128) -> (u64, u64) {
    ((number >> 64) as u64, number as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn neighbours_are_seldom_taken_for_each_other() {
        let v4 = |number: u32| SocketAddr::from((Ipv4Addr::from_bits(number / 64), 40_000));
        let v6 = |number: u32| {
            let high = u128::from(number % 64) << 96;
            SocketAddr::from((Ipv6Addr::from_bits(high | u128::from(number / 64)), 40_000))
        };
        let ports = |number: u32| {
            let port = u16::try_from(number).expect("below 65536");
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let distinct = |peer: &dyn Fn(u32) -> SocketAddr, step: usize| {
            let peers = (0..32_768).step_by(step).map(peer);
            let hashes: HashSet<u16> = peers.map(|peer| PeerHash::of(peer).0.get()).collect();
            (hashes.len(), 32_768 / step)
        };
        // Thrown at random, n peers meet about 65535·(1 - e^(-n/65535)) hashes.
        for (found, peers) in [distinct(&ports, 1), distinct(&v6, 1), distinct(&v4, 64)] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let expected = 65_535.0 * (1.0 - (-(peers as f64) / 65_535.0).exp());
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let share = found as f64 / expected;
            assert!(share > 0.95, "{found} of {peers}, {share:.2}");
        }
    }
}
