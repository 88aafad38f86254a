//! Packet traces: what arrives when, what is stored, and what goes out in answer.

use super::*;
use crate::proto::{Blksize, Rollover, Windowsize};

struct Trace {
    receiver: Receiver,
    start: Instant,
    now: Instant,
    file: Vec<u8>,
}

#[test]
fn blocks_are_stored_and_acknowledged_one_by_one() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 512))
        .expect(ack(1))
        .recv(data(2, 100))
        .expect(ReceiverOutput::Commit);
    t.commit()
        .expect(ack(2))
        .expect_end(&Outcome::Completed { last_ack: true });
    assert_eq!(t.file.len(), 612);
}

#[test]
fn an_exact_multiple_ends_with_an_empty_block() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 512))
        .expect(ack(1))
        .recv(data(2, 0))
        .expect(ReceiverOutput::Commit);
    assert_eq!(t.file.len(), 512);
}

#[test]
fn the_last_ack_waits_until_the_file_is_safe() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 5)).expect(ReceiverOutput::Commit);
    t.recv(data(1, 5)).expect_nothing().wait().expect_nothing();
    t.commit().expect(ack(1));
    assert_eq!(t.file.len(), 5, "the repeated block was stored once");
}

#[test]
fn a_file_that_cannot_be_kept_is_refused_instead_of_acknowledged() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 5)).expect(ReceiverOutput::Commit);
    t.receiver.handle(Input::Abort(ErrorCode::DiskFull), t.now);
    t.expect(ReceiverOutput::Error(ErrorCode::DiskFull));
    t.expect_end(&Outcome::Aborted(ErrorCode::DiskFull));
}

#[test]
fn a_window_is_acknowledged_as_one_and_its_last_block_at_once() {
    let mut t = client(4, Opening::Ack);
    t.expect(ack(0));
    t.recv(data(1, 512))
        .expect_nothing()
        .recv(data(2, 512))
        .expect_nothing()
        .recv(data(3, 512))
        .expect_nothing();
    t.recv(data(4, 512))
        .expect(ack(4))
        .recv(data(5, 512))
        .expect_nothing();
    t.recv(data(6, 511))
        .expect(ReceiverOutput::Commit)
        .commit()
        .expect(ack(6));
}

#[test]
fn a_gap_is_reported_once() {
    let mut t = client(4, Opening::Ack);
    t.expect(ack(0))
        .recv(data(1, 512))
        .recv(data(3, 512))
        .expect(ack(1))
        .recv(data(4, 512))
        .expect_nothing();
    t.recv(data(2, 512))
        .expect_nothing()
        .recv(data(3, 512))
        .recv(data(4, 512))
        .recv(data(5, 512))
        .expect(ack(5));
    assert_eq!(t.file.len(), 5 * 512);
}

#[test]
fn a_first_window_without_its_first_block_shows_that_the_oack_has_arrived() {
    let options = Options {
        windowsize: Windowsize::new(4),
        ..Options::default()
    };
    let mut t = client(4, Opening::Oack(options));
    t.expect(ReceiverOutput::Oack(options))
        .recv(data(2, 512))
        .expect(ack(0));
    // Nor does the peer look forged any more: three first replies were all that it would get.
    for _ in 0..5 {
        t.wait().expect(ack(0));
    }
    t.recv(data(1, 512)).recv(data(2, 5));
    t.expect(ReceiverOutput::Commit).commit().expect(ack(2));
}

#[test]
fn a_window_that_comes_again_is_acknowledged_by_its_last_block() {
    let mut t = client(4, Opening::Ack);
    t.expect(ack(0));
    for block in 1..=4 {
        t.recv(data(block, 512));
    }
    t.expect(ack(4));
    t.at(30)
        .recv(data(1, 512))
        .expect_nothing()
        .recv(data(2, 512))
        .expect_nothing()
        .recv(data(3, 512))
        .expect_nothing();
    t.recv(data(4, 512)).expect(ack(4));
    assert_eq!(t.file.len(), 4 * 512);
}

