//! Block numbers: 64 bits inside, 16 on the wire.

/// The number that follows block 65535 on the wire.
///
/// RFC 1350 counts blocks in 16 bits and leaves the next number open. Every client and server
/// measured continues with 0; the option `rollover` of tftp-hpa selects 0 or 1.
///
/// Closed: the option has these two values.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "closed: the option has two values")]
pub enum Rollover {
    /// 0: the number on the wire is the low 16 bits of the block's number.
    #[default]
    Zero,
    /// 1: 0 stays reserved for the state before the first block.
    One,
}

impl Rollover {
    /// Returns the 16 bits that stand for block `number` in a packet.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the wire carries the low 16 bits, by definition"
    )]
    pub const fn to_wire(self, number: u64) -> u16 {
        match self {
            Self::One if number > 0 => ((number - 1) % 65_535 + 1) as u16,
            Self::Zero | Self::One => number as u16,
        }
    }

    /// Returns the distance in blocks from `from` to the first block at or after it that is
    /// written `wire` in a packet; `None` if there is no such block.
    ///
    /// The caller checks that the result lies in its window: 16 bits distinguish only blocks that
    /// are less than 65,535 apart.
    pub(super) fn ahead(self, from: u64, wire: u16) -> Option<u64> {
        let at = self.to_wire(from);
        match self {
            Self::Zero => Some(wire.wrapping_sub(at).into()),
            Self::One if wire == 0 => (from == 0).then_some(0),
            Self::One if from == 0 || wire >= at => Some((wire - at).into()),
            Self::One => Some(u64::from(wire) + 65_535 - u64::from(at)),
        }
    }
}

/// Returns the number of blocks that carry `size` bytes: the last one is always shorter than
/// `blksize`, possibly empty ([RFC 1350 §6](https://www.rfc-editor.org/rfc/rfc1350#section-6)).
pub(super) const fn count(size: u64, blksize: u16) -> u64 {
    size / blksize as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Windowsize;

    #[test]
    fn numbers_are_recognised_across_the_wrap() {
        for (from, wire, ahead) in [
            (0, 0, 0),
            (0, 65_535, 65_535),
            (65_535, 65_535, 0),
            (65_535, 0, 1),
            (65_530, 3, 9),
            (131_072, 65_535, 65_535),
        ] {
            assert_eq!(
                Rollover::Zero.ahead(from, wire),
                Some(ahead),
                "{wire} after {from}"
            );
        }
    }

    #[test]
    fn with_rollover_to_one_nothing_after_the_first_block_is_number_0() {
        let one = Rollover::One;
        assert_eq!(
            [0, 1, 65_535, 65_536, 131_070, 131_071].map(|block| one.to_wire(block)),
            [0, 1, 65_535, 1, 65_535, 1]
        );
        assert_eq!((one.ahead(0, 0), one.ahead(5, 0)), (Some(0), None));
        for from in [0, 1, 2, 65_534, 65_535, 65_536, 131_069, 131_070, 200_000] {
            for ahead in [0, 1, 2, 64, 65_000] {
                assert_eq!(
                    one.ahead(from, one.to_wire(from + ahead)),
                    Some(ahead),
                    "{ahead} after {from}"
                );
            }
        }
    }

    #[test]
    fn in_the_largest_window_no_block_of_the_one_before_looks_like_one_of_this() {
        let window = u64::from(Windowsize::MAX.blocks());
        for rollover in [Rollover::Zero, Rollover::One] {
            for from in [window + 1, 65_535, 65_536, 65_537, 200_000] {
                for behind in 1..=window {
                    let ahead = rollover.ahead(from, rollover.to_wire(from - behind));
                    assert!(ahead.is_none_or(|ahead| ahead > window), "{behind}");
                }
            }
        }
        // One more, and an acknowledgement of what was there before means the whole window.
        let from = 65_536;
        assert_eq!(
            Rollover::Zero.ahead(from, Rollover::Zero.to_wire(from - window - 1)),
            Some(window + 1)
        );
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
