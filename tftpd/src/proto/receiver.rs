//! The side that wants the file: a client after RRQ, a server answering WRQ.

use std::time::{Duration, Instant};

use super::{
    data::Data,
    error::{Error, ErrorCode},
    negotiate::Terms,
    option::Options,
    outcome::{Clock, DEFAULT_CEILING, Input, Outcome, Patience, Stage},
    packet::Packet,
    retransmit::RetransmitTimer,
};

/// Receives a file block by block, acknowledging window by window.
///
/// The bytes stay where they are: [`handle`](Self::handle) answers with the part of the datagram
/// that is to be stored, and where.
///
/// ```
/// use std::time::Instant;
/// use tftpd::proto::{Input, Opening, Receiver, ReceiverConfig, ReceiverOutput};
///
/// let now = Instant::now();
/// let mut receiver = Receiver::new(ReceiverConfig::default(), Opening::AwaitData, now);
/// let stored = receiver.handle(Input::Datagram(b"\x00\x03\x00\x01hello"), now); // DATA 1, the last
/// assert_eq!(stored.map(|stored| (stored.offset, stored.payload)), Some((0, &b"hello"[..])));
/// assert_eq!(receiver.poll(), ReceiverOutput::Commit);
/// receiver.committed(now); // the file is safe: now the last ACK may go out
/// assert_eq!(receiver.poll(), ReceiverOutput::Ack(1));
/// ```
#[derive(Debug)]
pub struct Receiver {
    terms: Terms,
    /// The next block in order; the first is 1.
    expected: u64,
    /// Blocks stored since the last acknowledgement.
    unacknowledged: u16,
    /// Whether the gap before `expected` was reported already.
    gap_reported: bool,
    phase: Phase,
    opening: Opening,
    /// Whether a block has come, be it not the first: the peer exists, and has had the opening.
    heard: bool,
    pending: Option<ReceiverOutput>,
    /// Whether the last acknowledgement went out once and no block answered it yet.
    measuring: bool,
    received: u64,
    resent: u32,
    clock: Clock,
    timer: RetransmitTimer,
    patience: Patience,
    dally: Duration,
}

/// What a receiver is made from.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverConfig {
    /// What was agreed.
    pub terms: Terms,
    /// How long silence is borne.
    pub patience: Patience,
    /// How long to stay after the last acknowledgement, to repeat it if it was lost
    /// ([RFC 1350 §6](https://www.rfc-editor.org/rfc/rfc1350#section-6)). Zero: not at all.
    pub dally: Duration,
    /// Spreads resends of different transfers in time.
    pub jitter_seed: u32,
}

impl Default for ReceiverConfig {
    /// No options, no dallying.
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            patience: Patience::default(),
            dally: Duration::ZERO,
            jitter_seed: 1,
        }
    }
}

/// What a receiver says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// Nothing: DATA 1 is about to be handed in, it answered the request.
    AwaitData,
    /// ACK 0, to an OACK.
    Ack,
    /// ACK 0, to a WRQ without options.
    AckRequest,
    /// An OACK, to a WRQ.
    Oack(Options),
}

/// What a receiver wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReceiverOutput {
    /// Send ACK with this number.
    Ack(u16),
    /// Send an OACK with these options.
    Oack(Options),
    /// Send an ERROR with this code and the text of the RFC.
    Error(ErrorCode),
    /// Everything is there. Make it last, then call [`Receiver::committed`]; or hand in
    /// [`Input::Abort`].
    Commit,
    /// Nothing until a datagram comes or this time does.
    Wait(Instant),
    /// The transfer is over: see [`Receiver::outcome`].
    Done,
}

/// A block to be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stored<'a> {
    /// Where it belongs, in bytes from the beginning.
    pub offset: u64,
    /// The bytes, a part of the datagram handed in.
    pub payload: &'a [u8],
}

#[derive(Clone, Debug)]
enum Phase {
    Data,
    /// The last block is stored; the file is being made to last.
    Committing,
    /// The last ACK is out and may have been lost.
    Dallying,
    Ended(Outcome),
}

impl Receiver {
    /// A receiver that opens with `opening`.
    pub fn new(config: ReceiverConfig, opening: Opening, now: Instant) -> Self {
        let ceiling = config.terms.timeout.unwrap_or(DEFAULT_CEILING);
        let mut receiver = Self {
            terms: config.terms,
            expected: 1,
            unacknowledged: 0,
            gap_reported: false,
            phase: Phase::Data,
            opening,
            heard: false,
            pending: None,
            measuring: opening == Opening::Ack,
            received: 0,
            resent: 0,
            clock: Clock::new(now),
            timer: RetransmitTimer::new(ceiling, config.jitter_seed),
            patience: config.patience,
            dally: config.dally,
        };
        match opening {
            Opening::AwaitData => receiver.arm(now),
            Opening::Ack | Opening::AckRequest | Opening::Oack(_) => receiver.reply(now),
        }
        receiver
    }

