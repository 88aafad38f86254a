//! The receiving side: a client after an RRQ, a server answering a WRQ.

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

/// The state machine that receives a file, with one ACK per window.
///
/// It copies no bytes: [`handle`](Self::handle) returns the part of the datagram to be stored, and
/// its offset in the file.
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
    /// Set when the gap before `expected` has been reported.
    gap_reported: bool,
    phase: Phase,
    opening: Opening,
    /// Set when any block has arrived: the peer exists and received the opening.
    block_seen: bool,
    pending: Option<ReceiverOutput>,
    /// Set while the last acknowledgement was sent once and no block has answered it.
    measuring: bool,
    received: u64,
    resent: u32,
    clock: Clock,
    timer: RetransmitTimer,
    patience: Patience,
    dally: Duration,
}

/// The parameters of a [`Receiver`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReceiverConfig {
    /// The negotiated values.
    pub terms: Terms,
    /// Limits on retransmission.
    pub patience: Patience,
    /// Time to stay after the last acknowledgement, to repeat it if it was lost
    /// ([RFC 1350 §6](https://www.rfc-editor.org/rfc/rfc1350#section-6)); zero to end with it.
    pub dally: Duration,
    /// Seed of the jitter that spreads the retransmissions of different transfers in time.
    pub jitter_seed: u32,
}

impl ReceiverConfig {
    /// Sets [`terms`](Self::terms): the negotiated values.
    #[must_use]
    pub const fn with_terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// Sets [`patience`](Self::patience): limits on retransmission.
    #[must_use]
    pub const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Sets [`dally`](Self::dally): the time to stay after the last acknowledgement.
    #[must_use]
    pub const fn with_dally(mut self, dally: Duration) -> Self {
        self.dally = dally;
        self
    }

    /// Sets [`jitter_seed`](Self::jitter_seed): the seed of the jitter.
    #[must_use]
    pub const fn with_jitter_seed(mut self, jitter_seed: u32) -> Self {
        self.jitter_seed = jitter_seed;
        self
    }
}

impl Default for ReceiverConfig {
    /// Returns the parameters without options and without dallying.
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            patience: Patience::default(),
            dally: Duration::ZERO,
            jitter_seed: 1,
        }
    }
}

/// The first packet of a receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Opening {
    /// None: DATA 1 answered the request and is handed in next.
    AwaitData,
    /// ACK 0, in answer to an OACK.
    Ack,
    /// ACK 0, in answer to a WRQ without options.
    AckRequest,
    /// An OACK, in answer to a WRQ.
    Oack(Options),
}

/// The next action of a [`Receiver`], for its driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReceiverOutput {
    /// Send ACK with this number.
    Ack(u16),
    /// Send an OACK with these options.
    Oack(Options),
    /// Send an ERROR with this code and the text of the RFC.
    Error(ErrorCode),
    /// All blocks are stored. Make the file durable, then call [`Receiver::committed`]; on
    /// failure, hand in [`Input::Abort`].
    Commit,
    /// Nothing until a datagram arrives or this deadline passes.
    Wait(Instant),
    /// Nothing: the transfer has ended, see [`Receiver::outcome`].
    Done,
}

/// A block to be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stored<'a> {
    /// Its offset in the file as received, in bytes.
    pub offset: u64,
    /// Its bytes, a part of the datagram handed in.
    pub payload: &'a [u8],
}

#[derive(Clone, Debug)]
enum Phase {
    Data,
    /// The last block is stored; the file is being made durable.
    Committing,
    /// The last ACK was sent and may have been lost.
    Dallying,
    Ended(Outcome),
}

impl Receiver {
    /// Returns a receiver that opens with `opening`.
    pub fn new(config: ReceiverConfig, opening: Opening, now: Instant) -> Self {
        let ceiling = config.terms.timeout.unwrap_or(DEFAULT_CEILING);
        let mut receiver = Self {
            terms: config.terms,
            expected: 1,
            unacknowledged: 0,
            gap_reported: false,
            phase: Phase::Data,
            opening,
            block_seen: false,
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

    /// Processes an event, and returns the block to be stored if it brought one. Drain
    /// [`poll`](Self::poll) afterwards.
    pub fn handle<'a>(&mut self, input: Input<'a>, now: Instant) -> Option<Stored<'a>> {
        if matches!(self.phase, Phase::Ended(_)) {
            return None;
        }
        match input {
            // Duplicates from the peer postpone the RTO, but not this limit.
            _ if matches!(self.phase, Phase::Data)
                && now >= self.clock.progress_at + self.patience.silence =>
            {
                self.end(Outcome::TimedOut(self.stage()));
            }
            Input::Datagram(bytes) => match Packet::decode(bytes) {
                Ok(Packet::Data(data)) => return self.block(data, now),
                Ok(Packet::Error(error)) => self.refused(&error),
                // ACK 0 was lost: the server repeats the OACK that it answers.
                Ok(Packet::Oack(_)) if self.expected == 1 && self.opening == Opening::Ack => {
                    self.repeat(now);
                }
                _ => {}
            },
            Input::Timer if now >= self.clock.deadline => self.timed_out(now),
            Input::Timer => {}
            // All blocks are stored and acknowledged: ending now loses nothing.
            Input::Unreachable | Input::Abort(_) if matches!(self.phase, Phase::Dallying) => {
                self.complete();
            }
            Input::Unreachable => self.end(Outcome::Unreachable(self.stage())),
            Input::Abort(code) => self.fail(code, Outcome::Aborted(code)),
        }
        None
    }

