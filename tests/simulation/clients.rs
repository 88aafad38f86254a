//! The server's side against models of firmware and other clients.

use std::time::{Duration, Instant};

use tests::{link::Quality, packet::Packet};
use tftpd::proto::{ErrorCode, Outcome, Stage};

use crate::{
    client::{Client as _, FILE},
    meddling::{Echoing, Meddled, exchanging, missing},
    models::{Firmware, Habits, Mute, Rebooting},
    own_client::OwnClient,
    scenario::{JITTERY, Scenario},
    server::Ports,
    world::{Fetched, Report, World, fetch_with},
};

/// The time from a crash of a machine to its next request.
const BOOT: Duration = Duration::from_secs(10);

#[test]
fn uefi_firmware_reads_its_file_over_every_link_without_a_storm_of_resends() {
    for link in [
        JITTERY,
        Quality {
            loss: 10,
            ..JITTERY
        },
        Quality {
            loss: 50,
            ..JITTERY
        },
        Quality {
            duplicate: 10,
            ..JITTERY
        },
        Quality {
            duplicate: 50,
            ..JITTERY
        },
        Quality {
            reorder: 10,
            ..JITTERY
        },
        Quality {
            reorder: 50,
            ..JITTERY
        },
    ] {
        let (mut data, mut blocks) = (0, 0);
        for seed in 0..60 {
            let scenario = Scenario::new(seed, 4, 300).over(link);
            let fetched = edk2(&scenario);
            assert!(fetched.complete, "{scenario:#?}");
            let sent = fetched.report.tally.data;
            assert!(sent <= 3 * scenario.blocks(), "{sent} with {scenario:#?}");
            data += sent;
            blocks += scenario.blocks();
        }
        assert!(data * 2 <= blocks * 3, "{data} for {blocks} over {link:?}");
    }
}

#[test]
fn repeated_acks_for_one_lost_block_bring_one_window() {
    for window in [2, 4, 16] {
        for block in 1..=3 * window {
            let scenario = Scenario::new(block.into(), window, 10 * usize::from(window));
            let fetched = fetch_with(&scenario, |now| {
                let firmware = Firmware::new(Habits::EDK2, scenario.options(), now);
                Meddled::new(firmware, missing(block))
            });
            assert!(fetched.complete);
            let again = fetched.report.tally.data - scenario.blocks();
            let behind = u64::from((window - block % window) % window);
            if behind > 0 {
                // The lost block and those that followed it in its window.
                assert_eq!(again, behind + 1, "{block} of windows of {window}");
            } else {
                // No block followed it, so that only the timer could detect the loss.
                assert!(again <= 2 * u64::from(window), "{again} of {window}");
            }
        }
    }
}

#[test]
fn uefi_firmware_that_receives_each_datagram_twice_is_sent_each_block_twice_at_most() {
    for window in [1, 4, 16] {
        let mut scenario = Scenario::new(1, window, 580);
        scenario.down.duplicate = 1000;
        let fetched = edk2(&scenario);
        assert!(fetched.complete);
        let sent = fetched.report.tally.data;
        assert!(
            sent <= 2 * scenario.blocks(),
            "{sent} at a window of {window}"
        );
    }
}

#[test]
fn swapped_first_blocks_of_each_window_cause_no_storm_with_uefi_firmware() {
    let scenario = Scenario::new(1, 4, 580);
    let fetched = fetch_with(&scenario, |now| {
        let firmware = Firmware::new(Habits::EDK2, scenario.options(), now);
        Meddled::new(firmware, exchanging(scenario.window))
    });
    assert!(fetched.complete);
    let sent = fetched.report.tally.data;
    assert!(sent <= 3 * scenario.blocks(), "{sent}");
}