    /// Takes in what happened, and answers with a block to be stored, if it brought one. Drain
    /// [`poll`](Self::poll) afterwards.
    pub fn handle<'a>(&mut self, input: Input<'a>, now: Instant) -> Option<Stored<'a>> {
        if matches!(self.phase, Phase::Ended(_)) {
            return None;
        }
        match input {
            // A peer that only repeats itself puts its time-outs off, but not this.
            _ if matches!(self.phase, Phase::Data)
                && now >= self.clock.progress_at + self.patience.silence =>
            {
                self.end(Outcome::TimedOut(self.stage()));
            }
            Input::Datagram(bytes) => match Packet::decode(bytes) {
                Ok(Packet::Data(data)) => return self.block(data, now),
                Ok(Packet::Error(error)) => self.refused(&error),
                // ACK 0 was lost: the OACK that it answers comes again.
                Ok(Packet::Oack(_)) if self.expected == 1 && self.opening == Opening::Ack => {
                    self.repeat(now);
                }
                _ => {}
            },
            Input::Timer if now >= self.clock.deadline => self.timed_out(now),
            Input::Timer => {}
            // Everything is there and was acknowledged: nothing is lost by leaving.
            Input::Unreachable | Input::Abort(_) if matches!(self.phase, Phase::Dallying) => {
                self.complete();
            }
            Input::Unreachable => self.end(Outcome::Unreachable(self.stage())),
            Input::Abort(code) => self.fail(code, Outcome::Aborted(code)),
        }
        None
    }

    /// The file is safe: the last acknowledgement may go out.
    pub fn committed(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Committing) {
            return;
        }
        self.pending = Some(ReceiverOutput::Ack(self.last_in_order()));
        if self.dally.is_zero() {
            self.complete();
        } else {
            self.phase = Phase::Dallying;
            self.clock.sent_at = now;
            self.clock.deadline = now + self.dally;
        }
    }

    /// The next thing to do. Call it until it answers `Wait` or `Done`.
    pub fn poll(&mut self) -> ReceiverOutput {
        match (self.pending.take(), &self.phase) {
            (Some(output), _) => output,
            (None, Phase::Ended(_)) => ReceiverOutput::Done,
            (None, _) => ReceiverOutput::Wait(self.clock.deadline),
        }
    }

    /// The same request came again while no block has arrived: the first reply may be lost, so it
    /// goes out again. Later than that it does nothing.
    pub fn repeat_first_reply(&mut self, now: Instant) {
        if self.is_half_open() {
            self.repeat(now);
        }
    }

    /// Whether the peer has not yet sent a block.
    pub fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::Data) && !self.heard
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Data | Phase::Committing | Phase::Dallying => None,
        }
    }

    /// When the peer last moved the transfer on (its beginning, if it never did).
    pub fn progress_at(&self) -> Instant {
        self.clock.progress_at
    }

    /// Bytes stored so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that went out more than once.
    pub fn resent(&self) -> u32 {
        self.resent
    }

    fn block<'a>(&mut self, data: Data<'a>, now: Instant) -> Option<Stored<'a>> {
        let ahead = self.terms.rollover.ahead(self.expected, data.block);
        let is_copy = data.block == self.last_in_order();
        let window = u64::from(self.terms.windowsize.blocks());
        match self.phase {
            Phase::Data if ahead == Some(0) => return self.in_order(data, now),
            Phase::Data if is_copy && self.asks_again(now) => self.repeat(now),
            Phase::Data if ahead.is_some_and(|ahead| ahead < window) => self.out_of_order(now),
            Phase::Dallying if is_copy || self.lacks_the_last_ack(data, now) => self.dally_on(now),
            _ => {}
        }
        None
    }

    /// Whether a block of the last window comes again that is not the last. A sender that has heard
    /// nothing since the options repeats the first block alone.
    fn lacks_the_last_ack(&self, data: Data<'_>, now: Instant) -> bool {
        let window = u64::from(self.terms.windowsize.blocks());
        let first = self.expected.saturating_sub(window).max(1);
        let ahead = self.terms.rollover.ahead(first, data.block);
        let answer_at = self.clock.sent_at + self.timer.round_trip().unwrap_or_default();
        ahead.is_some_and(|ahead| ahead < window) && now > answer_at
    }

    /// The last acknowledgement was lost, and this one may be: the wait begins anew, but no peer
    /// draws it out for longer than silence is borne.
    fn dally_on(&mut self, now: Instant) {
        self.resent += 1;
        self.pending = Some(ReceiverOutput::Ack(self.last_in_order()));
        self.clock.sent_at = now;
        let end = self.clock.progress_at + self.patience.silence;
        self.clock.deadline = self.clock.deadline.max(end.min(now + self.dally));
    }

    fn in_order<'a>(&mut self, data: Data<'a>, now: Instant) -> Option<Stored<'a>> {
        let blksize = usize::from(self.terms.blksize.bytes());
        if data.payload.len() > blksize {
            self.fail(
                ErrorCode::IllegalOperation,
                Outcome::Violation("a block is larger than agreed"),
            );
            return None;
        }
        if self.measuring {
            self.timer.sample(now - self.clock.sent_at);
            self.measuring = false;
        }
        let stored = Stored {
            offset: self.received,
            payload: data.payload,
        };
        self.received += data.payload.len() as u64;
        self.expected += 1;
        self.unacknowledged += 1;
        self.gap_reported = false;
        self.heard = true;
        self.clock.progressed(now);
        if data.payload.len() < blksize {
            self.phase = Phase::Committing;
            self.pending = Some(ReceiverOutput::Commit);
        } else if self.unacknowledged >= self.terms.windowsize.blocks() {
            self.measuring = true;
            self.reply(now);
        } else {
            self.arm(now);
        }
        Some(stored)
    }

    /// The number on the wire of the last block that has come in order.
    fn last_in_order(&self) -> u16 {
        self.terms.rollover.to_wire(self.expected - 1)
    }

    /// Whether a copy of the last block means that its acknowledgement was lost.
    ///
    /// It does not while a window is under way, nor before an answer can be here: such a copy was
    /// made by the network, or belongs to a window that was sent twice. To acknowledge it would
    /// bring one more window, the copies in that one the next, and so on to the end of the file:
    /// what RFC 1123 §4.2.3.1 is about, with windows.
    fn asks_again(&self, now: Instant) -> bool {
        let answer_at = self.clock.sent_at + self.timer.round_trip().unwrap_or_default();
        self.expected > 1 && self.unacknowledged == 0 && now >= answer_at
    }

    /// A block of this window is missing: that is said once (RFC 7440 §4), and again only if the
    /// sender falls silent.
    fn out_of_order(&mut self, now: Instant) {
        self.heard = true;
        if !self.gap_reported {
            self.gap_reported = true;
            self.measuring = false;
            self.reply(now);
        }
    }

    fn refused(&mut self, error: &Error<'_>) {
        match self.phase {
            Phase::Dallying => self.complete(),
            _ => self.end(Outcome::peer_error(error)),
        }
    }

    fn timed_out(&mut self, now: Instant) {
        match self.phase {
            Phase::Dallying => self.complete(),
            // The disk decides, not the peer.
            Phase::Committing => self.arm(now),
            _ if self.unproven() && self.clock.sends >= self.patience.first_reply => {
                self.end(Outcome::TimedOut(Stage::FirstReply));
            }
            _ => {
                self.timer.back_off();
                self.repeat(now);
            }
        }
    }

    /// Whether the peer may be a forged address: only a server that was sent a WRQ cannot know.
    fn unproven(&self) -> bool {
        let to_request = matches!(self.opening, Opening::AckRequest | Opening::Oack(_));
        self.is_half_open() && to_request
    }

    fn repeat(&mut self, now: Instant) {
        self.resent += 1;
        self.measuring = false;
        self.reply(now);
    }

    /// Says how far it has come: the opening, or the last block that is in order.
    fn reply(&mut self, now: Instant) {
        self.pending = Some(match self.opening {
            Opening::Oack(options) if !self.heard => ReceiverOutput::Oack(options),
            _ => ReceiverOutput::Ack(self.last_in_order()),
        });
        self.unacknowledged = 0;
        let wait = self.timer.wait();
        self.clock.sent(now, wait);
    }

    /// Waits for the next block without having said anything.
    fn arm(&mut self, now: Instant) {
        self.clock.deadline = now + self.timer.wait();
    }

    fn stage(&self) -> Stage {
        if self.is_half_open() {
            Stage::FirstReply
        } else {
            Stage::Data
        }
    }

    fn complete(&mut self) {
        self.phase = Phase::Ended(Outcome::Completed { last_ack: true });
    }

    fn fail(&mut self, code: ErrorCode, outcome: Outcome) {
        self.end(outcome);
        self.pending = Some(ReceiverOutput::Error(code));
    }

    fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Ended(outcome);
        self.pending = None;
    }
}

#[cfg(test)]
mod tests;
