//! Files of about 65,536 blocks, at which the number on the wire wraps.

use crate::{
    scenario::{AROUND_THE_WRAP, Scenario},
    world::fetch,
};

#[test]
fn a_file_continues_where_the_block_numbers_wrap() {
    for blocks in AROUND_THE_WRAP {
        for window in [1, 64] {
            let scenario = Scenario::long(blocks, window);
            let fetched = fetch(&scenario);
            assert!(fetched.complete, "{scenario:?}");
            assert_eq!(fetched.report.tally.data, scenario.blocks());
        }
    }
}

#[test]
fn losses_at_the_wrap_are_repaired_like_any_other() {
    for blocks in AROUND_THE_WRAP {
        // Windows of 3 span the wrap.
        for window in [3, 64] {
            let scenario = Scenario::long(blocks, window).losing(10);
            let fetched = fetch(&scenario);
            assert!(fetched.complete, "{scenario:?}");
            let data = fetched.report.tally.data;
            assert!(data <= 2 * scenario.blocks(), "{data} with {scenario:?}");
        }
    }
}

#[test]
fn a_file_that_fills_its_last_block_at_the_wrap_ends_with_an_empty_one() {
    let full = Scenario::long(65_536, 16);
    let scenario = Scenario {
        size: 65_535 * usize::from(full.blksize),
        ..full
    };
    let fetched = fetch(&scenario);
    assert!(fetched.complete);
    assert_eq!(fetched.report.tally.data, 65_536);
    assert_eq!(fetched.report.tally.data_bytes, scenario.size as u64);
}
