//! The same with the file on the client's side: it is stored whole or not at all.

use std::time::Duration;

use tests::link::Quality;
use tftpd::proto::{ErrorCode, Outcome, Packet, Stage};

use crate::{
    meddling::Meddled,
    models::{Gone, Rebooting},
    scenario::{Scenario, WINDOWS, anything, links, sizes_around_boundaries},
    server::Ports,
    world::{Upload, World, put, store, store_with},
};

#[test]
fn every_size_around_a_boundary_is_stored_over_every_link() {
    let mut unconfirmed = 0;
    for (kind, link) in links().into_iter().enumerate() {
        for window in WINDOWS {
            for size in sizes_around_boundaries(window) {
                for seed in 0..12 {
                    let scenario = Scenario {
                        size,
                        ..Scenario::new(seed * 31 + kind as u64, window, 1)
                    };
                    let upload = assert_stored(&scenario.over(link));
                    unconfirmed += u32::from(!upload.confirmed);
                }
            }
        }
    }
    assert!(unconfirmed <= 1, "{unconfirmed} of 4032");
}

#[test]
fn with_a_twentieth_lost_each_way_every_upload_is_stored() {
    let uploads = (0..3000).map(|seed| assert_stored(&anything(seed).losing(50)));
    let unconfirmed = uploads.filter(|upload| !upload.confirmed).count();
    assert!(unconfirmed <= 2, "{unconfirmed} of 3000");
}

#[test]
fn with_every_defect_at_once_every_upload_is_stored() {
    let mut unconfirmed = 0;
    for seed in 10_000..11_500 {
        let mut scenario = anything(seed).losing(50);
        for path in [&mut scenario.up, &mut scenario.down] {
            path.duplicate = 30;
            path.reorder = 30;
        }
        unconfirmed += u32::from(!assert_stored(&scenario).confirmed);
    }
    assert!(unconfirmed <= 2, "{unconfirmed} of 1500");
}

#[test]
fn with_a_fifth_lost_each_way_both_sides_end_and_neither_claims_too_much() {
    let (mut stored, mut confirmed) = (0, 0);
    for seed in 20_000..20_800 {
        let scenario = anything(seed).losing(200);
        let upload = store(&scenario);
        upload.report.assert_bounded(&scenario.turned());
        stored += u32::from(upload.stored);
        confirmed += u32::from(upload.confirmed);
    }
    assert!(stored > 790, "only {stored} of 800 are stored");
    assert!(confirmed > 780, "only {confirmed} of {stored} know it");
}

