//! Exchange scripts, run against a sender in virtual time.

use super::*;
use crate::proto::{Blksize, Rollover, trace::Trace};

const BLKSIZE: u16 = 512;

/// The outcome after the acknowledgement of the last block.
const COMPLETED: Outcome = Outcome::Completed { last_ack: true };

mod windows;

#[test]
fn a_file_goes_out_block_by_block_as_acks_come_in() {
    plain(1024).run_to_end(
        "+0 < DATA 1
         +2ms > ACK 1
         +0 < DATA 2
         +2ms > ACK 2
         +0 < DATA 3
         +2ms > ACK 3",
        &COMPLETED,
    );
}

#[test]
fn an_empty_file_is_one_empty_block() {
    plain(0).run_to_end(
        "+0 < DATA 1
         +2ms > ACK 1",
        &COMPLETED,
    );
}

#[test]
fn the_options_are_answered_first_and_ack_0_releases_a_window() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         +2ms > ACK 4
         +0 < DATA 5-8",
    );
}

#[test]
fn an_ack_of_five_bytes_counts() {
    let mut t = plain(1024);
    t.run("+0 < DATA 1");
    t.now += Duration::from_millis(2);
    t.receive(&[0, 4, 0, 1, 16]).run("+0 < DATA 2");
}

#[test]
fn a_lost_first_reply_is_sent_three_times_and_no_more() {
    let mut t = plain(1024);
    t.run(
        "+0 < DATA 1
         +timeout < DATA 1
         +timeout < DATA 1",
    )
    .wait()
    .expect_end(&Outcome::TimedOut(Stage::FirstReply));
    assert!(
        t.elapsed() >= Duration::from_secs(7),
        "gave up after {:?}",
        t.elapsed()
    );
}

#[test]
fn a_lost_oack_is_sent_three_times_and_no_more() {
    windowed(1024, 4)
        .run(
            "+0 < OACK windowsize=4
             +timeout < OACK windowsize=4
             +timeout < OACK windowsize=4",
        )
        .wait()
        .expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn the_same_request_again_repeats_the_first_reply_but_not_once_it_was_answered() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         = repeat
         +0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         = repeat",
    );
}

#[test]
fn a_client_begins_with_data_and_repeats_it_as_the_answer_to_its_request_suggests() {
    let mut t = answered(Duration::from_millis(100));
    t.run("+0 > DATA 1-4");
    // Three round trips, and up to an eighth more.
    let wait = t.deadline() - t.now;
    assert!(wait >= Duration::from_millis(300) && wait < Duration::from_millis(340));
    t.run(
        "+timeout > DATA 1-4
         +timeout > DATA 1
         +timeout > DATA 1
         +timeout > DATA 1
         +timeout > DATA 1",
    );
}

#[test]
fn that_a_server_was_slow_to_answer_does_not_make_its_first_ack_too_soon_to_be_true() {
    answered(Duration::from_millis(100)).run(
        "+0 > DATA 1-4
         +1ms < ACK 1
         +0 > DATA 2-5",
    );
}

#[test]
fn a_duplicate_ack_of_a_single_block_never_releases_data() {
    plain(5000).run(
        "+0 < DATA 1
         +2ms > ACK 1
         +0 < DATA 2
         +1ms > ACK 1
         +6ms > ACK 1
         +21ms > ACK 1
         +0 > ACK 2
         +0 < DATA 3",
    );
}

#[test]
fn a_duplicate_ack_does_not_put_off_the_timer() {
    let mut t = plain(5000);
    t.run(
        "+0 < DATA 1
         +2ms > ACK 1
         +0 < DATA 2",
    );
    let due = t.deadline();
    t.run("+8ms > ACK 1");
    assert_eq!(t.deadline(), due);
    t.run("+timeout < DATA 2");
}

#[test]
fn stale_acks_and_acks_of_the_future_are_ignored() {
    plain(50_000).run(
        "+0 < DATA 1
         +2ms > ACK 1
         +0 < DATA 2
         +2ms > ACK 2
         +0 < DATA 3
         +1ms > ACK 0
         +0 > ACK 1
         +0 > ACK 4
         +0 > ACK 5
         +0 > ACK 60000
         +0 > ACK 3
         +0 < DATA 4",
    );
}

