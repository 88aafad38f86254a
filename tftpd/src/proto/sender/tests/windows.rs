//! Exchange scripts of transfers with windows.

use super::*;

#[test]
fn an_ack_inside_a_window_brings_a_full_window_from_the_missing_block() {
    let mut t = windowed(100_000, 4);
    t.run(
        "+0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         +2ms > ACK 2
         +0 < DATA 3-6",
    );
    assert_eq!(t.transfer.resent(), 2, "blocks 3 and 4 were sent twice");
}

#[test]
fn three_equal_acks_for_one_lost_block_bring_one_window() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 4
         +0 < DATA 5-8
         +10ms > ACK 4
         +0 < DATA 5-8
         +0 > ACK 4
         +0 > ACK 4
         +1ms > ACK 4
         +10ms > ACK 8
         +0 < DATA 9-12",
    );
}

#[test]
fn the_echo_of_an_ack_right_behind_its_window_brings_nothing() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 4
         +0 < DATA 5-8
         +1ms > ACK 4",
    );
}

#[test]
fn acks_on_the_heels_of_a_window_bring_new_blocks_only() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 1
         +0 < DATA 2-5
         +1ms > ACK 2
         +0 < DATA 6
         +0 > ACK 2
         +1ms > ACK 4
         +0 < DATA 7-8",
    );
}

#[test]
fn new_blocks_beyond_those_in_flight_restart_the_timer() {
    let mut t = windowed(100_000, 4);
    t.run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 1
         +0 < DATA 2-5",
    );
    let due = t.deadline();
    t.run(
        "+8ms > ACK 2
         +0 < DATA 6",
    );
    assert!(t.deadline() > due);
}

#[test]
fn an_ack_of_the_last_block_that_went_out_twice_brings_new_blocks_only() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 2
         +0 < DATA 3-6
         # The copies of 3 and 4 were acknowledged; 5 and 6 are in flight.
         +10ms > ACK 4
         +0 < DATA 7-8
         # 5 was lost.
         +10ms > ACK 4
         +0 < DATA 5-8",
    );
}

#[test]
fn silence_after_an_ack_that_was_taken_for_an_echo_ends_the_suspicion() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +1000ms > ACK 0
         +0 < DATA 1-4
         +10ms > ACK 2
         +0 < DATA 5-6
         +timeout < DATA 3-6
         # Sooner than the shortest RTT of 10 ms, which the timeout discarded.
         +8ms > ACK 3
         +0 < DATA 4-7",
    );
}

#[test]
fn an_ack_of_everything_brings_a_window_however_soon_it_comes() {
    windowed(100_000, 4).run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4
         +1ms > ACK 4
         +0 < DATA 5-8",
    );
}

#[test]
fn a_silence_brings_the_whole_window_again() {
    let mut t = windowed(100_000, 4);
    t.run(
        "+0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         +2ms > ACK 4
         +0 < DATA 5-8
         +timeout < DATA 5-8",
    );
    assert_eq!(t.transfer.resent(), 4);
}

#[test]
fn an_answer_to_what_was_sent_again_after_a_gap_ends_the_back_off() {
    let mut t = windowed(100_000, 4);
    t.run(
        "+0 < OACK windowsize=4
         +20ms > ACK 0
         +0 < DATA 1-4
         +timeout < DATA 1-4
         +timeout < DATA 1",
    );
    t.now = t.start + Duration::from_secs(1);
    // Each window from here on repeats blocks of the one before.
    t.run(
        "+0 > ACK 2
         +0 < DATA 3-6
         +20ms > ACK 5
         +0 < DATA 6-9",
    );
    let wait = t.deadline() - t.now;
    assert!(wait < Duration::from_millis(80), "waits {wait:?}");
}

#[test]
fn the_last_window_is_as_short_as_what_is_left() {
    windowed(5 * 512, 4).run_to_end(
        "+0 < OACK windowsize=4
         +2ms > ACK 0
         +0 < DATA 1-4
         +2ms > ACK 4
         +0 < DATA 5-6
         +2ms > ACK 6",
        &COMPLETED,
    );
}

#[test]
fn after_one_ack_and_silence_a_window_goes_out_twice_and_then_single_blocks() {
    let mut t = windowed(1_000_000, 64);
    t.run(
        "+0 < OACK windowsize=64
         +2ms > ACK 0
         +0 < DATA 1-64
         +timeout < DATA 1-64",
    );
    let mut singles = 0;
    while t.wait().transfer.outcome().is_none() {
        t.run("+0 < DATA 1");
        singles += 1;
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(singles < 20, "{singles} single blocks");
    assert!(t.elapsed() >= Duration::from_secs(40));
}

#[test]
fn block_numbers_go_on_with_0_after_65535() {
    let mut t = windowed(70_000 * 512, 4);
    t.run(
        "+0 < OACK windowsize=4
         +0 > ACK 0
         +0 < DATA 1-4",
    );
    // Windows up to block 65536, which is 0 on the wire.
    for acked in (4..65_536).step_by(4) {
        t.run(&format!(
            "+0 > ACK {acked}\n+0 < DATA {}-{}",
            acked + 1,
            acked + 4
        ));
    }
    t.run(
        "+0 > ACK 0
         +0 < DATA 65537-65540
         +1ms > ACK 1
         +0 < DATA 65538-65541
         +0 > ACK 65535",
    );
}

#[test]
fn duplicates_without_progress_end_the_transfer() {
    let mut t = windowed(100_000, 4);
    t.run(
        "+0 < OACK windowsize=4
         +10ms > ACK 0
         +0 < DATA 1-4",
    );
    // The duplicate that ends the transfer is not answered, so no answer is compared.
    while t.transfer.outcome().is_none() {
        t.deliver("+500ms > ACK 0");
        let _ = t.transfer.poll();
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(
        t.elapsed() < Duration::from_secs(42),
        "took {:?}",
        t.elapsed()
    );
}