#[test]
fn a_link_that_loses_nothing_carries_each_block_once() {
    for round_trip in [100, 20_000, 200_000].map(Duration::from_micros) {
        for window in WINDOWS {
            for seed in 0..10 {
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
fn copies_made_by_the_network_bring_hardly_a_block_more() {
    for window in WINDOWS {
        let (mut data, mut acks, mut blocks) = (0, 0, 0);
        for seed in 0..30 {
            let scenario = Scenario::new(seed, window, 300).over(Quality {
                jitter: 50,
                duplicate: 50,
                ..Quality::steady(Duration::from_millis(10))
            });
            let tally = assert_stored(&scenario).report.tally;
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

#[test]
fn a_link_that_carries_nothing_back_ends_both_sides_and_stores_nothing() {
    for seed in 0..20 {
        let mut scenario = Scenario::new(seed, 4, 100);
        scenario.down.loss = 1000;
        let upload = store(&scenario);
        assert!(!upload.stored);
        let tally = upload.report.tally;
        assert_eq!((tally.requests, tally.data), (8, 0));
        assert!(tally.oacks <= 8 * 3, "{tally:?}");
    }
}

#[test]
fn a_lost_last_ack_is_had_again_from_a_server_that_dallies() {
    for window in WINDOWS {
        for lost in 1..=2 {
            let scenario = Scenario::new(lost, window, 100);
            let mut left = lost;
            let upload = store_with(&scenario, |now| {
                Meddled::new(put(&scenario, now), move |datagram: &[u8]| {
                    let last = matches!(Packet::decode(datagram), Ok(Packet::Ack(ack)) if ack.block == 100);
                    if last && left > 0 {
                        left -= 1;
                        return vec![];
                    }
                    vec![datagram.to_vec()]
                })
            });
            assert!(upload.stored && upload.confirmed, "{scenario:#?}");
            let took = upload.report.client_took;
            assert!(took < Duration::from_secs(3), "{took:?}");
            assert_eq!(
                outcomes(&upload),
                [Outcome::Completed { last_ack: true }],
                "window {window}"
            );
        }
    }
}

#[test]
fn a_client_whose_every_last_ack_is_lost_does_not_claim_that_its_file_is_stored() {
    for icmp in [true, false] {
        let scenario = Scenario {
            icmp,
            ..Scenario::new(1, 4, 100)
        };
        let upload = store_with(&scenario, |now| {
            Meddled::new(put(&scenario, now), |datagram: &[u8]| {
                let last =
                    matches!(Packet::decode(datagram), Ok(Packet::Ack(ack)) if ack.block == 100);
                (!last).then(|| datagram.to_vec()).into_iter().collect()
            })
        });
        assert!(upload.stored && !upload.confirmed);
        // The server dallies; then its host says that the port is closed, or nobody says anything.
        let seconds = upload.report.client_took.as_secs();
        let expected = if icmp { 3..14 } else { 40..47 };
        assert!(expected.contains(&seconds), "{seconds} s");
        assert!(upload.report.tally.data <= 100 + 4 * 20);
    }
}

#[test]
fn a_client_that_is_gone_in_mid_upload_leaves_nothing() {
    for (icmp, outcome, seconds) in [
        (true, Outcome::Unreachable(Stage::Data), 0..2),
        (false, Outcome::TimedOut(Stage::Data), 39..46),
    ] {
        for window in WINDOWS {
            let scenario = Scenario {
                icmp,
                ..Scenario::new(1, window, 1000)
            };
            // Answers that came before it was gone for good: the OACK and three ACKs.
            let options = u32::from(!scenario.asked().is_empty());
            let upload = store_with(&scenario, |now| {
                Gone::after(4 + options, put(&scenario, now))
            });
            assert!(!upload.stored && !upload.confirmed);
            assert_eq!(
                outcomes(&upload),
                std::slice::from_ref(&outcome),
                "window {window}"
            );
            let lingered = upload.report.lingered().as_secs();
            assert!(seconds.contains(&lingered), "{lingered} s");
        }
    }
}

#[test]
fn a_machine_that_starts_again_in_mid_upload_stores_what_it_sends_then_and_nothing_else() {
    for seed in 0..100 {
        for crash in [1, 2, 7, 20] {
            assert_stores_the_second(seed, crash);
        }
    }
}

/// It crashes when `crash` datagrams have come, and then has another file under the same name.
#[track_caller]
fn assert_stores_the_second(seed: u64, crash: u32) {
    let first = Scenario::new(seed, 4, 100).over(Quality {
        jitter: 50,
        ..Quality::steady(Duration::from_millis(10))
    });
    let second = Scenario {
        seed: seed + 1_000_000,
        ..first.clone()
    };
    let ports = Ports::new();
    let boot = Duration::from_secs(10);
    let mut world = World::new(
        &first,
        || ports.take(),
        |now| Rebooting::new(put(&first, now), crash, boot, |now| put(&second, now)),
    );
    let report = world.run();
    assert_eq!(world.server.stored, [&*second.file()], "{first:#?}");
    assert_eq!(ports.held(), 0);
    let replaced = Outcome::Aborted(ErrorCode::NotDefined);
    let ends: Vec<_> = report.sessions.iter().map(|end| &end.outcome).collect();
    let done = Outcome::Completed { last_ack: true };
    assert!(
        matches!(ends[..], [first, last] if *last == done
            && (*first == replaced || *first == Outcome::TimedOut(Stage::FirstReply))),
        "{ends:?}"
    );
}

#[test]
fn a_request_to_write_from_nobody_costs_three_datagrams_and_seven_seconds() {
    for window in [1, 64] {
        let scenario = Scenario {
            icmp: false,
            ..Scenario::new(1, window, 100)
        };
        let options = u32::from(!scenario.asked().is_empty());
        let upload = store_with(&scenario, |now| Gone::after(0, put(&scenario, now)));
        let tally = upload.report.tally;
        assert_eq!((tally.requests, tally.oacks + tally.acks), (1, 3));
        assert_eq!(tally.oacks, u64::from(3 * options));
        assert_eq!(outcomes(&upload), [Outcome::TimedOut(Stage::FirstReply)]);
        let took = upload.report.took;
        assert!(took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn an_upload_goes_on_where_the_block_numbers_begin_again() {
    for blocks in [65_535, 65_536, 65_537] {
        for (window, loss) in [(1, 0), (3, 10), (64, 0), (64, 10)] {
            let plain = Scenario::new(blocks as u64, window, 1);
            let scenario = Scenario {
                blksize: 8,
                size: blocks * 8 - 3,
                ..plain
            }
            .over(Quality::steady(Duration::from_micros(50)))
            .losing(loss);
            let tally = assert_stored(&scenario).report.tally;
            assert!(loss > 0 || tally.data == scenario.blocks());
        }
    }
}

/// The client may not know it: a last ACK that is lost often enough cannot be had again.
#[track_caller]
fn assert_stored(scenario: &Scenario) -> Upload {
    let upload = store(scenario);
    assert!(upload.stored, "{scenario:#?}: {:?}", upload.report);
    upload.report.assert_bounded(&scenario.turned());
    upload
}

/// One request and its answer, each block once, one ACK a window.
#[track_caller]
fn assert_minimal(scenario: &Scenario) {
    let upload = store(scenario);
    assert!(upload.confirmed, "{scenario:#?}");
    let options = u64::from(!scenario.announced().is_empty());
    let tally = upload.report.tally;
    let windows = scenario.blocks().div_ceil(scenario.window.into());
    assert_eq!(tally.data, scenario.blocks(), "DATA with {scenario:#?}");
    assert_eq!(tally.acks, windows + 1 - options, "ACKs with {scenario:#?}");
    assert_eq!((tally.requests, tally.oacks, tally.errors), (1, options, 0));
    let resent = upload.report.sessions.iter().map(|session| session.resent);
    assert_eq!(resent.sum::<u32>(), 0);
}

fn outcomes(upload: &Upload) -> Vec<Outcome> {
    let sessions = upload.report.sessions.iter();
    sessions.map(|session| session.outcome.clone()).collect()
}
