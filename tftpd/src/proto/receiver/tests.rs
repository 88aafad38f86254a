//! Exchange scripts, run against a receiver in virtual time.

use super::*;
use crate::proto::{Blksize, Windowsize, trace::Trace};

#[test]
fn blocks_are_stored_and_acknowledged_one_by_one() {
    let mut t = client(1, Opening::AwaitData);
    t.run_to_end(
        "+0 < DATA 1 len 512
         +0 > ACK 1
         +0 < DATA 2 len 100
         = commit
         = committed
         +0 > ACK 2",
        &Outcome::Completed { last_ack: true },
    );
    assert_eq!(t.file.len(), 612);
}

#[test]
fn an_exact_multiple_ends_with_an_empty_block() {
    let mut t = client(1, Opening::AwaitData);
    t.run(
        "+0 < DATA 1 len 512
         +0 > ACK 1
         +0 < DATA 2 len 0
         = commit",
    );
    assert_eq!(t.file.len(), 512);
}

#[test]
fn the_last_ack_waits_until_the_file_is_durable() {
    let mut t = client(1, Opening::AwaitData);
    t.run(
        "+0 < DATA 1 len 5
         = commit
         +0 < DATA 1 len 5",
    )
    .wait()
    .run_to_end(
        "= committed
         +0 > ACK 1",
        &Outcome::Completed { last_ack: true },
    );
    assert_eq!(t.file.len(), 5, "the repeated block was stored once");
}

#[test]
fn a_file_that_cannot_be_stored_is_refused_instead_of_acknowledged() {
    let mut t = client(1, Opening::AwaitData);
    t.run_to_end(
        "+0 < DATA 1 len 5
         = commit
         = abort 3
         +0 > ERROR 3",
        &Outcome::Aborted(ErrorCode::DiskFull),
    );
}

#[test]
fn a_window_is_acknowledged_as_one_and_its_last_block_on_arrival() {
    client(4, Opening::Ack).run_to_end(
        "+0 > ACK 0
         +0 < DATA 1 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 > ACK 4
         +0 < DATA 5 len 512
         +0 < DATA 6 len 511
         = commit
         = committed
         +0 > ACK 6",
        &Outcome::Completed { last_ack: true },
    );
}

#[test]
fn a_gap_is_reported_once() {
    let mut t = client(4, Opening::Ack);
    t.run(
        "+0 > ACK 0
         +0 < DATA 1 len 512
         +0 < DATA 3 len 512
         +0 > ACK 1
         +0 < DATA 4 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 < DATA 5 len 512
         +0 > ACK 5",
    );
    assert_eq!(t.file.len(), 5 * 512);
}

#[test]
fn a_first_window_without_its_first_block_shows_that_the_oack_has_arrived() {
    let options = Options {
        windowsize: Windowsize::new(4),
        ..Options::default()
    };
    server(4, Opening::Oack(options)).run_to_end(
        "+0 < OACK windowsize=4
         +0 > DATA 2 len 512
         +0 < ACK 0
         # The block proves the peer's address: the limit of three first replies no longer holds.
         +timeout < ACK 0
         +timeout < ACK 0
         +timeout < ACK 0
         +timeout < ACK 0
         +timeout < ACK 0
         +0 > DATA 1 len 512
         +0 > DATA 2 len 5
         = commit
         = committed
         +0 < ACK 2",
        &Outcome::Completed { last_ack: true },
    );
}

#[test]
fn a_repeated_window_is_acknowledged_by_its_last_block() {
    let mut t = client(4, Opening::Ack);
    t.run(
        "+0 > ACK 0
         +0 < DATA 1 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 > ACK 4
         +30ms < DATA 1 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 > ACK 4",
    );
    assert_eq!(t.file.len(), 4 * 512);
}

#[test]
fn a_copy_of_a_block_within_a_window_is_not_acknowledged() {
    client(4, Opening::Ack).run(
        "+0 > ACK 0
         +0 < DATA 1 len 512
         +0 < DATA 2 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 > ACK 4",
    );
}

#[test]
fn a_copy_of_the_last_block_is_not_acknowledged_within_a_round_trip() {
    client(1, Opening::Ack).run(
        "+0 > ACK 0
         +10ms < DATA 1 len 512
         +0 > ACK 1
         +9ms < DATA 1 len 512
         +1ms < DATA 1 len 512
         +0 > ACK 1",
    );
}

#[test]
fn a_repeated_oack_is_acknowledged_until_the_first_block() {
    client(1, Opening::Ack).run(
        "+0 > ACK 0
         +0 < OACK tsize=9
         +0 > ACK 0
         +0 < DATA 1 len 512
         +0 > ACK 1
         +0 < OACK tsize=9",
    );
}

