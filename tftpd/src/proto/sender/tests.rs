//! Packet traces: what arrives when, and what goes out in answer.

use super::*;
use crate::proto::{Blksize, Rollover, Windowsize};

const BLKSIZE: u16 = 512;

struct Trace {
    sender: Sender,
    start: Instant,
    now: Instant,
}

#[test]
fn a_file_goes_out_block_by_block_as_acks_come_in() {
    let mut t = plain(1024);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(ack(1))
        .expect(blocks(2, 1))
        .at(4)
        .recv(ack(2));
    t.expect(blocks(3, 1))
        .at(6)
        .recv(ack(3))
        .expect_end(&Outcome::Completed { last_ack: true });
}

#[test]
fn an_empty_file_is_one_empty_block() {
    let mut t = plain(0);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(ack(1))
        .expect_end(&Outcome::Completed { last_ack: true });
}

#[test]
fn the_options_are_answered_first_and_ack_0_releases_a_window() {
    let mut t = windowed(100_000, 4);
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(4)
        .recv(ack(4))
        .expect(blocks(5, 4));
}

#[test]
fn an_ack_of_five_bytes_counts() {
    let mut t = plain(1024);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(vec![0, 4, 0, 1, 16])
        .expect(blocks(2, 1));
}

#[test]
fn a_lost_first_reply_is_sent_three_times_and_no_more() {
    let mut t = plain(1024);
    t.expect(blocks(1, 1));
    t.wait().expect(blocks(1, 1)).wait().expect(blocks(1, 1));
    t.wait().expect_end(&Outcome::TimedOut(Stage::FirstReply));
    assert!(
        t.elapsed() >= Duration::from_secs(7),
        "gave up after {:?}",
        t.elapsed()
    );
}

#[test]
fn a_lost_oack_is_sent_three_times_and_no_more() {
    let mut t = windowed(1024, 4);
    t.expect_oack().wait().expect_oack().wait().expect_oack();
    t.wait().expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn the_same_request_again_repeats_the_first_reply_but_not_once_it_was_answered() {
    let mut t = windowed(100_000, 4);
    t.expect_oack();
    t.sender.repeat_first_reply();
    t.expect_oack().at(2).recv(ack(0)).expect(blocks(1, 4));
    t.sender.repeat_first_reply();
    t.expect_nothing();
}

#[test]
fn a_client_begins_with_data_and_repeats_it_as_the_answer_to_its_request_suggests() {
    let mut t = answered(Duration::from_millis(100));
    t.expect(blocks(1, 4));
    let wait = t.deadline() - t.start;
    assert!(wait >= Duration::from_millis(300) && wait < Duration::from_millis(340));
    for _ in 0..5 {
        t.wait();
        assert!(matches!(t.sender.poll(), SenderOutput::Blocks { .. }));
    }
}

#[test]
fn that_a_server_was_slow_to_answer_does_not_make_its_first_ack_too_soon_to_be_true() {
    let mut t = answered(Duration::from_millis(100));
    t.expect(blocks(1, 4))
        .at(1)
        .recv(ack(1))
        .expect(blocks(2, 4));
}

#[test]
fn a_duplicate_ack_of_a_single_block_never_releases_data() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(ack(1))
        .expect(blocks(2, 1));
    for ms in [3, 9, 30] {
        t.at(ms).recv(ack(1)).expect_nothing();
    }
    t.recv(ack(2)).expect(blocks(3, 1));
}

#[test]
fn a_duplicate_ack_does_not_put_off_the_timer() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(ack(1))
        .expect(blocks(2, 1));
    let due = t.deadline();
    t.at(10).recv(ack(1));
    assert_eq!(t.deadline(), due);
    t.wait().expect(blocks(2, 1));
}

#[test]
fn stale_acks_and_acks_of_the_future_are_ignored() {
    let mut t = plain(50_000);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(ack(1))
        .expect(blocks(2, 1))
        .at(4)
        .recv(ack(2))
        .expect(blocks(3, 1));
    for strange in [0, 1, 4, 5, 60_000] {
        t.at(5).recv(ack(strange)).expect_nothing();
    }
    t.recv(ack(3)).expect(blocks(4, 1));
}

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
fn an_error_right_after_the_oack_is_a_probe_not_a_failure() {
    for code in [0, 8] {
        let mut t = windowed(100_000, 4);
        t.expect_oack()
            .at(2)
            .recv(vec![0, 5, 0, code, 0])
            .expect_end(&Outcome::Probed);
    }
}

#[test]
fn an_error_in_mid_transfer_ends_it_at_once_and_gets_no_answer() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1))
        .at(2)
        .recv(b"\x00\x05\x00\x03no room\x00");
    t.expect_end(&Outcome::PeerError {
        code: ErrorCode::DiskFull,
        text: b"no room".as_slice().into(),
    });
    t.recv(ack(1)).expect_end(&Outcome::PeerError {
        code: ErrorCode::DiskFull,
        text: b"no room".as_slice().into(),
    });
}

#[test]
fn a_closed_port_ends_the_transfer_and_is_success_only_for_the_last_block() {
    let mut t = plain(600);
    t.expect(blocks(1, 1))
        .unreachable()
        .expect_end(&Outcome::Unreachable(Stage::FirstReply));
    let mut t = plain(5000);
    t.expect(blocks(1, 1))
        .recv(ack(1))
        .expect(blocks(2, 1))
        .unreachable();
    t.expect_end(&Outcome::Unreachable(Stage::Data));
    let mut t = plain(600);
    t.expect(blocks(1, 1))
        .recv(ack(1))
        .expect(blocks(2, 1))
        .unreachable();
    t.expect_end(&Outcome::Completed { last_ack: false });
}

