//! The generator behind every draw.

use std::convert::Infallible;
use std::fmt;

use chacha20::ChaCha8Rng;
use rand_core::{Rng, SeedableRng, TryRng};

/// What a generator is started with.
type Seed = [u8; 32];

/// Draws after which the generator takes a new seed from the operating system.
const RESEED_AFTER: u32 = 1 << 16;

/// `ChaCha8`, which costs 3 ns a draw where asking the system costs 700, seeded again after 2^16 draws.
pub(crate) struct Generator {
    stream: ChaCha8Rng,
    draws: u32,
    reseed: Option<fn() -> Option<Seed>>,
}

impl Generator {
    /// A generator that repeats itself for the same seed.
    pub(crate) fn repeatable(seed: Seed) -> Self {
        Self {
            stream: ChaCha8Rng::from_seed(seed),
            draws: 0,
            reseed: None,
        }
    }

    /// A generator that asks `source` for another seed from time to time. When there is none,
    /// the stream goes on: it is no weaker for that.
    pub(crate) fn reseeding(seed: Seed, source: fn() -> Option<Seed>) -> Self {
        Self {
            reseed: Some(source),
            ..Self::repeatable(seed)
        }
    }

    fn count(&mut self) {
        self.draws += 1;
        if self.draws >= RESEED_AFTER {
            self.draws = 0;
            if let Some(seed) = self.reseed.and_then(|source| source()) {
                self.stream = ChaCha8Rng::from_seed(seed);
            }
        }
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.count();
        Ok(self.stream.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.count();
        Ok(self.stream.next_u64())
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.count();
        self.stream.fill_bytes(destination);
        Ok(())
    }
}

/// Tells nothing of the state: whoever knows it knows the next port.
impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_seed_is_taken_after_2_to_the_16_draws() {
        let mut reseeding = Generator::reseeding([1; 32], || Some([2; 32]));
        let mut steady = Generator::repeatable([1; 32]);
        for _ in 1..RESEED_AFTER {
            assert_eq!(reseeding.next_u32(), steady.next_u32());
        }
        let mut fresh = Generator::repeatable([2; 32]);
        assert_eq!(reseeding.next_u32(), fresh.next_u32());
    }

    #[test]
    fn the_stream_goes_on_when_the_system_has_no_seed() {
        let mut reseeding = Generator::reseeding([1; 32], || None);
        let mut steady = Generator::repeatable([1; 32]);
        assert!((0..=RESEED_AFTER).all(|_| reseeding.next_u32() == steady.next_u32()));
    }

    #[test]
    fn its_debug_form_hides_the_state() {
        assert_eq!(
            format!("{:?}", Generator::repeatable([7; 32])),
            "Generator { .. }"
        );
    }
}
