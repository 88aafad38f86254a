//! The start of the search for a port, for the strategies that search in an order.

use std::hash::Hasher as _;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use rand_core::Rng;
use siphasher::sip::SipHasher24;

use super::{Strategy, below};

/// Whole seconds since some beginning.
type Seconds = u32;

/// Both ends of a conversation, as far as they are known before the port is: what the hash
/// strategies distinguish.
///
/// ```text
///  1         16          4         16        2
/// ┌──────────┬───────────┬─────────┬─────────┬──────┐
/// │ protocol │ local IP  │ scope   │ peer IP │ port │
/// └──────────┴───────────┴─────────┴─────────┴──────┘
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conversation([u8; 39]);

impl Conversation {
    pub(crate) fn new(protocol: u8, local: IpAddr, scope: u32, peer: SocketAddr) -> Self {
        let mut bytes = [0; 39];
        let parts: [&[u8]; 5] = [
            &[protocol],
            &octets(local),
            &scope.to_be_bytes(),
            &octets(peer.ip()),
            &peer.port().to_be_bytes(),
        ];
        let source = parts.into_iter().flatten();
        bytes
            .iter_mut()
            .zip(source)
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The state of a strategy for the ports of one space, which are numbered 0 to `len` - 1.
///
/// Every space has its own, begun at random, so that ports observed in one reveal nothing about another.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    sequence: Sequence,
    len: u16,
}

#[derive(Clone, Debug)]
enum Sequence {
    Random,
    Sequential { next: u16 },
    Increments { most: NonZeroU16, last: Option<u16> },
    Hash(Hashes),
}

/// Algorithms 3 (one counter) and 4 (a table of them).
#[derive(Clone, Debug)]
struct Hashes {
    counters: Box<[u16]>,
    keys: Option<Keys>,
    rekey: Seconds,
    /// The counter that the search under way belongs to, and where that search began.
    current: (usize, u16),
}

#[derive(Clone, Copy, Debug)]
struct Keys {
    offset: (u64, u64),
    index: (u64, u64),
    until: Seconds,
}

impl Selector {
    pub(crate) fn new(strategy: Strategy, len: u16) -> Self {
        let sequence = match strategy {
            Strategy::Random => Sequence::Random,
            Strategy::Sequential => Sequence::Sequential { next: 0 },
            Strategy::RandomIncrements { most } => Sequence::Increments { most, last: None },
            Strategy::HashBased { rekey } => Sequence::Hash(Hashes::new(1, rekey)),
            Strategy::DoubleHash { table, rekey } => {
                Sequence::Hash(Hashes::new(usize::from(table.get()), rekey))
            }
        };
        Self { sequence, len }
    }

    /// Returns the slot from which the next free one is to be taken; `None` if each free slot is to be
    /// equally likely.
    ///
    /// The hash strategies return `None` for an unknown peer: hashing the local address alone would
    /// give all of them one ascending sequence.
    pub(crate) fn start<R: Rng + ?Sized>(
        &mut self,
        conversation: impl FnOnce() -> Option<Conversation>,
        rng: &mut R,
        now: Seconds,
    ) -> Option<u16> {
        let len = NonZeroU16::new(self.len)?;
        match &mut self.sequence {
            Sequence::Random => None,
            Sequence::Sequential { next } => Some(*next % len),
            Sequence::Increments { most, last } => {
                let last = last.unwrap_or_else(|| below(rng, len));
                let step = u32::from(below(rng, *most)) + 1;
                Some(reduced(u32::from(last) + step, len))
            }
            Sequence::Hash(hashes) => {
                let conversation = conversation()?;
                Some(hashes.start(&conversation, rng, len, now))
            }
        }
    }

    /// Records that the search that began last ended at `slot`.
    pub(crate) fn took(&mut self, slot: u16) {
        let Some(len) = NonZeroU16::new(self.len) else {
            return;
        };
        match &mut self.sequence {
            Sequence::Random => {}
            Sequence::Sequential { next } => *next = reduced(u32::from(slot) + 1, len),
            Sequence::Increments { last, .. } => *last = Some(slot),
            Sequence::Hash(hashes) => hashes.took(slot, len),
        }
    }
}

impl Hashes {
    fn new(counters: usize, rekey: Duration) -> Self {
        let rekey = Seconds::try_from(rekey.as_secs()).unwrap_or(Seconds::MAX);
        Self {
            counters: vec![0; counters].into(),
            keys: None,
            rekey: rekey.max(1),
            current: (0, 0),
        }
    }

    fn start<R: Rng + ?Sized>(
        &mut self,
        conversation: &Conversation,
        rng: &mut R,
        len: NonZeroU16,
        now: Seconds,
    ) -> u16 {
        let keys = self.keys(rng, len, now);
        let offset = scaled(hash(keys.offset, conversation), usize::from(len.get()));
        let counter = scaled(hash(keys.index, conversation), self.counters.len());
        let count = self.counters.get(counter).copied().unwrap_or(0);
        let start = reduced(u32::try_from(offset).unwrap_or(0) + u32::from(count), len);
        self.current = (counter, start);
        start
    }