#[test]
fn a_last_ack_that_never_comes_does_not_hold_the_port_for_long() {
    let mut t = plain(600);
    t.expect(blocks(1, 1))
        .at(1)
        .recv(ack(1))
        .expect(blocks(2, 1));
    for _ in 1..Patience::default().last_block {
        t.wait().expect(blocks(2, 1));
    }
    t.wait().expect_end(&Outcome::Completed { last_ack: false });
    assert!(
        t.elapsed() < Duration::from_secs(3),
        "took {:?}",
        t.elapsed()
    );
}

#[test]
fn an_abort_is_told_to_the_peer_once() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1));
    t.sender.handle(Input::Abort(ErrorCode::NotDefined), t.now);
    t.expect(SenderOutput::Error(ErrorCode::NotDefined));
    t.expect_end(&Outcome::Aborted(ErrorCode::NotDefined));
}

#[test]
fn a_file_of_unknown_size_ends_where_its_reader_says() {
    let windowsize = Windowsize::new(4).expect("not empty");
    let terms = Terms {
        windowsize,
        ..Terms::default()
    };
    let mut t = Trace::new(
        SenderConfig {
            terms,
            ..SenderConfig::new(None)
        },
        Some(Options::default()),
    );
    t.expect_oack()
        .at(2)
        .recv(ack(0))
        .expect(blocks(1, 4))
        .at(4)
        .recv(ack(4))
        .expect(blocks(5, 4));
    t.sender.ends_with(6);
    t.at(6)
        .recv(ack(7))
        .expect_nothing()
        .wait()
        .expect(blocks(5, 2));
    t.recv(ack(6))
        .expect_end(&Outcome::Completed { last_ack: true });
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

#[test]
fn noise_is_ignored() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1));
    for noise in [
        &b""[..],
        b"\x00",
        b"\x00\x04",
        b"\x00\x04\x00",
        b"\x00\x09zz",
        b"\x00\x03\x00\x01x",
        b"\x00\x01f\x00octet\x00",
    ] {
        t.recv(noise).expect_nothing();
    }
    t.recv(ack(1)).expect(blocks(2, 1));
}

fn plain(size: u64) -> Trace {
    Trace::new(SenderConfig::new(size), None)
}

fn windowed(size: u64, window: u16) -> Trace {
    let (config, options) = in_windows(size, window);
    Trace::new(config, Some(options))
}

/// A client's sender whose request was answered after `round_trip`.
fn answered(round_trip: Duration) -> Trace {
    let (config, _) = in_windows(100_000, 4);
    let mut trace = Trace::new(config, None);
    trace.sender = Sender::answered(config, Some(round_trip), trace.start);
    trace
}

fn in_windows(size: u64, window: u16) -> (SenderConfig, Options) {
    let windowsize = Windowsize::new(window).expect("not empty");
    let blksize = Blksize::new(BLKSIZE).expect("in bounds");
    let terms = Terms {
        blksize,
        windowsize,
        timeout: None,
        rollover: Rollover::Zero,
    };
    let options = Options {
        windowsize: Some(windowsize),
        ..Options::default()
    };
    let config = SenderConfig {
        terms,
        ..SenderConfig::new(size)
    };
    (config, options)
}

fn blocks(first: u64, count: u16) -> SenderOutput {
    SenderOutput::Blocks { first, count }
}

fn ack(block: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    Ack { block }.encode(&mut bytes);
    bytes
}

impl Trace {
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    fn new(config: SenderConfig, oack: Option<Options>) -> Self {
        let start = Instant::now();
        Self {
            sender: Sender::new(config, oack, start),
            start,
            now: start,
        }
    }

    /// Moves to `ms` after the beginning.
    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self
    }

    fn recv(&mut self, datagram: impl AsRef<[u8]>) -> &mut Self {
        self.sender
            .handle(Input::Datagram(datagram.as_ref()), self.now);
        self
    }

    fn unreachable(&mut self) -> &mut Self {
        self.sender.handle(Input::Unreachable, self.now);
        self
    }

    /// Lets time pass until the timer is due.
    #[track_caller]
    fn wait(&mut self) -> &mut Self {
        self.now = self.deadline();
        self.sender.handle(Input::Timer, self.now);
        self
    }

    #[track_caller]
    fn deadline(&mut self) -> Instant {
        match self.sender.poll() {
            SenderOutput::Wait(at) => at,
            other => panic!("{other:?} instead of a wait"),
        }
    }

    #[track_caller]
    fn expect(&mut self, output: SenderOutput) -> &mut Self {
        assert_eq!(self.sender.poll(), output, "at {:?}", self.elapsed());
        self
    }

    #[track_caller]
    fn expect_oack(&mut self) -> &mut Self {
        let output = self.sender.poll();
        assert!(
            matches!(output, SenderOutput::Oack(_)),
            "{output:?} at {:?}",
            self.elapsed()
        );
        self
    }

    #[track_caller]
    fn expect_nothing(&mut self) -> &mut Self {
        let output = self.sender.poll();
        assert!(
            matches!(output, SenderOutput::Wait(_)),
            "{output:?} at {:?}",
            self.elapsed()
        );
        self
    }

    #[track_caller]
    fn expect_end(&mut self, outcome: &Outcome) {
        assert_eq!(
            self.sender.poll(),
            SenderOutput::Done,
            "at {:?}",
            self.elapsed()
        );
        assert_eq!(self.sender.outcome(), Some(outcome));
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}
