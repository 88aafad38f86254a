//! The pairs of port and peer whose rest has not ended.

use std::net::{IpAddr, SocketAddr};

/// Whole seconds since some beginning.
type Seconds = u32;

/// Bits for each port in each of the two generations.
const BITS_PER_PORT: usize = 32;
/// The least size, so that mistakes are rare in small ranges too.
const LEAST_WORDS: usize = 512;
/// Pairs that a word takes on average before a generation is full; one look-up in forty of a pair
/// that was never stored is mistaken then.
const PAIRS_PER_WORD: usize = 8;

/// A peer as a number that other peers hardly share.
///
/// A collision gains a peer nothing, so the hash has no secret key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerHash(u64);

impl PeerHash {
    pub(crate) fn new(peer: SocketAddr) -> Self {
        let address = match peer.ip() {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let (high, low) = halves(address);
        Self(folded(
            folded(high) ^ low ^ u64::from(peer.port()).rotate_left(40),
        ))
    }
}

/// Pairs of port and peer, kept for a time in a fixed space.
///
/// Two Bloom filters: pairs go into the younger one, and are looked up in both. After the time of
/// rest the older one is emptied and becomes the younger. So a pair that was stored is found for at
/// least that time and at most twice as long; a pair that was not is found by mistake sometimes, and
/// the only effect is that another port is drawn. All bits of a pair are in one
/// word, so a look-up costs two cache lines.
///
/// When the younger filter is full before its time, the older one has to go early.
#[derive(Clone, Debug)]
pub(crate) struct RecentPeers {
    younger: Box<[u64]>,
    older: Box<[u64]>,
    /// Pairs in the younger generation, and how many it takes.
    noted: usize,
    most: usize,
    began: Seconds,
    period: Seconds,
}

impl RecentPeers {
    /// Makes filters for `ports` ports, each pair of which rests for `rest` whole seconds; nothing is
    /// stored if that is none.
    pub(crate) fn new(ports: u16, rest: Seconds) -> Self {
        let words = (usize::from(ports) * BITS_PER_PORT / 64).max(LEAST_WORDS);
        let words = if rest > 0 { words } else { 0 };
        Self {
            younger: vec![0; words].into(),
            older: vec![0; words].into(),
            noted: 0,
            most: words * PAIRS_PER_WORD,
            began: 0,
            // Moments are rounded down: one second more, or the rest could be too short.
            period: rest.saturating_add(1),
        }
    }

    /// Stores that `peer` has used a port until `now`. Returns true if other pairs were dropped early.
    pub(crate) fn insert(&mut self, slot: u16, peer: PeerHash, now: Seconds) -> bool {
        self.expire(now);
        let is_full = self.most > 0 && self.noted >= self.most;
        if is_full {
            self.rotate(now);
        }
        let (at, bits) = self.locate(slot, peer);
        if let Some(word) = self.younger.get_mut(at) {
            *word |= bits;
            self.noted += 1;
        }
        is_full
    }

    /// Returns true if a port rests for `peer`.
    pub(crate) fn contains(&self, slot: u16, peer: PeerHash) -> bool {
        let (at, bits) = self.locate(slot, peer);
        let is_in = |words: &[u64]| words.get(at).is_some_and(|word| word & bits == bits);
        is_in(&self.younger) || is_in(&self.older)
    }

    /// Drops the generation whose rest has ended. To be called before [`contains`](Self::contains).
    pub(crate) fn expire(&mut self, now: Seconds) {
        let age = now.saturating_sub(self.began);
        if age >= self.period {
            if age >= self.period.saturating_mul(2) {
                self.younger.fill(0);
            }
            self.rotate(now);
        }
    }

    /// Returns the earliest second in which a pair stored at `left` is dropped; `None` if nothing is
    /// stored.
    pub(crate) fn rests_until(&self, left: Seconds) -> Option<Seconds> {
        (self.most > 0).then(|| left.saturating_add(self.period))
    }

    /// Empties the older generation and makes it the younger one.
    fn rotate(&mut self, now: Seconds) {
        std::mem::swap(&mut self.younger, &mut self.older);
        self.younger.fill(0);
        self.noted = 0;
        self.began = now;
    }

    /// Returns the index of the word for a pair, and its four bits.
    fn locate(&self, slot: u16, peer: PeerHash) -> (usize, u64) {
        let hash = folded(peer.0 ^ u64::from(slot).rotate_left(17));
        let words = u128::try_from(self.younger.len()).unwrap_or(0);
        let at = (u128::from(hash) * words) >> 64;
        let bit = |turn: u32| 1u64 << ((hash >> (turn * 6)) & 63);
        let bits = bit(0) | bit(1) | bit(2) | bit(3);
        (usize::try_from(at).unwrap_or(0), bits)
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v4(number: u32) -> PeerHash {
        let host = Ipv4Addr::from_bits(0x0a00_0000 + number / 16);
        let port = 40_000 + u16::try_from(number % 16).expect("small");
        PeerHash::new((host, port).into())
    }

    fn v6(number: u32) -> PeerHash {
        let network = u128::from(number % 256) << 64;
        let host = Ipv6Addr::from_bits(network | u128::from(number / 256));
        PeerHash::new((host, 40_000).into())
    }

    #[test]
    fn a_pair_is_found_for_as_long_as_it_rests_and_at_most_twice_as_long() {
        for start in [0, 7, 119, 120, 121, 1000] {
            let mut memory = RecentPeers::new(1000, 120);
            memory.expire(start);
            assert!(!memory.insert(3, v4(1), start));
            for later in 0..=120 {
                memory.expire(start + later);
                assert!(
                    memory.contains(3, v4(1)),
                    "stored at {start}, dropped after {later}"
                );
            }
            memory.expire(start + 242);
            assert!(!memory.contains(3, v4(1)), "stored at {start}");
        }
    }

    #[test]
    fn a_long_silence_empties_both_generations() {
        let mut memory = RecentPeers::new(1000, 120);
        memory.insert(3, v4(1), 0);
        memory.expire(1_000_000);
        assert!(!memory.contains(3, v4(1)));
    }

    #[test]
    fn pairs_are_seldom_mistaken_even_when_a_generation_is_full() {
        for peer in [v4, v6] {
            let mut memory = RecentPeers::new(16_384, 120);
            for number in 0..65_536 {
                let slot = u16::try_from(number % 16_384).expect("small");
                assert!(!memory.insert(slot, peer(number), 0));
            }
            let unknown = 100_000..200_000u32;
            let mistaken = unknown.filter(|number| {
                let slot = u16::try_from(number % 16_384).expect("small");
                memory.contains(slot, peer(*number))
            });
            let mistaken = mistaken.count();
            assert!(mistaken < 4000, "{mistaken} of 100,000");
        }
    }

    #[test]
    fn more_pairs_than_there_is_room_for_are_dropped_early_and_that_is_returned() {
        let mut memory = RecentPeers::new(1, 120);
        let room = u32::try_from(LEAST_WORDS * PAIRS_PER_WORD).expect("small");
        assert!((0..room).all(|number| !memory.insert(0, v4(number), 0)));
        assert!(memory.insert(0, v4(room), 0));
        assert!(
            memory.contains(0, v4(0)),
            "the older generation still knows it"
        );
        assert!((1..room).all(|number| !memory.insert(0, v4(room + number), 0)));
        assert!(memory.insert(0, v4(3 * room), 0));
    }

    #[test]
    fn without_a_rest_nothing_is_stored() {
        let mut memory = RecentPeers::new(1000, 0);
        assert!(!memory.insert(3, v4(1), 0));
        assert!(!memory.contains(3, v4(1)));
    }
}
