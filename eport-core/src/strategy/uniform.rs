//! The uniform draw of the default strategy.

use std::num::NonZeroU16;

use rand_core::Rng;

/// Draws a number below `bound`, each equally likely.
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