#[test]
fn a_copy_of_a_block_within_a_window_is_not_acknowledged() {
    let mut t = client(4, Opening::Ack);
    t.expect(ack(0)).recv(data(1, 512)).recv(data(2, 512));
    t.recv(data(2, 512)).expect_nothing();
    t.recv(data(3, 512)).recv(data(4, 512)).expect(ack(4));
}

#[test]
fn a_copy_of_the_last_block_asks_nothing_before_an_answer_can_be_here() {
    let mut t = client(1, Opening::Ack);
    t.expect(ack(0)).at(10).recv(data(1, 512)).expect(ack(1));
    t.at(19).recv(data(1, 512)).expect_nothing();
    t.at(20).recv(data(1, 512)).expect(ack(1));
}

#[test]
fn a_repeated_oack_brings_ack_0_again_until_data_has_come() {
    let mut t = client(1, Opening::Ack);
    t.expect(ack(0))
        .recv(b"\x00\x06tsize\x009\x00")
        .expect(ack(0));
    t.recv(data(1, 512))
        .expect(ack(1))
        .recv(b"\x00\x06tsize\x009\x00")
        .expect_nothing();
}

#[test]
fn silence_repeats_the_last_ack_for_half_a_minute_at_least() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 512)).expect(ack(1));
    while t.wait().receiver.outcome().is_none() {
        t.expect(ack(1));
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(t.now - t.start >= Duration::from_secs(30));
}

#[test]
fn a_forged_write_request_costs_three_packets() {
    let options = Options {
        tsize: Some(9),
        ..Options::default()
    };
    let mut t = client(1, Opening::Oack(options));
    t.expect(ReceiverOutput::Oack(options))
        .wait()
        .expect(ReceiverOutput::Oack(options));
    t.wait().expect(ReceiverOutput::Oack(options)).wait();
    t.expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn a_forged_write_request_without_options_costs_no_more() {
    let mut t = client(1, Opening::AckRequest);
    t.expect(ack(0)).wait().expect(ack(0));
    t.wait().expect(ack(0)).wait();
    t.expect_end(&Outcome::TimedOut(Stage::FirstReply));
}

#[test]
fn while_it_dallies_a_repeated_last_block_is_acknowledged_again() {
    let config = ReceiverConfig {
        dally: Duration::from_secs(2),
        ..ReceiverConfig::default()
    };
    let mut t = Trace::new(config, Opening::Ack);
    t.expect(ack(0))
        .recv(data(1, 3))
        .expect(ReceiverOutput::Commit)
        .commit()
        .expect(ack(1));
    t.recv(data(1, 3)).expect(ack(1)).expect_nothing();
    t.wait().expect_end(&Outcome::Completed { last_ack: true });
    assert_eq!(t.file.len(), 3);
}

#[test]
fn it_dallies_anew_after_each_repeated_last_block_but_not_for_ever() {
    let config = ReceiverConfig {
        dally: Duration::from_secs(3),
        ..ReceiverConfig::default()
    };
    let mut t = Trace::new(config, Opening::Ack);
    t.expect(ack(0)).recv(data(1, 3)).commit().expect(ack(1));
    for second in (2..=38).step_by(2) {
        t.at(second * 1000).recv(data(1, 3)).expect(ack(1));
    }
    t.at(39_999).recv(data(1, 3)).expect(ack(1));
    t.at(40_000)
        .wait()
        .expect_end(&Outcome::Completed { last_ack: true });
}

#[test]
fn while_it_dallies_one_block_of_the_last_window_is_enough_and_a_whole_one_brings_two_acks() {
    let config = ReceiverConfig {
        terms: Terms {
            windowsize: Windowsize::new(4).expect("not empty"),
            ..Terms::default()
        },
        dally: Duration::from_secs(3),
        ..ReceiverConfig::default()
    };
    let mut t = Trace::new(config, Opening::Ack);
    t.expect(ack(0)).at(10);
    for block in 1..=5 {
        t.recv(data(block, 512));
    }
    t.recv(data(6, 3)).commit().expect(ack(6));
    t.at(1000).recv(data(5, 512)).expect(ack(6));
    t.at(2000).recv(data(5, 512)).expect(ack(6));
    t.recv(data(6, 3)).expect(ack(6));
    // An earlier window was acknowledged, or there would be no later one.
    t.at(3000).recv(data(2, 512)).expect_nothing();
}

#[test]
fn a_block_larger_than_agreed_ends_the_transfer() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 513))
        .expect(ReceiverOutput::Error(ErrorCode::IllegalOperation));
    t.expect_end(&Outcome::Violation("a block is larger than agreed"));
    assert_eq!(t.file, b"");
}