    /// RFC 6056 counts every port that was looked at, free or not.
    fn took(&mut self, slot: u16, len: NonZeroU16) {
        let (counter, start) = self.current;
        let passed = (u32::from(slot) + u32::from(len.get()) - u32::from(start)) % wide(len);
        if let Some(counter) = self.counters.get_mut(counter) {
            *counter = reduced(u32::from(*counter) + passed + 1, len);
        }
    }

    fn keys<R: Rng + ?Sized>(&mut self, rng: &mut R, len: NonZeroU16, now: Seconds) -> Keys {
        if let Some(keys) = self.keys.filter(|keys| now < keys.until) {
            return keys;
        }
        let keys = Keys {
            offset: (rng.next_u64(), rng.next_u64()),
            index: (rng.next_u64(), rng.next_u64()),
            until: now.saturating_add(self.rekey),
        };
        self.counters
            .iter_mut()
            .for_each(|counter| *counter = below(rng, len));
        *self.keys.insert(keys)
    }
}

fn hash((first, second): (u64, u64), conversation: &Conversation) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(first, second);
    hasher.write(&conversation.0);
    hasher.finish()
}

/// A hash as a number below `bound`; with 64 bits for at most 16, no result is noticeably likelier.
fn scaled(hash: u64, bound: usize) -> usize {
    let product = u128::from(hash) * u128::try_from(bound).unwrap_or(0);
    usize::try_from(product >> 64).unwrap_or(0)
}

fn reduced(number: u32, len: NonZeroU16) -> u16 {
    // A remainder of a u16 is one.
    u16::try_from(number % wide(len)).unwrap_or(0)
}

fn wide(len: NonZeroU16) -> std::num::NonZeroU32 {
    len.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chacha20::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a peer may be unknown")]
    fn to(peer: &str) -> Option<Conversation> {
        let local = IpAddr::from([192, 0, 2, 1]);
        Some(Conversation::new(0, local, 0, peer.parse().expect(peer)))
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::from_seed([1; 32])
    }

    /// The next `count` starts towards `peer` when every slot is free.
    fn starts(
        selector: &mut Selector,
        peer: &str,
        rng: &mut ChaCha8Rng,
        now: Seconds,
        count: usize,
    ) -> Vec<u16> {
        let mut next = || {
            let slot = selector.start(|| to(peer), rng, now).expect("an order");
            selector.took(slot);
            slot
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn sequential_passes_every_slot_and_rolls_over() {
        let mut selector = Selector::new(Strategy::Sequential, 4);
        let seen = starts(&mut selector, "[::1]:1", &mut rng(), 0, 6);
        assert_eq!(seen, [0, 1, 2, 3, 0, 1]);
    }

    #[test]
    fn a_random_step_is_between_one_and_the_largest() {
        let most = NonZeroU16::new(5).expect("not zero");
        let mut selector = Selector::new(Strategy::RandomIncrements { most }, 1000);
        let seen = starts(&mut selector, "[::1]:1", &mut rng(), 0, 2000);
        let steps: HashSet<u16> = seen
            .windows(2)
            .map(|pair| (pair[1] + 1000 - pair[0]) % 1000)
            .collect();
        assert_eq!(steps, (1..=5).collect());
    }

    #[test]
    fn a_counter_moves_past_the_slots_that_were_passed_over() {
        let mut selector = Selector::new(Strategy::HASH_BASED, 100);
        let mut rng = rng();
        let start = selector
            .start(|| to("[::1]:1"), &mut rng, 0)
            .expect("an order");
        selector.took((start + 7) % 100);
        let next = selector.start(|| to("[::1]:1"), &mut rng, 0);
        assert_eq!(next, Some((start + 8) % 100));
    }

    #[test]
    fn keys_last_as_long_as_they_should() {
        let rekey = Duration::from_secs(60);
        let mut selector = Selector::new(Strategy::HashBased { rekey }, 10_000);
        let mut rng = rng();
        let before = starts(&mut selector, "[::1]:1", &mut rng, 0, 1);
        let kept = starts(&mut selector, "[::1]:1", &mut rng, 59, 1);
        assert_eq!(kept, [(before[0] + 1) % 10_000]);
        let after = starts(&mut selector, "[::1]:1", &mut rng, 60, 1);
        assert_ne!(after, [(before[0] + 2) % 10_000]);
    }

    #[test]
    fn an_unknown_peer_is_served_at_random() {
        let mut selector = Selector::new(Strategy::DOUBLE_HASH, 100);
        assert_eq!(selector.start(|| None, &mut rng(), 0), None);
    }
}
