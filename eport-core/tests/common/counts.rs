//! The sum of a space's counts.

use eport_core::Counts;

/// Asserts that each port of the range is counted once.
#[track_caller]
pub(crate) fn assert_sum(counts: Counts) {
    let Counts {
        range,
        free,
        leased,
        resting,
        overlapped,
        foreign,
        reserved,
    } = counts;
    let all = free + leased + resting + overlapped + foreign + reserved;
    assert_eq!(all, range);
}
