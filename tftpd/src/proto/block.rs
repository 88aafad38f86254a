//! Block numbers: 64 bits inside, 16 on the wire.
//!
//! RFC 1350 counts blocks in 16 bits and says nothing of what follows 65535. Every client and
//! server measured goes on with 0, so the number on the wire is the low half of the real one.

/// The 16 bits that stand for block `number` in a packet.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the wire carries the low 16 bits, by definition"
)]
pub const fn to_wire(number: u64) -> u16 {
    number as u16
}

/// The first block at or after `from` that looks like `wire` in a packet.
///
/// Whoever asks checks that the result is not beyond what can be meant: numbers less than
/// 65,536 apart are told apart, more no one could.
pub(super) const fn at_or_after(from: u64, wire: u16) -> u64 {
    from + wire.wrapping_sub(to_wire(from)) as u64
}

/// The number of blocks that carry `size` bytes: the last one is always shorter than `blksize`,
/// if need be empty ([RFC 1350 §6](https://www.rfc-editor.org/rfc/rfc1350#section-6)).
pub(super) const fn count(size: u64, blksize: u16) -> u64 {
    size / blksize as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_recognised_across_the_wrap() {
        assert_eq!(at_or_after(0, 0), 0);
        assert_eq!(at_or_after(0, 65_535), 65_535);
        assert_eq!(at_or_after(65_535, 65_535), 65_535);
        assert_eq!(at_or_after(65_535, 0), 65_536);
        assert_eq!(at_or_after(65_530, 3), 65_539);
        assert_eq!(at_or_after(131_072, 65_535), 131_072 + 65_535);
    }

    #[test]
    fn a_full_last_block_is_followed_by_an_empty_one() {
        assert_eq!(count(0, 512), 1);
        assert_eq!(count(511, 512), 1);
        assert_eq!(count(512, 512), 2);
        assert_eq!(count(513, 512), 2);
        assert_eq!(count(u64::MAX, 8), u64::MAX / 8 + 1);
    }
}
