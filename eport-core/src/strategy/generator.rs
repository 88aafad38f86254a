//! The generator behind every draw.

use std::convert::Infallible;
use std::fmt;
use std::hash::Hasher as _;
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use rand_core::{Rng, SeedableRng, TryRng};
use siphasher::sip::SipHasher24;

/// The seed of a generator.
type Seed = [u8; 32];

/// Draws after which the generator takes a new seed from the operating system.
const RESEED_AFTER: u32 = 1 << 16;
/// Time after which it does so.
const RESEED_EVERY: Duration = Duration::from_secs(600);

/// `ChaCha8`, which costs 3 ns a draw where asking the system costs 700.
///
/// It is seeded again after 2^16 draws or ten minutes. Between two seeds, every draw is mixed with
/// the moment it is made at, through a hash whose key is as secret as the state. A process that
/// forks, and a virtual machine that is started twice from one snapshot, would otherwise draw
/// the same ports as its twin. With the moment, they differ from the first draw on, because they do
/// not make it in the same nanosecond; the process number instead would cost a system call each time
/// and would not cover snapshots.
pub(crate) struct Generator {
    stream: ChaCha8Rng,
    draws: u32,
    /// Mixed into every number; 0 in a generator that repeats itself.
    moment: u64,
    renewal: Option<Renewal>,
}

/// The renewal of a generator that does not repeat itself.
struct Renewal {
    source: fn() -> Option<Seed>,
    since: Instant,
    key: (u64, u64),
}

impl Generator {
    /// Makes a generator that repeats itself for the same seed.
    pub(crate) fn repeatable(seed: Seed) -> Self {
        Self {
            stream: ChaCha8Rng::from_seed(seed),
            draws: 0,
            moment: 0,
            renewal: None,
        }
    }

    /// Makes a generator that calls `source` for another seed from time to time. When there is none,
    /// the stream continues: it is no weaker for that.
    pub(crate) fn reseeding(seed: Seed, source: fn() -> Option<Seed>, now: Instant) -> Self {
        let mut generator = Self::repeatable(seed);
        let key = key(&mut generator.stream);
        generator.renewal = Some(Renewal {
            source,
            since: now,
            key,
        });
        generator
    }

    /// Returns the same generator, for draws made `now`.
    pub(crate) fn at(&mut self, now: Instant) -> &mut Self {
        let Some(renewal) = &mut self.renewal else {
            return self;
        };
        let age = now.saturating_duration_since(renewal.since);
        if age < RESEED_EVERY && self.draws < RESEED_AFTER {
            self.moment = mixed(renewal.key, age);
            return self;
        }
        if let Some(seed) = (renewal.source)() {
            self.stream = ChaCha8Rng::from_seed(seed);
        }
        renewal.key = key(&mut self.stream);
        renewal.since = now;
        self.moment = mixed(renewal.key, Duration::ZERO);
        self.draws = 0;
        self
    }

    fn count(&mut self) {
        self.draws = self.draws.saturating_add(1);
    }
}

fn key(stream: &mut ChaCha8Rng) -> (u64, u64) {
    (stream.next_u64(), stream.next_u64())
}

fn mixed((first, second): (u64, u64), moment: Duration) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(first, second);
    // Below 2^64 for five hundred years.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only that moments differ counts"
    )]
    hasher.write_u64(moment.as_nanos() as u64);
    hasher.finish()
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.count();
        #[expect(clippy::cast_possible_truncation, reason = "half of it is enough")]
        let moment = self.moment as u32;
        Ok(self.stream.next_u32() ^ moment)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.count();
        Ok(self.stream.next_u64() ^ self.moment)
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        for part in destination.chunks_mut(8) {
            let number = self.try_next_u64()?.to_le_bytes();
            part.iter_mut()
                .zip(number)
                .for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// Hides the state, which determines the next port.
impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn eight(generator: &mut Generator, now: Instant) -> Vec<u32> {
        (0..8).map(|_| generator.at(now).next_u32()).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "a source may have none")]
    fn other_seed() -> Option<Seed> {
        Some([2; 32])
    }

    /// Returns the first draws of a generator seeded with `other_seed` at `now`.
    fn fresh(now: Instant) -> Vec<u32> {
        let mut fresh = Generator::reseeding([2; 32], other_seed, now);
        eight(&mut fresh, now)
    }

    #[test]
    fn a_new_seed_is_taken_after_2_to_the_16_draws() {
        let start = start();
        let mut generator = Generator::reseeding([1; 32], other_seed, start);
        for _ in 0..RESEED_AFTER {
            generator.next_u32();
        }
        assert_eq!(eight(&mut generator, start).first(), fresh(start).first());
    }

    #[test]
    fn a_new_seed_is_taken_after_ten_minutes() {
        let start = start();
        let mut generator = Generator::reseeding([1; 32], other_seed, start);
        let (sooner, later) = (start + SECOND * 599, start + RESEED_EVERY);
        assert_eq!(generator.at(later).next_u32(), fresh(later)[0]);
        let mut steady = Generator::reseeding([1; 32], other_seed, start);
        assert_ne!(steady.at(sooner).next_u32(), fresh(later)[0]);
    }

    #[test]
    fn the_stream_goes_on_when_the_system_has_no_seed() {
        let start = start();
        let mut reseeding = Generator::reseeding([1; 32], || None, start);
        let mut other = Generator::reseeding([1; 32], || None, start);
        for _ in 0..=RESEED_AFTER {
            assert_eq!(
                reseeding.at(start + SECOND).next_u32(),
                other.at(start + SECOND).next_u32()
            );
        }
    }

    #[test]
    fn twins_part_as_soon_as_they_draw_at_different_moments() {
        let start = start();
        let twin = || Generator::reseeding([1; 32], || None, start);
        let at = |nanoseconds| start + SECOND + Duration::from_nanos(nanoseconds);
        assert_eq!(eight(&mut twin(), at(0)), eight(&mut twin(), at(0)));
        let (parent, child) = (eight(&mut twin(), at(0)), eight(&mut twin(), at(1)));
        assert!(
            parent
                .iter()
                .zip(&child)
                .all(|(parent, child)| parent != child)
        );
    }

    #[test]
    fn a_repeatable_generator_does_not_heed_the_time() {
        let (start, twin) = (start(), || Generator::repeatable([1; 32]));
        assert_eq!(
            eight(&mut twin(), start),
            eight(&mut twin(), start + SECOND)
        );
    }

    #[test]
    fn its_debug_form_hides_the_state() {
        assert_eq!(
            format!("{:?}", Generator::repeatable([7; 32])),
            "Generator { .. }"
        );
    }
}
