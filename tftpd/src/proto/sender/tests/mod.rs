//! Packet traces: what arrives when, and what goes out in answer.

use super::*;
use crate::proto::{Blksize, Rollover, Windowsize};

const BLKSIZE: u16 = 512;

mod windows;

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
fn an_error_in_mid_transfer_ends_it_and_gets_no_answer() {
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
fn an_abort_sends_one_error() {
    let mut t = plain(5000);
    t.expect(blocks(1, 1));
    t.sender.handle(Input::Abort(ErrorCode::NotDefined), t.now);
    t.expect(SenderOutput::Error(ErrorCode::NotDefined));
    t.expect_end(&Outcome::Aborted(ErrorCode::NotDefined));
}

#[test]
fn a_file_of_unknown_size_ends_at_the_block_set() {
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