#[test]
fn the_last_ack_is_repeated_for_at_least_half_a_minute() {
    let mut t = client(1, Opening::AwaitData);
    t.run(
        "+0 < DATA 1 len 512
         +0 > ACK 1",
    );
    while t.wait().transfer.outcome().is_none() {
        t.run("+0 > ACK 1");
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(t.elapsed() >= Duration::from_secs(30));
}

#[test]
fn a_forged_write_request_costs_three_packets() {
    let options = Options {
        tsize: Some(9),
        ..Options::default()
    };
    server(1, Opening::Oack(options))
        .run(
            "+0 < OACK tsize=9
             +timeout < OACK tsize=9
             +timeout < OACK tsize=9",
        )
        .wait()
        .expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn a_forged_write_request_without_options_costs_no_more() {
    server(1, Opening::AckRequest)
        .run(
            "+0 < ACK 0
             +timeout < ACK 0
             +timeout < ACK 0",
        )
        .wait()
        .expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn while_it_dallies_a_repeated_last_block_is_acknowledged_again() {
    let mut t = dallying(1, 2);
    t.run(
        "+0 > ACK 0
         +0 < DATA 1 len 3
         = commit
         = committed
         +0 > ACK 1
         +0 < DATA 1 len 3
         +0 > ACK 1",
    )
    .wait()
    .expect_end(&Outcome::Completed { last_ack: true });
    assert_eq!(t.file.len(), 3);
}

#[test]
fn each_repeated_last_block_restarts_the_dally_timer_up_to_a_limit() {
    let mut t = dallying(1, 3);
    t.run(
        "+0 > ACK 0
         +0 < DATA 1 len 3
         = commit
         = committed
         +0 > ACK 1",
    );
    for _ in 0..19 {
        t.run(
            "+2000ms < DATA 1 len 3
             +0 > ACK 1",
        );
    }
    t.run(
        "+1999ms < DATA 1 len 3
         +0 > ACK 1",
    );
    t.now += Duration::from_millis(1);
    t.wait().expect_end(&Outcome::Completed { last_ack: true });
    assert_eq!(t.elapsed(), Duration::from_secs(40));
}

#[test]
fn while_it_dallies_one_block_of_the_last_window_is_enough_and_a_whole_one_brings_two_acks() {
    dallying(4, 3).run(
        "+0 > ACK 0
         +10ms < DATA 1 len 512
         +0 < DATA 2 len 512
         +0 < DATA 3 len 512
         +0 < DATA 4 len 512
         +0 > ACK 4
         +0 < DATA 5 len 512
         +0 < DATA 6 len 3
         = commit
         = committed
         +0 > ACK 6
         +990ms < DATA 5 len 512
         +0 > ACK 6
         +1000ms < DATA 5 len 512
         +0 > ACK 6
         +0 < DATA 6 len 3
         +0 > ACK 6
         # A block of an earlier window: that window was acknowledged.
         +1000ms < DATA 2 len 512",
    );
}

#[test]
fn a_block_larger_than_agreed_ends_the_transfer() {
    let mut t = client(1, Opening::AwaitData);
    t.run_to_end(
        "+0 < DATA 1 len 513
         +0 > ERROR 4",
        &Outcome::Violation("a block is larger than agreed"),
    );
    assert_eq!(t.file, b"");
}

#[test]
fn duplicates_without_progress_end_the_transfer() {
    let mut t = client(1, Opening::AwaitData);
    t.run(
        "+0 < DATA 1 len 512
         +0 > ACK 1",
    );
    while t.transfer.outcome().is_none() {
        t.deliver("+500ms < DATA 1 len 512");
        let _ = t.transfer.poll();
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(t.elapsed() < Duration::from_secs(42));
}

#[test]
fn blocks_outside_of_the_window_are_ignored() {
    let mut t = client(4, Opening::Ack);
    t.run(
        "+0 > ACK 0
         +0 < DATA 0 len 512
         +0 < DATA 5 len 512
         +0 < DATA 30000 len 512
         +0 < DATA 65535 len 512",
    );
    assert_eq!(t.file, b"");
}

#[test]
fn block_numbers_go_on_with_0_after_65535() {
    let mut t = client(1, Opening::AwaitData);
    for number in (1..=65_535).chain(0..=4) {
        t.run(&format!("+0 < DATA {number} len 512\n+0 > ACK {number}"));
    }
    assert_eq!(t.file.len(), 65_540 * 512);
}

fn client(window: u16, opening: Opening) -> Trace {
    trace(config(window), opening, true)
}

fn server(window: u16, opening: Opening) -> Trace {
    trace(config(window), opening, false)
}

/// A client that stays for `seconds` after the last ACK.
fn dallying(window: u16, seconds: u64) -> Trace {
    let config = config(window).with_dally(Duration::from_secs(seconds));
    trace(config, Opening::Ack, true)
}

fn config(window: u16) -> ReceiverConfig {
    let terms = Terms {
        blksize: Blksize::DEFAULT,
        windowsize: Windowsize::new(window).expect("not empty"),
        ..Terms::default()
    };
    ReceiverConfig::default().with_terms(terms)
}

fn trace(config: ReceiverConfig, opening: Opening, is_client: bool) -> Trace {
    Trace::new(is_client, |start| {
        Receiver::new(config, opening, start).into()
    })
}
