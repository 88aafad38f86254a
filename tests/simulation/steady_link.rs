//! Links without loss: no packet may be sent twice, and no time may pass without a reason.

use std::time::Duration;

use tests::link::Quality;

use crate::{
    bounds::{assert_minimal, lossless},
    scenario::{Scenario, WINDOWS},
    world::{Fetched, fetch},
};

#[test]
fn nothing_is_sent_twice_at_any_round_trip_and_jitter() {
    for scenario in lossless(40) {
        fetch_minimal(&scenario);
    }
}

#[test]
fn a_steady_link_takes_a_round_trip_for_each_window_and_two_more() {
    let round_trip = Duration::from_millis(20);
    for window in WINDOWS {
        let blocks = 65 * 64;
        let scenario = Scenario::new(1, window, blocks).over(Quality::steady(round_trip / 2));
        let fetched = fetch_minimal(&scenario);
        let windows = u32::try_from(blocks.div_ceil(window.into())).expect("few");
        let ideal = round_trip * (windows + 2);
        let took = fetched.report.took;
        assert!(
            took.abs_diff(ideal) * 1000 <= ideal * 15,
            "window {window}: {took:?} instead of {ideal:?}"
        );
    }
}

#[test]
fn ordinary_block_sizes_and_no_options_are_no_exception() {
    for (blksize, window) in [(512, 1), (1428, 1), (1428, 16), (8192, 8)] {
        let scenario = Scenario {
            blksize,
            size: 300 * usize::from(blksize),
            ..Scenario::new(2, window, 1)
        };
        fetch_minimal(&scenario);
    }
}

/// A read with options has one ACK more: ACK 0 of the OACK.
#[track_caller]
fn fetch_minimal(scenario: &Scenario) -> Fetched {
    let fetched = fetch(scenario);
    assert!(fetched.complete, "{scenario:#?}");
    let options = u64::from(!scenario.options().is_empty());
    assert_minimal(&fetched.report, scenario, options, options);
    fetched
}
