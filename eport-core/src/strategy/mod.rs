//! How a port is chosen: uniformly, from a generator that cannot be predicted.
//!
//! The choice is uniform over the *free* ports, which is what Algorithm 2 of
//! [RFC 6056 §3.3.2](https://www.rfc-editor.org/rfc/rfc6056#section-3.3.2) aims at, without its
//! retries.

#[cfg(feature = "net")]
mod generator;

use std::num::NonZeroU16;

#[cfg(feature = "net")]
pub(crate) use generator::Generator;
use rand_core::Rng;

/// A number below `bound`, each equally likely.
///
/// Lemire's multiplication with rejection: the plain remainder of a 32-bit number would prefer
/// small results, and most draws need neither a division nor a second number.
pub fn below<R: Rng + ?Sized>(rng: &mut R, bound: NonZeroU16) -> u16 {
    let bound = u32::from(bound.get());
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if low_half(product) < bound {
        // 2^32 mod bound: so many of the 2^32 numbers are one too many for some results.
        let surplus = bound.wrapping_neg() % bound;
        while low_half(product) < surplus {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half is below the bound, a u16"
    )]
    let result = (product >> 32) as u16;
    result
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low_half(product: u64) -> u32 {
    product as u32
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::TryRng;

    use super::*;

    /// Returns the given numbers, the last one first.
    struct Given(Vec<u32>);

    impl TryRng for Given {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0.pop().expect("no more numbers than the test gives"))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("32 bits are enough for a port")
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("32 bits are enough for a port")
        }
    }

    fn bound(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).expect("not zero")
    }

    #[test]
    fn the_extreme_numbers_give_the_extreme_results() {
        for n in [1, 2, 3, 1000, 65_535] {
            assert_eq!(below(&mut Given(vec![u32::MAX]), bound(n)), n - 1);
            let first_kept = u32::MAX / u32::from(n);
            assert_eq!(below(&mut Given(vec![first_kept]), bound(n)), 0);
        }
    }

    #[test]
    fn a_number_from_the_surplus_is_rejected() {
        // 2^32 mod 3 = 1: of the numbers, exactly 0 is one too many.
        assert_eq!(below(&mut Given(vec![u32::MAX, 0]), bound(3)), 2);
        // A power of two divides 2^32: nothing is rejected.
        assert_eq!(below(&mut Given(vec![0]), bound(4)), 0);
    }

    #[test]
    fn as_many_numbers_lead_to_each_result() {
        // The same reduction with 2^32 cut into the places where the result changes.
        for n in [3u64, 5, 7, 100, 16_383, 65_535] {
            let surplus = (1u64 << 32) % n;
            let kept = |result: u64| {
                // Numbers x with x·n in [result·2^32 + surplus, (result + 1)·2^32).
                let from = ((result << 32) + surplus).div_ceil(n);
                let to = ((result + 1) << 32).div_ceil(n);
                to - from
            };
            let expected = (1u64 << 32) / n;
            assert!((0..n).all(|result| kept(result) == expected), "bound {n}");
        }
    }
}