#[test]
fn an_error_right_after_the_oack_is_a_probe_not_a_failure() {
    for code in [0, 8] {
        windowed(100_000, 4).run_to_end(
            &format!("+0 < OACK windowsize=4\n+2ms > ERROR {code} \"\""),
            &Outcome::Probed,
        );
    }
}

#[test]
fn an_error_in_mid_transfer_ends_it_and_gets_no_answer() {
    let outcome = Outcome::PeerError {
        code: ErrorCode::DiskFull,
        text: b"no room".as_slice().into(),
    };
    let mut t = plain(5000);
    t.run_to_end(
        "+0 < DATA 1
         +2ms > ERROR 3 \"no room\"",
        &outcome,
    );
    t.deliver("+0 > ACK 1");
    t.expect_end(&outcome);
}

#[test]
fn a_closed_port_ends_the_transfer_and_is_success_only_for_the_last_block() {
    plain(600).run_to_end(
        "+0 < DATA 1
         = unreachable",
        &Outcome::Unreachable(Stage::FirstReply),
    );
    let second_block = "+0 < DATA 1
                        +0 > ACK 1
                        +0 < DATA 2
                        = unreachable";
    plain(5000).run_to_end(second_block, &Outcome::Unreachable(Stage::Data));
    plain(600).run_to_end(second_block, &Outcome::Completed { last_ack: false });
}

#[test]
fn a_last_ack_that_never_comes_does_not_hold_the_port_for_long() {
    let mut t = plain(600);
    t.run(
        "+0 < DATA 1
         +1ms > ACK 1
         +0 < DATA 2",
    );
    for _ in 1..Patience::default().last_block {
        t.run("+timeout < DATA 2");
    }
    t.wait().expect_end(&Outcome::Completed { last_ack: false });
    assert!(
        t.elapsed() < Duration::from_secs(3),
        "took {:?}",
        t.elapsed()
    );
}

#[test]
fn an_abort_sends_one_error() {
    plain(5000).run_to_end(
        "+0 < DATA 1
         = abort 0
         +0 < ERROR 0",
        &Outcome::Aborted(ErrorCode::NotDefined),
    );
}

#[test]
fn a_file_of_unknown_size_ends_at_the_block_set() {
    windowed(None, 4).run_to_end(
        "+0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         +2ms > ACK 4
         +0 < DATA 5-8
         = ends 6
         +2ms > ACK 7
         +timeout < DATA 5-6
         +0 > ACK 6",
        &COMPLETED,
    );
}

#[test]
fn noise_is_ignored() {
    let mut t = plain(5000);
    t.run("+0 < DATA 1");
    for noise in [
        &b""[..],
        b"\x00",
        b"\x00\x04",
        b"\x00\x04\x00",
        b"\x00\x09zz",
        b"\x00\x03\x00\x01x",
        b"\x00\x01f\x00octet\x00",
    ] {
        t.receive(noise).expect_nothing("the next datagram");
    }
    t.run(
        "+0 > ACK 1
         +0 < DATA 2",
    );
}

/// A server that answers a request without options.
fn plain(size: u64) -> Trace {
    Trace::new(false, |start| {
        Sender::new(SenderConfig::new(size), None, start).into()
    })
}

/// A server that answers a request with `windowsize`.
fn windowed(size: impl Into<Option<u64>>, window: u16) -> Trace {
    let options = Options {
        windowsize: Windowsize::new(window),
        ..Options::default()
    };
    let config = in_windows(size, window);
    Trace::new(false, |start| {
        Sender::new(config, Some(options), start).into()
    })
}

/// A client whose request was answered after `round_trip`.
fn answered(round_trip: Duration) -> Trace {
    let config = in_windows(100_000, 4);
    Trace::new(true, |start| {
        Sender::answered(config, Some(round_trip), start).into()
    })
}

fn in_windows(size: impl Into<Option<u64>>, window: u16) -> SenderConfig {
    let terms = Terms {
        blksize: Blksize::new(BLKSIZE).expect("in bounds"),
        windowsize: Windowsize::new(window).expect("not empty"),
        timeout: None,
        rollover: Rollover::Zero,
    };
    SenderConfig::new(size).with_terms(terms)
}