    /// Reports that the file is durable: sends the last acknowledgement.
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

    /// Returns the next action. Call it until it returns `Wait` or `Done`.
    pub fn poll(&mut self) -> ReceiverOutput {
        match (self.pending.take(), &self.phase) {
            (Some(output), _) => output,
            (None, Phase::Ended(_)) => ReceiverOutput::Done,
            (None, _) => ReceiverOutput::Wait(self.clock.deadline),
        }
    }

    /// Repeats the first reply, for a request that arrives again: the reply may be lost. Does
    /// nothing once a block has arrived.
    pub fn repeat_first_reply(&mut self, now: Instant) {
        if self.is_half_open() {
            self.repeat(now);
        }
    }

    /// Returns true until the peer's first block.
    pub fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::Data) && !self.block_seen
    }

    /// Returns the outcome, once the transfer has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Data | Phase::Committing | Phase::Dallying => None,
        }
    }

    /// Returns the time of the last progress (of the beginning, if there was none).
    pub fn progress_at(&self) -> Instant {
        self.clock.progress_at
    }

    /// Returns the bytes stored so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of packets that were sent again.
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

    /// Returns true if `data` repeats a block of the last window other than the last. A sender
    /// without an answer since the options repeats the first block alone.
    fn lacks_the_last_ack(&self, data: Data<'_>, now: Instant) -> bool {
        let window = u64::from(self.terms.windowsize.blocks());
        let first = self.expected.saturating_sub(window).max(1);
        let ahead = self.terms.rollover.ahead(first, data.block);
        let answer_at = self.clock.sent_at + self.timer.round_trip().unwrap_or_default();
        ahead.is_some_and(|ahead| ahead < window) && now > answer_at
    }

    /// Repeats the last acknowledgement and restarts the dally timer, up to `patience.silence` after
    /// the last progress: the peer cannot extend the wait beyond that.
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
        self.block_seen = true;
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

    /// Returns the number on the wire of the last block received in order.
    fn last_in_order(&self) -> u16 {
        self.terms.rollover.to_wire(self.expected - 1)
    }

    /// Returns true if a copy of the last block means that its acknowledgement was lost.
    ///
    /// It does not in the middle of a window, nor sooner than a round trip after the ACK: such a
    /// copy was made by the network, or belongs to a window that was sent twice. An ACK for it
    /// would bring one more window, the copies in that one the next, and so on to the end of the
    /// file: the Sorcerer's Apprentice of RFC 1123 §4.2.3.1, with windows.
    fn asks_again(&self, now: Instant) -> bool {
        let answer_at = self.clock.sent_at + self.timer.round_trip().unwrap_or_default();
        self.expected > 1 && self.unacknowledged == 0 && now >= answer_at
    }

    /// Reports the first gap of a window with one ACK (RFC 7440 §4); the report is repeated only by
    /// the timer.
    fn out_of_order(&mut self, now: Instant) {
        self.block_seen = true;
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
            // The commit is in progress; the peer's time-out does not count.
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

    /// Returns true if the peer's address may be forged: after a WRQ, until its first block.
    fn unproven(&self) -> bool {
        let to_request = matches!(self.opening, Opening::AckRequest | Opening::Oack(_));
        self.is_half_open() && to_request
    }

    fn repeat(&mut self, now: Instant) {
        self.resent += 1;
        self.measuring = false;
        self.reply(now);
    }

    /// Sends the opening, or an ACK of the last block received in order.
    fn reply(&mut self, now: Instant) {
        self.pending = Some(match self.opening {
            Opening::Oack(options) if !self.block_seen => ReceiverOutput::Oack(options),
            _ => ReceiverOutput::Ack(self.last_in_order()),
        });
        self.unacknowledged = 0;
        let wait = self.timer.wait();
        self.clock.sent(now, wait);
    }

    /// Restarts the timer without sending a packet.
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
