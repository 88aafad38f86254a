//! The project's own two sides over links that lose, repeat, delay and reorder.

use std::time::Duration;

use tests::link::Quality;

use crate::{
    client::Get,
    scenario::{Scenario, WINDOWS, anything, links, sizes_around_boundaries},
    server::Ports,
    world::{World, fetch},
};

#[test]
fn every_size_around_a_boundary_arrives_over_every_link() {
    for (kind, link) in links().into_iter().enumerate() {
        for window in WINDOWS {
            for size in sizes_around_boundaries(window) {
                for seed in 0..12 {
                    let scenario = Scenario {
                        size,
                        ..Scenario::new(seed * 31 + kind as u64, window, 1)
                    };
                    assert_arrives(&scenario.over(link));
                }
            }
        }
    }
}

#[test]
fn with_a_twentieth_lost_each_way_every_transfer_completes() {
    for seed in 0..3000 {
        assert_arrives(&anything(seed).losing(50));
    }
}

#[test]
fn with_every_defect_at_once_every_transfer_completes() {
    for seed in 10_000..11_500 {
        let mut scenario = anything(seed).losing(50);
        for path in [&mut scenario.up, &mut scenario.down] {
            path.duplicate = 30;
            path.reorder = 30;
        }
        assert_arrives(&scenario);
    }
}

#[test]
fn with_a_fifth_lost_each_way_both_sides_end_and_neither_claims_too_much() {
    let mut complete = 0;
    for seed in 20_000..20_800 {
        let scenario = anything(seed).losing(200);
        let fetched = fetch(&scenario);
        fetched.report.assert_bounded(&scenario);
        let acknowledged =
            fetched.report.sessions.iter().any(|session| {
                session.outcome == tftpd::proto::Outcome::Completed { last_ack: true }
            });
        assert!(fetched.complete || !acknowledged, "{scenario:?}");
        complete += u32::from(fetched.complete);
    }
    assert!(complete > 790, "only {complete} of 800 completed");
}

#[test]
fn copies_made_by_the_network_bring_hardly_a_block_more() {
    for window in WINDOWS {
        let (mut data, mut acks, mut blocks) = (0, 0, 0);
        for seed in 0..30 {
            let scenario = Scenario::new(seed, window, 300).over(Quality {
                jitter: 50,
                duplicate: 50,
                ..Quality::steady(Duration::from_millis(10))
            });
            let fetched = fetch(&scenario);
            assert!(fetched.complete, "{scenario:#?}");
            data += fetched.report.tally.data;
            acks += fetched.report.tally.acks;
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

#[test]
fn a_link_that_carries_nothing_back_ends_both_sides() {
    for seed in 0..20 {
        let mut scenario = Scenario::new(seed, 4, 100);
        scenario.down.loss = 1000;
        let fetched = fetch(&scenario);
        assert!(!fetched.complete);
        // Eight requests; each finds the session of the one before or opens another.
        assert_eq!(fetched.report.tally.requests, 8);
        assert!(fetched.report.tally.oacks <= 8 * 3, "{:?}", fetched.report);
        assert_eq!(fetched.report.tally.data, 0);
    }
}

#[test]
fn a_server_that_cannot_lease_a_port_is_silent_until_it_can() {
    let scenario = Scenario::new(1, 4, 20);
    let ports = Ports::new();
    let mut refusals = 3;
    let lease = || {
        refusals -= 1;
        (refusals < 0).then(|| ports.take()).flatten()
    };
    let mut world = World::new(&scenario, lease, |now| Get::new(scenario.asked(), 1, now));
    let report = world.run();
    assert!(
        world
            .client
            .outcome()
            .is_some_and(tftpd::proto::Outcome::is_complete)
    );
    assert_eq!((report.tally.requests, report.tally.errors), (4, 0));
    assert_eq!((ports.taken(), ports.held()), (1, 0));
}

#[track_caller]
fn assert_arrives(scenario: &Scenario) {
    let fetched = fetch(scenario);
    assert!(fetched.complete, "{scenario:#?}: {:?}", fetched.report);
    fetched.report.assert_bounded(scenario);
}
