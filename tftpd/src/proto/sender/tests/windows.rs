//! Packet traces of transfers with windows.

use super::*;

#[test]
fn an_ack_inside_a_window_brings_a_full_window_from_the_missing_block() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(4)
        .recv(ack(2))
        .expect(blocks(3, 4));
    assert_eq!(t.sender.resent(), 2, "blocks 3 and 4 went out twice");
}

#[test]
fn three_equal_acks_for_one_lost_block_bring_one_window() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(10)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(20)
        .recv(ack(4))
        .expect(blocks(5, 4));
    t.at(30)
        .recv(ack(4))
        .expect(blocks(5, 4))
        .recv(ack(4))
        .expect_nothing()
        .recv(ack(4))
        .expect_nothing();
    t.at(31).recv(ack(4)).expect_nothing();
    t.at(41).recv(ack(8)).expect(blocks(9, 4));
}

#[test]
fn the_echo_of_an_ack_right_behind_its_window_brings_nothing() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(10)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(20)
        .recv(ack(4))
        .expect(blocks(5, 4));
    t.at(21).recv(ack(4)).expect_nothing();
}

#[test]
fn acks_on_the_heels_of_a_window_bring_new_blocks_only() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(10)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(20)
        .recv(ack(1))
        .expect(blocks(2, 4));
    t.at(21).recv(ack(2)).expect(blocks(6, 1));
    t.recv(ack(2)).expect_nothing();
    t.at(22).recv(ack(4)).expect(blocks(7, 2));
}

#[test]
fn an_ack_of_the_last_block_that_went_out_twice_brings_new_blocks_only() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(10)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(20)
        .recv(ack(2))
        .expect(blocks(3, 4));
    // The copies of 3 and 4 were answered, and 5 and 6 are still on their way.
    t.at(30).recv(ack(4)).expect(blocks(7, 2));
    // No, 5 was lost.
    t.at(40).recv(ack(4)).expect(blocks(5, 4));
}

#[test]
fn silence_after_an_ack_that_was_taken_for_an_echo_ends_the_suspicion() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(1000)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(1010)
        .recv(ack(2))
        .expect(blocks(5, 2))
        .wait()
        .expect(blocks(3, 4));
    t.now += Duration::from_millis(10);
    t.recv(ack(3)).expect(blocks(4, 4));
}

#[test]
fn an_ack_of_everything_brings_a_window_however_soon_it_comes() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(10)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(11)
        .recv(ack(4))
        .expect(blocks(5, 4));
}

#[test]
fn a_silence_brings_the_whole_window_again() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(4)
        .recv(ack(4))
        .expect(blocks(5, 4));
    t.wait().expect(blocks(5, 4));
    assert_eq!(t.sender.resent(), 4);
}

#[test]
fn an_answer_to_what_was_sent_again_after_a_gap_ends_the_back_off() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(20)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .wait()
        .expect(blocks(1, 4))
        .wait()
        .expect(blocks(1, 1));
    // Each window from here on repeats blocks of the one before.
    t.at(1000).recv(ack(2)).expect(blocks(3, 4));
    t.at(1020).recv(ack(5)).expect(blocks(6, 4));
    let wait = t.deadline() - t.now;
    assert!(wait < Duration::from_millis(80), "waits {wait:?}");
}

#[test]
fn the_last_window_is_as_short_as_what_is_left() {
    let mut t = windowed(5 * 512, 4);
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(4)
        .recv(ack(4))
        .expect(blocks(5, 2));
    t.at(6)
        .recv(ack(6))
        .expect_end(&Outcome::Completed { last_ack: true });
}

#[test]
fn after_one_ack_and_silence_a_window_goes_out_twice_and_then_single_blocks() {
    let mut t = windowed(1_000_000, 64);
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 64))
        .wait()
        .expect(blocks(1, 64));
    let mut singles = 0;
    while t.wait().sender.outcome().is_none() {
        t.expect(blocks(1, 1));
        singles += 1;
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(singles < 20, "{singles} single blocks");
    assert!(t.elapsed() >= Duration::from_secs(40));
}

#[test]
fn block_numbers_go_on_with_0_after_65535() {
    let mut t = windowed(70_000 * 512, 4);
    t.expect_oack().recv(ack(0)).expect(blocks(1, 4));
    for window in 1..16_384_u64 {
        t.recv(ack(Rollover::Zero.to_wire(window * 4)))
            .expect(blocks(window * 4 + 1, 4));
    }
    t.recv(ack(0))
        .expect(blocks(65_537, 4))
        .at(1)
        .recv(ack(1))
        .expect(blocks(65_538, 4));
    t.recv(ack(65_535)).expect_nothing();
}

#[test]
fn a_peer_that_only_repeats_itself_is_not_borne_for_ever() {
    let mut t = windowed(100_000, 4);
    t.expect_oack().at(10).recv(ack(0)).expect(blocks(1, 4));
    while t.sender.outcome().is_none() {
        t.now += Duration::from_millis(500);
        t.recv(ack(0));
        let _ = t.sender.poll();
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(
        t.elapsed() < Duration::from_secs(42),
        "took {:?}",
        t.elapsed()
    );
}