#[test]
fn a_peer_that_only_repeats_itself_is_not_borne_for_ever() {
    let mut t = client(1, Opening::AwaitData);
    t.recv(data(1, 512)).expect(ack(1));
    while t.receiver.outcome().is_none() {
        t.now += Duration::from_millis(500);
        t.recv(data(1, 512));
        let _ = t.receiver.poll();
    }
    t.expect_end(&Outcome::TimedOut(Stage::Data));
    assert!(t.now - t.start < Duration::from_secs(42));
}

#[test]
fn blocks_from_nowhere_are_ignored() {
    let mut t = client(4, Opening::Ack);
    t.expect(ack(0));
    for strange in [0, 5, 30_000, 65_535] {
        t.recv(data(strange, 512)).expect_nothing();
    }
    assert_eq!(t.file, b"");
}

#[test]
fn block_numbers_go_on_with_0_after_65535() {
    let mut t = client(1, Opening::AwaitData);
    for block in 1..=65_540_u64 {
        t.recv(data(Rollover::Zero.to_wire(block), 512))
            .expect(ack(Rollover::Zero.to_wire(block)));
    }
    assert_eq!(t.file.len(), 65_540 * 512);
}

fn client(window: u16, opening: Opening) -> Trace {
    let windowsize = Windowsize::new(window).expect("not empty");
    let terms = Terms {
        blksize: Blksize::DEFAULT,
        windowsize,
        timeout: None,
        rollover: Rollover::Zero,
    };
    Trace::new(
        ReceiverConfig {
            terms,
            ..ReceiverConfig::default()
        },
        opening,
    )
}

fn data(block: u16, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    Data {
        block,
        payload: &vec![7; len],
    }
    .encode(&mut bytes);
    bytes
}

fn ack(block: u16) -> ReceiverOutput {
    ReceiverOutput::Ack(block)
}

impl Trace {
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    fn new(config: ReceiverConfig, opening: Opening) -> Self {
        let start = Instant::now();
        Self {
            receiver: Receiver::new(config, opening, start),
            start,
            now: start,
            file: Vec::new(),
        }
    }

    /// Moves to `ms` after the beginning.
    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self
    }

    fn recv(&mut self, datagram: impl AsRef<[u8]>) -> &mut Self {
        if let Some(stored) = self
            .receiver
            .handle(Input::Datagram(datagram.as_ref()), self.now)
        {
            assert_eq!(stored.offset, self.file.len() as u64, "a hole in the file");
            self.file.extend_from_slice(stored.payload);
        }
        self
    }

    fn commit(&mut self) -> &mut Self {
        self.receiver.committed(self.now);
        self
    }

    #[track_caller]
    fn wait(&mut self) -> &mut Self {
        match self.receiver.poll() {
            ReceiverOutput::Wait(at) => self.now = at,
            other => panic!("{other:?} instead of a wait"),
        }
        self.receiver.handle(Input::Timer, self.now);
        self
    }

    #[track_caller]
    fn expect(&mut self, output: ReceiverOutput) -> &mut Self {
        assert_eq!(self.receiver.poll(), output);
        self
    }

    #[track_caller]
    fn expect_nothing(&mut self) -> &mut Self {
        let output = self.receiver.poll();
        assert!(matches!(output, ReceiverOutput::Wait(_)), "{output:?}");
        self
    }

    #[track_caller]
    fn expect_end(&mut self, outcome: &Outcome) {
        assert_eq!(self.receiver.poll(), ReceiverOutput::Done);
        assert_eq!(self.receiver.outcome(), Some(outcome));
    }
}
