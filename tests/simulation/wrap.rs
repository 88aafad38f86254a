//! Files of about 65,536 blocks, where the number on the wire begins again.

use std::time::Duration;

use tests::link::Quality;

use crate::{scenario::Scenario, world::fetch};

const AROUND_THE_WRAP: [usize; 3] = [65_535, 65_536, 65_537];

#[test]
fn a_file_goes_on_where_the_block_numbers_begin_again() {
    for blocks in AROUND_THE_WRAP {
        for window in [1, 64] {
            let scenario = long(blocks, window);
            let fetched = fetch(&scenario);
            assert!(fetched.complete, "{scenario:?}");
            assert_eq!(fetched.report.tally.data, scenario.blocks());
        }
    }
}

#[test]
fn losses_at_the_wrap_are_healed_like_any_other() {
    for blocks in AROUND_THE_WRAP {
        // Windows of 3 lie across the wrap.
        for window in [3, 64] {
            let scenario = long(blocks, window).losing(10);
            let fetched = fetch(&scenario);
            assert!(fetched.complete, "{scenario:?}");
            let data = fetched.report.tally.data;
            assert!(data <= 2 * scenario.blocks(), "{data} with {scenario:?}");
        }
    }
}

#[test]
fn a_file_that_fills_its_last_block_at_the_wrap_ends_with_an_empty_one() {
    let full = long(65_536, 16);
    let scenario = Scenario {
        size: 65_535 * usize::from(full.blksize),
        ..full
    };
    let fetched = fetch(&scenario);
    assert!(fetched.complete);
    assert_eq!(fetched.report.tally.data, 65_536);
    assert_eq!(fetched.report.tally.data_bytes, scenario.size as u64);
}

fn long(blocks: usize, window: u16) -> Scenario {
    let plain = Scenario::new(blocks as u64, window, 1);
    Scenario {
        blksize: 8,
        size: blocks * 8 - 3,
        ..plain
    }
    .over(Quality::steady(Duration::from_micros(50)))
}
