//! Limits on the number of packets that hold for reads and for writes.

use std::time::Duration;

use tests::link::Quality;

use crate::{
    scenario::{JITTERY, Scenario, WINDOWS},
    world::{Report, Tally},
};

/// Duplicates made by the network add at most 2 % of DATA and about 10 % of ACKs; `run` transfers a
/// file.
#[track_caller]
pub(crate) fn assert_duplicates_add_little(run: impl Fn(&Scenario) -> Tally) {
    for window in WINDOWS {
        let (mut data, mut acks, mut blocks) = (0, 0, 0);
        for seed in 0..30 {
            let scenario = Scenario::new(seed, window, 300).over(Quality {
                duplicate: 50,
                ..JITTERY
            });
            let tally = run(&scenario);
            data += tally.data;
            acks += tally.acks;
            blocks += scenario.blocks();
        }
        assert!(
            data * 100 <= blocks * 102,
            "{data} DATA for {blocks}, window {window}"
        );
        let windows = blocks.div_ceil(window.into());
        assert!(
            acks * 100 <= windows * 110 + 3000,
            "{acks} ACKs for {windows}"
        );
    }
}

/// Scenarios over links without loss: round trips from 0.1 ms to 200 ms with jitter, every window,
/// `seeds` seeds of each.
pub(crate) fn lossless(seeds: u64) -> impl Iterator<Item = Scenario> {
    let round_trips = [100, 20_000, 200_000].map(Duration::from_micros);
    round_trips.into_iter().flat_map(move |round_trip| {
        let link = Quality {
            jitter: 50,
            ..Quality::steady(round_trip / 2)
        };
        WINDOWS.into_iter().flat_map(move |window| {
            (0..seeds).map(move |seed| Scenario::new(seed, window, 300).over(link))
        })
    })
}

/// One request and its OACK if options were requested, each block once, one ACK per window and
/// `more_acks`, nothing repeated.
#[track_caller]
pub(crate) fn assert_minimal(report: &Report, scenario: &Scenario, options: u64, more_acks: u64) {
    let tally = report.tally;
    let windows = scenario.blocks().div_ceil(scenario.window.into());
    assert_eq!(tally.data, scenario.blocks(), "DATA with {scenario:#?}");
    assert_eq!(tally.acks, windows + more_acks, "ACKs with {scenario:#?}");
    assert_eq!((tally.requests, tally.oacks, tally.errors), (1, options, 0));
    let resent = report.transfers.iter().map(|transfer| transfer.resent);
    assert_eq!(resent.sum::<u32>(), 0);
}
