//! The project's own two sides over links that lose, repeat, delay and reorder.

use std::time::Duration;

use tests::link::{Quality, Rng};

use crate::{
    client::Get,
    scenario::Scenario,
    server::Ports,
    world::{Fetched, World, fetch},
};

/// Windows that tile a boundary differently.
const WINDOWS: [u16; 7] = [1, 2, 3, 4, 8, 16, 64];

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
        assert_bounded(&scenario, &fetched);
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

/// One of each kind of link.
fn links() -> [Quality; 6] {
    let plain = Quality {
        jitter: 50,
        ..Quality::steady(Duration::from_millis(10))
    };
    [
        Quality::steady(Duration::from_micros(50)),
        Quality { loss: 10, ..plain },
        Quality { loss: 50, ..plain },
        Quality {
            duplicate: 50,
            ..plain
        },
        Quality {
            reorder: 50,
            ..plain
        },
        Quality {
            loss: 50,
            duplicate: 50,
            reorder: 50,
            ..plain
        },
    ]
}

fn sizes_around_boundaries(window: u16) -> [usize; 8] {
    let blksize = 16;
    let whole = blksize * usize::from(window);
    [
        0,
        1,
        blksize - 1,
        blksize,
        blksize + 1,
        whole - 1,
        whole,
        whole + 1,
    ]
}

/// Any size, window, block size and link with jitter; as yet nothing is lost.
fn anything(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let delay = Duration::from_micros(*rng.pick(&[50, 500, 10_000, 100_000]));
    let link = Quality {
        jitter: *rng.pick(&[0, 20, 50]),
        ..Quality::steady(delay)
    };
    let window = *rng.pick(&WINDOWS);
    let blksize = *rng.pick(&[8, 16, 100, 512]);
    let blocks = 1 + rng.below(150);
    let size = blocks * u64::from(blksize) - rng.below(u64::from(blksize));
    Scenario {
        size: usize::try_from(size).expect("a small file"),
        blksize,
        asks_size: rng.chance(500),
        icmp: rng.chance(500),
        ..Scenario::new(seed, window, 1)
    }
    .over(link)
}

#[track_caller]
fn assert_arrives(scenario: &Scenario) {
    let fetched = fetch(scenario);
    assert!(fetched.complete, "{scenario:#?}: {:?}", fetched.report);
    assert_bounded(scenario, &fetched);
}

/// No more than twice of what the defects cost a window protocol on average, and a few windows.
#[track_caller]
fn assert_bounded(scenario: &Scenario, fetched: &Fetched) {
    let tally = fetched.report.tally;
    let slack = 8 * u64::from(scenario.window) + 20;
    let most = 2 * scenario.expected_data() + slack;
    assert!(tally.data <= most, "{} > {most}: {scenario:#?}", tally.data);
    let most = 2 * most / u64::from(scenario.window) + tally.data + slack;
    assert!(tally.acks <= most, "{} > {most}: {scenario:#?}", tally.acks);
    assert!(
        tally.requests + tally.oacks + tally.errors <= 80,
        "{tally:?}: {scenario:#?}"
    );
}