#[test]
fn a_client_that_never_repeats_an_ack_receives_its_file_by_the_resends_of_the_server() {
    let mut complete = 0;
    for seed in 0..1000 {
        let scenario = Scenario::new(seed, 1, 100).over(Quality {
            loss: 50,
            ..JITTERY
        });
        let fetched = fetch_with(&scenario, |now| {
            Firmware::new(Habits::GRUB, scenario.options(), now)
        });
        complete += u32::from(fetched.complete);
        // An unacknowledged first reply is sent only three times, to limit amplification. A client
        // that has acknowledged one receives its file.
        let half_open = [Outcome::TimedOut(Stage::FirstReply)];
        assert!(
            fetched.complete || fetched.report.outcomes() == half_open,
            "{scenario:#?}"
        );
    }
    assert!(complete >= 995, "{complete} of 1000");
}

#[test]
fn repeated_acks_do_not_add_a_single_block() {
    let round_trip = Duration::from_millis(20);
    // Without delay, shortly after, and in the middle between ACK and answer.
    for later in [Duration::ZERO, round_trip / 20, round_trip / 2] {
        for window in [1, 2, 4, 16] {
            assert_no_block_is_added(window, later);
        }
    }
    // So late that with windows it could report a gap; with single blocks it never does.
    assert_no_block_is_added(1, round_trip * 19 / 20);
}

#[track_caller]
fn assert_no_block_is_added(window: u16, later: Duration) {
    let scenario = Scenario::new(3, window, 200);
    let fetched = fetch_with(&scenario, |now| {
        Echoing::new(OwnClient::get(scenario.options(), 1, now), later)
    });
    assert!(fetched.complete);
    let tally = fetched.report.tally;
    assert_eq!(tally.data, scenario.blocks(), "{later:?}, window {window}");
    assert!(tally.acks >= 2 * scenario.blocks() / u64::from(window));
}

#[test]
fn a_forged_request_costs_three_datagrams_and_seven_seconds() {
    for (window, blksize) in [(1, 512), (64, 1428)] {
        let scenario = Scenario {
            blksize,
            size: 1_000_000,
            ..Scenario::new(1, window, 1)
        };
        let report = mute(&scenario, &[]);
        let first_reply = if window == 1 {
            report.tally.data
        } else {
            report.tally.oacks
        };
        assert_eq!((first_reply, report.tally.total()), (3, 4));
        assert_eq!(report.outcomes(), [Outcome::TimedOut(Stage::FirstReply)]);
        assert!(report.took < Duration::from_secs(9), "{:?}", report.took);
    }
}

#[test]
fn one_ack_without_a_second_costs_two_windows_bounded_in_bytes_and_then_single_blocks() {
    for (window, blksize) in [(64, 1428), (64, 512), (64, 8192), (4, 1468)] {
        let scenario = Scenario {
            blksize,
            size: 10_000_000,
            ..Scenario::new(1, window, 1)
        };
        let report = mute(&scenario, &["ACK 0"]);
        // The largest window that the server grants.
        let window = u64::from(window).min(128 * 1024 / u64::from(blksize));
        let singles = report.tally.data - 2 * window;
        assert!((5..20).contains(&singles), "{singles} single blocks");
        let bytes = 2 * 128 * 1024 + singles * u64::from(blksize);
        assert!(report.tally.data_bytes <= bytes, "{:?}", report.tally);
        assert_eq!(report.tally.oacks, 1);
        assert_eq!(report.outcomes(), [Outcome::TimedOut(Stage::Data)]);
        assert!(report.took < Duration::from_secs(50), "{:?}", report.took);
    }
}

