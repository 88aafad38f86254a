//! A lossy link in virtual time: loss, duplication, delay and reordering, all from one seed.
//!
//! A [`Path`] is one direction. The caller owns the clock: it puts datagrams in with their time of
//! departure and takes them out at their time of arrival.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration, time::Instant};

/// One direction of a link, with its datagrams in flight.
#[derive(Debug)]
pub struct Path<T> {
    quality: Quality,
    rng: Rng,
    in_flight: BinaryHeap<Reverse<InFlight<T>>>,
    /// Arrival of the last datagram that was not reordered.
    in_order: Option<Instant>,
    carried: u64,
    counts: Counts,
}

/// Delay and defects of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quality {
    /// Mean delay of a datagram.
    pub delay: Duration,
    /// Largest deviation from `delay`, uniform, in per cent of it. Jitter alone never changes the
    /// order.
    pub jitter: u32,
    /// Datagrams lost, per thousand.
    pub loss: u32,
    /// Datagrams duplicated, per thousand; each copy has its own delay.
    pub duplicate: u32,
    /// Datagrams delayed by up to two more `delay`s, per thousand, so that later ones overtake them.
    pub reorder: u32,
}

impl Quality {
    /// Returns a path with a constant delay and no defects.
    pub const fn steady(delay: Duration) -> Self {
        Self {
            delay,
            jitter: 0,
            loss: 0,
            duplicate: 0,
            reorder: 0,
        }
    }
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Datagrams put in.
    pub sent: u64,
    /// Datagrams that never arrive.
    pub lost: u64,
    /// Datagrams that were duplicated.
    pub duplicated: u64,
    /// Datagrams that were delayed so that later ones overtake them.
    pub reordered: u64,
}

impl<T: Clone> Path<T> {
    /// Returns an empty path; `seed` determines all its losses, delays and copies.
    pub const fn new(quality: Quality, seed: u64) -> Self {
        Self {
            quality,
            rng: Rng::new(seed),
            in_flight: BinaryHeap::new(),
            in_order: None,
            carried: 0,
            counts: Counts {
                sent: 0,
                lost: 0,
                duplicated: 0,
                reordered: 0,
            },
        }
    }

    /// Sends a datagram at `now`.
    pub fn send(&mut self, now: Instant, datagram: T) {
        self.counts.sent += 1;
        if self.rng.chance(self.quality.loss) {
            self.counts.lost += 1;
            return;
        }
        if self.rng.chance(self.quality.duplicate) {
            self.counts.duplicated += 1;
            self.carry(now, datagram.clone());
        }
        self.carry(now, datagram);
    }

    /// Returns the arrival of the next datagram in flight.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(next)| next.arrival)
    }

    /// Returns the next datagram if it has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<T> {
        if self.next_arrival()? > now {
            return None;
        }
        self.in_flight.pop().map(|Reverse(next)| next.datagram)
    }

    /// Returns the counters.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn carry(&mut self, now: Instant, datagram: T) {
        let mut arrival = now + self.travel();
        if self.rng.chance(self.quality.reorder) {
            self.counts.reordered += 1;
            arrival += self.upto(self.quality.delay * 2);
        } else {
            arrival = self.in_order.map_or(arrival, |last| last.max(arrival));
            self.in_order = Some(arrival);
        }
        self.carried += 1;
        self.in_flight.push(Reverse(InFlight {
            arrival,
            number: self.carried,
            datagram,
        }));
    }

    fn travel(&mut self) -> Duration {
        let spread = self.quality.delay * self.quality.jitter / 100;
        self.quality.delay.saturating_sub(spread) + self.upto(spread * 2)
    }

    fn upto(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.below(nanos.saturating_add(1)))
    }
}

#[derive(Debug)]
struct InFlight<T> {
    arrival: Instant,
    /// Sequence number, which keeps the order of datagrams with equal arrivals.
    number: u64,
    datagram: T,
}

impl<T> InFlight<T> {
    const fn key(&self) -> (Instant, u64) {
        (self.arrival, self.number)
    }
}

impl<T> PartialEq for InFlight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for InFlight<T> {}

