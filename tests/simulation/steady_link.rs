//! Links that lose nothing: then nothing may be sent twice, and nothing may be waited for.

use std::time::Duration;

use tests::link::Quality;

use crate::{
    scenario::Scenario,
    world::{Fetched, fetch},
};

const WINDOWS: [u16; 7] = [1, 2, 3, 4, 8, 16, 64];

#[test]
fn nothing_is_sent_twice_whatever_the_round_trip_and_its_jitter() {
    for round_trip in [
        Duration::from_micros(100),
        Duration::from_millis(20),
        Duration::from_millis(200),
    ] {
        for window in WINDOWS {
            for seed in 0..40 {
                let link = Quality {
                    jitter: 50,
                    ..Quality::steady(round_trip / 2)
                };
                assert_minimal(&Scenario::new(seed, window, 300).over(link));
            }
        }
    }
}

#[test]
fn a_steady_link_takes_a_round_trip_for_each_window_and_two_more() {
    let round_trip = Duration::from_millis(20);
    for window in WINDOWS {
        let blocks = 65 * 64;
        let scenario = Scenario::new(1, window, blocks).over(Quality::steady(round_trip / 2));
        let fetched = assert_minimal(&scenario);
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
fn an_ordinary_block_size_and_no_options_are_no_exception() {
    for (blksize, window) in [(512, 1), (1428, 1), (1428, 16), (8192, 8)] {
        let scenario = Scenario {
            blksize,
            size: 300 * usize::from(blksize),
            ..Scenario::new(2, window, 1)
        };
        assert_minimal(&scenario);
    }
}

/// One request, one OACK if options were asked for, each block once, one ACK a window.
#[track_caller]
fn assert_minimal(scenario: &Scenario) -> Fetched {
    let fetched = fetch(scenario);
    assert!(fetched.complete, "{scenario:#?}");
    let options = u64::from(!scenario.asked().is_empty());
    let tally = fetched.report.tally;
    let windows = scenario.blocks().div_ceil(scenario.window.into());
    assert_eq!(tally.data, scenario.blocks(), "DATA with {scenario:#?}");
    assert_eq!(tally.acks, windows + options, "ACKs with {scenario:#?}");
    assert_eq!((tally.requests, tally.oacks, tally.errors), (1, options, 0));
    assert!(
        fetched
            .report
            .sessions
            .iter()
            .all(|session| session.resent == 0)
    );
    fetched
}
