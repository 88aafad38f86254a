//! The server's side against clients with habits of their own, good and bad.

use std::time::{Duration, Instant};

use tests::link::Quality;
use tftpd::proto::{ErrorCode, Outcome, Stage};

use crate::{
    client::{FILE, Get},
    ends::ack,
    meddling::{Echoing, Meddled, exchanging, missing},
    models::{Firmware, Habits, Mute, Rebooting},
    scenario::Scenario,
    server::Ports,
    world::{Fetched, Report, World, fetch_with},
};

const JITTERY: Quality = Quality {
    jitter: 50,
    ..Quality::steady(Duration::from_millis(10))
};

/// How long a machine takes to come back and ask again.
const BOOT: Duration = Duration::from_secs(10);

#[test]
fn uefi_firmware_gets_its_file_over_every_link_and_provokes_no_storm() {
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
fn the_protests_at_one_lost_block_bring_one_window() {
    for window in [2, 4, 16] {
        for block in 1..=3 * window {
            let scenario = Scenario::new(block.into(), window, 10 * usize::from(window));
            let fetched = fetch_with(&scenario, |now| {
                let firmware = Firmware::new(Habits::EDK2, scenario.asked(), now);
                Meddled::new(firmware, missing(block))
            });
            assert!(fetched.complete);
            let again = fetched.report.tally.data - scenario.blocks();
            let behind = u64::from((window - block % window) % window);
            if behind > 0 {
                // The lost block and those that came behind it in its window.
                assert_eq!(again, behind + 1, "{block} of windows of {window}");
            } else {
                // Nothing came behind it, so that the timer had to find out.
                assert!(again <= 2 * u64::from(window), "{again} of {window}");
            }
        }
    }
}

#[test]
fn uefi_firmware_that_gets_each_datagram_twice_is_sent_each_block_twice_at_most() {
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
fn uefi_firmware_that_gets_the_first_two_blocks_of_each_window_exchanged_provokes_no_storm() {
    let scenario = Scenario::new(1, 4, 580);
    let fetched = fetch_with(&scenario, |now| {
        let firmware = Firmware::new(Habits::EDK2, scenario.asked(), now);
        Meddled::new(firmware, exchanging(scenario.window))
    });
    assert!(fetched.complete);
    let sent = fetched.report.tally.data;
    assert!(sent <= 3 * scenario.blocks(), "{sent}");
}

#[test]
fn a_client_that_never_repeats_an_ack_gets_its_file_by_the_servers_resends() {
    let mut complete = 0;
    for seed in 0..1000 {
        let scenario = Scenario::new(seed, 1, 100).over(Quality {
            loss: 50,
            ..JITTERY
        });
        let fetched = fetch_with(&scenario, |now| {
            Firmware::new(Habits::GRUB, scenario.asked(), now)
        });
        complete += u32::from(fetched.complete);
        // Three first replies are the price of not flooding a stranger. Once it has acknowledged
        // one, a client gets its file.
        let unheard = [Outcome::TimedOut(Stage::FirstReply)];
        assert!(
            fetched.complete || outcomes(&fetched.report) == unheard,
            "{scenario:#?}"
        );
    }
    assert!(complete >= 995, "{complete} of 1000");
}

#[test]
fn repeated_acks_do_not_add_a_single_block() {
    let round_trip = Duration::from_millis(20);
    // At once, close behind, and in the middle between ACK and answer.
    for later in [Duration::ZERO, round_trip / 20, round_trip / 2] {
        for window in [1, 2, 4, 16] {
            assert_no_block_is_added(window, later);
        }
    }
    // So late that with windows it could be a report; with single blocks it never is.
    assert_no_block_is_added(1, round_trip * 19 / 20);
}

#[track_caller]
fn assert_no_block_is_added(window: u16, later: Duration) {
    let scenario = Scenario::new(3, window, 200);
    let fetched = fetch_with(&scenario, |now| {
        Echoing::new(Get::new(scenario.asked(), 1, now), later)
    });
    assert!(fetched.complete);
    let tally = fetched.report.tally;
    assert_eq!(tally.data, scenario.blocks(), "{later:?}, window {window}");
    assert!(tally.acks >= 2 * scenario.blocks() / u64::from(window));
}

#[test]
fn a_request_from_nobody_costs_three_datagrams_and_seven_seconds() {
    for (window, blksize) in [(1, 512), (64, 1428)] {
        let scenario = Scenario {
            blksize,
            size: 1_000_000,
            ..Scenario::new(1, window, 1)
        };
        let report = mute(&scenario, vec![]);
        let first_reply = if window == 1 {
            report.tally.data
        } else {
            report.tally.oacks
        };
        assert_eq!((first_reply, report.tally.total()), (3, 4));
        assert_eq!(outcomes(&report), [Outcome::TimedOut(Stage::FirstReply)]);
        assert!(report.took < Duration::from_secs(9), "{:?}", report.took);
    }
}

#[test]
fn one_ack_and_silence_cost_two_windows_bounded_in_bytes_and_then_single_blocks() {
    for (window, blksize) in [(64, 1428), (64, 512), (64, 8192), (4, 1468)] {
        let scenario = Scenario {
            blksize,
            size: 10_000_000,
            ..Scenario::new(1, window, 1)
        };
        let report = mute(&scenario, vec![ack(0)]);
        // What the server grants at most.
        let window = u64::from(window).min(128 * 1024 / u64::from(blksize));
        let singles = report.tally.data - 2 * window;
        assert!((5..20).contains(&singles), "{singles} single blocks");
        let bytes = 2 * 128 * 1024 + singles * u64::from(blksize);
        assert!(report.tally.data_bytes <= bytes, "{:?}", report.tally);
        assert_eq!(report.tally.oacks, 1);
        assert_eq!(outcomes(&report), [Outcome::TimedOut(Stage::Data)]);
        assert!(report.took < Duration::from_secs(50), "{:?}", report.took);
    }
}

#[test]
fn a_size_probe_costs_one_oack_and_holds_nothing_afterwards() {
    let mut refusal = vec![0, 5, 0, 8];
    refusal.extend_from_slice(b"User aborted the transfer\0");
    let scenario = Scenario::new(1, 4, 100);
    let report = mute(&scenario, vec![refusal]);
    assert_eq!(outcomes(&report), [Outcome::Probed]);
    assert_eq!((report.tally.oacks, report.tally.data), (1, 0));
    assert!(report.took < Duration::from_millis(41), "{:?}", report.took);
}

#[test]
fn a_client_that_leaves_without_its_last_ack_is_given_up_at_once_if_its_host_says_so() {
    let report = leaves_with(100, true);
    assert_eq!(outcomes(&report), [Outcome::Completed { last_ack: false }]);
    // One resend meets the closed port.
    let lingered = report.lingered();
    assert!(lingered < Duration::from_millis(150), "{lingered:?}");
}

#[test]
fn a_client_that_leaves_without_its_last_ack_is_given_up_soon_if_its_host_is_silent() {
    let report = leaves_with(100, false);
    assert_eq!(outcomes(&report), [Outcome::Completed { last_ack: false }]);
    let lingered = report.lingered();
    assert!(lingered < Duration::from_secs(5), "{lingered:?}");
    assert_eq!(report.tally.data, 100 + 5 * 4, "the last window six times");
}

#[test]
fn a_client_that_is_gone_in_mid_transfer_ends_it_at_once_if_its_host_says_so() {
    let report = leaves_with(50, true);
    assert_eq!(outcomes(&report), [Outcome::Unreachable(Stage::Data)]);
    let lingered = report.lingered();
    assert!(lingered < Duration::from_millis(150), "{lingered:?}");
}

#[test]
fn a_client_that_is_gone_in_mid_transfer_is_given_up_after_forty_seconds_of_silence() {
    let report = leaves_with(50, false);
    assert_eq!(outcomes(&report), [Outcome::TimedOut(Stage::Data)]);
    let lingered = report.lingered().as_secs();
    assert!((39..46).contains(&lingered), "{lingered} s");
}

/// Nothing is lost here: when the new request is, while the old session still speaks, no client
/// can tell whose packets it gets.
#[test]
fn a_machine_that_starts_again_in_mid_transfer_gets_the_file_it_asks_for_now() {
    for seed in 0..300 {
        for other in [false, true] {
            for crash in [1, 2, 7, 60] {
                assert_boots_again(&Scenario::new(seed, 4, 100).over(JITTERY), crash, other);
            }
        }
    }
}

/// It crashes when `crash` datagrams have come, and asks for the same file again or for another.
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
            let options = scenario.asked();
            let again = move |now| Get::named(name, options, 2, now);
            Rebooting::new(Get::new(options, 1, now), crash, BOOT, again)
        },
    );
    world.server.add(b"other", second.file());
    let report = world.run();
    let arrived = crate::client::Client::file(&world.client);
    assert!(
        *arrived == *file,
        "{} bytes with {scenario:#?}",
        arrived.len()
    );
    assert!(
        report
            .sessions
            .last()
            .is_some_and(|session| session.outcome.is_complete())
    );
    assert_eq!(ports.held(), 0);
    assert_eq!(ports.taken(), report.sessions.len() as u64);
    let replaced = Outcome::Aborted(ErrorCode::NotDefined);
    let running = report
        .sessions
        .iter()
        .filter(|session| session.outcome == replaced);
    assert!(running.count() <= 1, "{:?}", report.sessions);
}

fn edk2(scenario: &Scenario) -> Fetched {
    fetch_with(scenario, |now: Instant| {
        Firmware::new(Habits::EDK2, scenario.asked(), now)
    })
}

/// Over a link that loses nothing and takes 10 ms each way.
fn mute(scenario: &Scenario, words: Vec<Vec<u8>>) -> Report {
    fetch_with(scenario, |now| Mute::new(scenario.asked(), words, now)).report
}

/// A client of 100 blocks that is gone with block `block`.
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
        Firmware::new(habits, scenario.asked(), now)
    })
    .report
}

fn outcomes(report: &Report) -> Vec<Outcome> {
    let sessions = report.sessions.iter();
    sessions.map(|session| session.outcome.clone()).collect()
}
