//! Writes by the project's own client: the file is stored whole or not at all.

use std::time::Duration;

use tftpd::proto::{ErrorCode, Outcome, Packet, Stage};

use crate::{
    bounds::{assert_duplicates_add_little, assert_minimal, lossless},
    meddling::Meddled,
    models::{Gone, Rebooting},
    scenario::{
        AROUND_THE_WRAP, JITTERY, Scenario, WINDOWS, anything, around_boundaries, with_every_defect,
    },
    server::Ports,
    world::{Upload, World, put, store, store_with},
};

#[test]
fn every_size_around_a_boundary_is_stored_over_every_link() {
    let unconfirmed = unconfirmed(around_boundaries());
    assert!(unconfirmed <= 1, "{unconfirmed} of 4032");
}

#[test]
fn with_a_twentieth_lost_each_way_every_upload_is_stored() {
    let unconfirmed = unconfirmed((0..3000).map(|seed| anything(seed).losing(50)));
    assert!(unconfirmed <= 2, "{unconfirmed} of 3000");
}

#[test]
fn with_every_defect_every_upload_is_stored() {
    let unconfirmed = unconfirmed((10_000..11_500).map(with_every_defect));
    assert!(unconfirmed <= 2, "{unconfirmed} of 1500");
}

#[test]
fn with_a_fifth_lost_each_way_both_sides_end_and_success_is_never_false() {
    let (mut stored, mut confirmed) = (0, 0);
    for seed in 20_000..20_800 {
        let scenario = anything(seed).losing(200);
        let upload = store(&scenario);
        upload.report.assert_bounded(&scenario.reversed());
        stored += u32::from(upload.stored);
        confirmed += u32::from(upload.confirmed);
    }
    assert!(stored > 790, "only {stored} of 800 are stored");
    assert!(
        confirmed > 780,
        "only {confirmed} of {stored} are confirmed"
    );
}

#[test]
fn a_link_that_loses_nothing_carries_each_block_once() {
    for scenario in lossless(10) {
        let upload = store(&scenario);
        assert!(upload.confirmed, "{scenario:#?}");
        let options = u64::from(!scenario.options_to_write().is_empty());
        // ACK 0 is the answer to a request without options.
        assert_minimal(&upload.report, &scenario, options, 1 - options);
    }
}

#[test]
fn duplicates_made_by_the_network_add_few_packets() {
    assert_duplicates_add_little(|scenario| assert_stored(scenario).report.tally);
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
fn a_lost_last_ack_is_repeated_by_a_server_that_dallies() {
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
                upload.report.outcomes(),
                [Outcome::Completed { last_ack: true }],
                "window {window}"
            );
        }
    }
}

#[test]
fn a_client_that_never_receives_the_last_ack_does_not_report_success() {
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
        // The server dallies; then its host answers with ICMP errors, or not at all.
        let seconds = upload.report.client_took.as_secs();
        let expected = if icmp { 3..14 } else { 40..47 };
        assert!(expected.contains(&seconds), "{seconds} s");
        assert!(upload.report.tally.data <= 100 + 4 * 20);
    }
}

#[test]
fn a_client_that_vanishes_in_mid_upload_leaves_no_file() {
    for (icmp, outcome, seconds) in [
        (true, Outcome::Unreachable(Stage::Data), 0..2),
        (false, Outcome::TimedOut(Stage::Data), 39..46),
    ] {
        for window in WINDOWS {
            let scenario = Scenario {
                icmp,
                ..Scenario::new(1, window, 1000)
            };
            // The answers before the client vanishes: the OACK and three ACKs.
            let options = u32::from(!scenario.options().is_empty());
            let upload = store_with(&scenario, |now| {
                Gone::after(4 + options, put(&scenario, now))
            });
            assert!(!upload.stored && !upload.confirmed);
            assert_eq!(
                upload.report.outcomes(),
                std::slice::from_ref(&outcome),
                "window {window}"
            );
            let lingered = upload.report.lingered().as_secs();
            assert!(seconds.contains(&lingered), "{lingered} s");
        }
    }
}

#[test]
fn a_machine_that_restarts_in_mid_upload_stores_only_the_file_of_its_new_request() {
    for seed in 0..100 {
        for crash in [1, 2, 7, 20] {
            assert_stores_the_second(seed, crash);
        }
    }
}

/// The machine crashes after `crash` datagrams, and then writes another file under the same name.
#[track_caller]
fn assert_stores_the_second(seed: u64, crash: u32) {
    let first = Scenario::new(seed, 4, 100).over(JITTERY);
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
    let ends = report.outcomes();
    let done = Outcome::Completed { last_ack: true };
    assert!(
        matches!(&ends[..], [first, last] if *last == done
            && (*first == replaced || *first == Outcome::TimedOut(Stage::FirstReply))),
        "{ends:?}"
    );
}

#[test]
fn a_forged_write_request_costs_three_datagrams_and_seven_seconds() {
    for window in [1, 64] {
        let scenario = Scenario {
            icmp: false,
            ..Scenario::new(1, window, 100)
        };
        let options = u32::from(!scenario.options().is_empty());
        let upload = store_with(&scenario, |now| Gone::after(0, put(&scenario, now)));
        let tally = upload.report.tally;
        assert_eq!((tally.requests, tally.oacks + tally.acks), (1, 3));
        assert_eq!(tally.oacks, u64::from(3 * options));
        assert_eq!(
            upload.report.outcomes(),
            [Outcome::TimedOut(Stage::FirstReply)]
        );
        let took = upload.report.took;
        assert!(took < Duration::from_secs(9), "{took:?}");
    }
}

#[test]
fn an_upload_continues_where_the_block_numbers_wrap() {
    for blocks in AROUND_THE_WRAP {
        for (window, loss) in [(1, 0), (3, 10), (64, 0), (64, 10)] {
            let scenario = Scenario::long(blocks, window).losing(loss);
            let tally = assert_stored(&scenario).report.tally;
            assert!(loss > 0 || tally.data == scenario.blocks());
        }
    }
}

/// The client may lack the confirmation: the server repeats a lost last ACK only while it dallies.
#[track_caller]
fn assert_stored(scenario: &Scenario) -> Upload {
    let upload = store(scenario);
    assert!(upload.stored, "{scenario:#?}: {:?}", upload.report);
    upload.report.assert_bounded(&scenario.reversed());
    upload
}

/// Stores each file, and counts the clients without the last ACK.
#[track_caller]
fn unconfirmed(scenarios: impl Iterator<Item = Scenario>) -> usize {
    let uploads = scenarios.map(|scenario| assert_stored(&scenario));
    uploads.filter(|upload| !upload.confirmed).count()
}