impl<T> PartialOrd for InFlight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for InFlight<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// A pseudo-random generator (`SplitMix64`): the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Returns the generator of `seed`; adjacent seeds give unrelated sequences.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 pseudo-random bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = (u128::from(self.draw()) * u128::from(bound)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// Returns true with a probability of `per_mille` in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        // Probability 0 draws no number, so that an unused defect does not change the sequence.
        per_mille > 0 && self.below(1000) < u64::from(per_mille)
    }

    /// Returns one of `choices`.
    ///
    /// # Panics
    /// If `choices` is empty.
    #[track_caller]
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        usize::try_from(index)
            .ok()
            .and_then(|index| choices.get(index))
            .expect("something to choose from")
    }

    /// Returns `len` pseudo-random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 7);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// Returns the origin of virtual time. Any instant serves: only differences count.
#[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
pub fn beginning() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(10);

    /// Sends 0, 1, 2 … 1 ms apart and returns the arrivals with their times.
    fn deliver(quality: Quality, seed: u64, count: u32) -> (Vec<(Duration, u32)>, Counts) {
        let start = beginning();
        let mut path = Path::new(quality, seed);
        for number in 0..count {
            path.send(start + Duration::from_millis(number.into()), number);
        }
        let mut arrived = Vec::new();
        while let Some(at) = path.next_arrival() {
            arrived.push((at - start, path.receive(at).expect("it has arrived")));
        }
        (arrived, path.counts())
    }

    fn numbers(arrived: &[(Duration, u32)]) -> Vec<u32> {
        arrived.iter().map(|&(_, number)| number).collect()
    }

    #[test]
    fn a_steady_path_delivers_everything_in_order_and_on_time() {
        let (arrived, counts) = deliver(Quality::steady(DELAY), 1, 100);
        assert_eq!(numbers(&arrived), (0..100).collect::<Vec<_>>());
        assert!(
            arrived
                .iter()
                .all(|&(at, n)| at == DELAY + Duration::from_millis(n.into()))
        );
        assert_eq!(
            counts,
            Counts {
                sent: 100,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn nothing_arrives_before_its_time() {
        let start = beginning();
        let mut path = Path::new(Quality::steady(DELAY), 1);
        path.send(start, ());
        assert_eq!(path.receive(start + Duration::from_millis(9)), None);
        assert_eq!(path.receive(start + DELAY), Some(()));
        assert_eq!(path.next_arrival(), None);
    }

    #[test]
    fn jitter_spreads_arrivals_and_keeps_the_order() {
        let quality = Quality {
            jitter: 50,
            ..Quality::steady(DELAY)
        };
        let (arrived, _) = deliver(quality, 7, 1000);
        assert_eq!(numbers(&arrived), (0..1000).collect::<Vec<_>>());
        let travelled: Vec<_> = arrived
            .iter()
            .map(|&(at, n)| at.saturating_sub(Duration::from_millis(n.into())))
            .collect();
        let shortest = travelled.iter().min().expect("a thousand");
        let longest = travelled.iter().max().expect("a thousand");
        assert!(*shortest >= DELAY / 2 && *shortest < DELAY, "{shortest:?}");
        assert!(*longest <= DELAY * 3 / 2 && *longest > DELAY, "{longest:?}");
    }

    #[test]
    fn losses_copies_and_overtakings_are_as_frequent_as_asked_for() {
        let quality = Quality {
            loss: 50,
            duplicate: 20,
            reorder: 100,
            ..Quality::steady(DELAY)
        };
        let (arrived, counts) = deliver(quality, 3, 100_000);
        assert!((4_500..5_500).contains(&counts.lost), "{counts:?}");
        assert!((1_700..2_300).contains(&counts.duplicated), "{counts:?}");
        assert!((9_000..11_000).contains(&counts.reordered), "{counts:?}");
        assert_eq!(
            arrived.len() as u64,
            counts.sent - counts.lost + counts.duplicated
        );
        assert!(arrived.windows(2).any(|pair| pair[0].1 > pair[1].1));
    }

    #[test]
    fn a_seed_decides_everything() {
        let quality = Quality {
            jitter: 50,
            loss: 100,
            duplicate: 100,
            reorder: 100,
            ..Quality::steady(DELAY)
        };
        assert_eq!(deliver(quality, 5, 500), deliver(quality, 5, 500));
        assert_ne!(deliver(quality, 5, 500), deliver(quality, 6, 500));
    }
}