#[test]
fn a_size_probe_costs_one_oack_and_frees_its_port() {
    let scenario = Scenario::new(1, 4, 100);
    let report = mute(&scenario, &[r#"ERROR 8 "User aborted the transfer""#]);
    assert_eq!(report.outcomes(), [Outcome::Probed]);
    assert_eq!((report.tally.oacks, report.tally.data), (1, 0));
    assert!(report.took < Duration::from_millis(41), "{:?}", report.took);
}

#[test]
fn a_missing_last_ack_ends_the_transfer_with_the_first_icmp_error() {
    let report = leaves_with(100, true);
    assert_eq!(report.outcomes(), [Outcome::Completed { last_ack: false }]);
    // One resend is answered by ICMP.
    let lingered = report.lingered();
    assert!(lingered < Duration::from_millis(150), "{lingered:?}");
}

#[test]
fn a_missing_last_ack_without_icmp_ends_the_transfer_within_five_seconds() {
    let report = leaves_with(100, false);
    assert_eq!(report.outcomes(), [Outcome::Completed { last_ack: false }]);
    let lingered = report.lingered();
    assert!(lingered < Duration::from_secs(5), "{lingered:?}");
    assert_eq!(report.tally.data, 100 + 5 * 4, "the last window six times");
}

#[test]
fn a_client_that_vanishes_in_mid_transfer_ends_it_with_the_first_icmp_error() {
    let report = leaves_with(50, true);
    assert_eq!(report.outcomes(), [Outcome::Unreachable(Stage::Data)]);
    let lingered = report.lingered();
    assert!(lingered < Duration::from_millis(150), "{lingered:?}");
}

#[test]
fn a_client_that_vanishes_in_mid_transfer_without_icmp_times_out_after_forty_seconds() {
    let report = leaves_with(50, false);
    assert_eq!(report.outcomes(), [Outcome::TimedOut(Stage::Data)]);
    let lingered = report.lingered().as_secs();
    assert!((39..46).contains(&lingered), "{lingered} s");
}

/// The link is without loss: if the new request were lost while the old transfer still sends, no
/// client could attribute the packets it receives.
#[test]
fn a_machine_that_restarts_in_mid_transfer_receives_the_file_of_its_new_request() {
    for seed in 0..300 {
        for other in [false, true] {
            for crash in [1, 2, 7, 60] {
                assert_boots_again(&Scenario::new(seed, 4, 100).over(JITTERY), crash, other);
            }
        }
    }
}

/// The machine crashes after `crash` datagrams, and requests the same file again or another one.
#[track_caller]
fn assert_boots_again(scenario: &Scenario, crash: u32, other: bool) {
    let second = Scenario {
        seed: scenario.seed + 1_000_000,
        size: 777,
        ..scenario.clone()
    };
    let (name, file) = if other {
        (&b"other"[..], second.file())
    } else {
        (FILE, scenario.file())
    };
    let ports = Ports::new();
    let mut world = World::new(
        scenario,
        || ports.take(),
        |now| {
            let options = scenario.options();
            let again = move |now| OwnClient::get_named(name, options, 2, now);
            Rebooting::new(OwnClient::get(options, 1, now), crash, BOOT, again)
        },
    );
    world.server.add(b"other", second.file());
    let report = world.run();
    let arrived = world.client.file();
    assert!(
        *arrived == *file,
        "{} bytes with {scenario:#?}",
        arrived.len()
    );
    let outcomes = report.outcomes();
    assert!(outcomes.last().is_some_and(Outcome::is_complete));
    assert_eq!(ports.held(), 0);
    assert_eq!(ports.taken(), report.transfers.len() as u64);
    let replaced = Outcome::Aborted(ErrorCode::NotDefined);
    let running = outcomes.iter().filter(|outcome| **outcome == replaced);
    assert!(running.count() <= 1, "{outcomes:?}");
}

fn edk2(scenario: &Scenario) -> Fetched {
    fetch_with(scenario, |now: Instant| {
        Firmware::new(Habits::EDK2, scenario.options(), now)
    })
}

/// A client that sends the packets `answers` once answered, and then nothing, over a link that loses
/// nothing and takes 10 ms each way.
fn mute(scenario: &Scenario, answers: &[&str]) -> Report {
    let answers = answers.iter().map(|text| {
        let packet = Packet::from_text(text);
        packet.expect("a packet").to_bytes()
    });
    let answers = answers.collect();
    fetch_with(scenario, |now| Mute::new(scenario.options(), answers, now)).report
}

/// A client of 100 blocks that vanishes after block `block`.
fn leaves_with(block: u64, icmp: bool) -> Report {
    let scenario = Scenario {
        icmp,
        ..Scenario::new(1, 4, 100)
    };
    let habits = Habits {
        leaves_with: block,
        ..Habits::EDK2
    };
    fetch_with(&scenario, |now| {
        Firmware::new(habits, scenario.options(), now)
    })
    .report
}
