//! The sending side: a server answering an RRQ, a client after a WRQ.

use std::time::{Duration, Instant};

use super::{
    block,
    data::Ack,
    error::{Error, ErrorCode},
    negotiate::Terms,
    option::{Options, Windowsize},
    outcome::{Clock, DEFAULT_CEILING, Input, Outcome, Patience, Stage},
    packet::Packet,
    retransmit::RetransmitTimer,
};

/// The state machine that sends a file, window by window.
///
/// It holds block numbers, never bytes: [`poll`](Self::poll) names the blocks to be sent, and the
/// driver reads them from the file and sends them.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tftpd::proto::{Input, Sender, SenderOutput, SenderConfig};
///
/// let now = Instant::now();
/// let mut sender = Sender::new(SenderConfig::new(600), None, now); // two blocks, no options
/// assert_eq!(sender.poll(), SenderOutput::Blocks { first: 1, count: 1 });
/// sender.handle(Input::Datagram(&[0, 4, 0, 1]), now + Duration::from_millis(3)); // ACK 1
/// assert_eq!(sender.poll(), SenderOutput::Blocks { first: 2, count: 1 });
/// ```
#[derive(Debug)]
pub struct Sender {
    /// The first block that is not acknowledged; the first block of all is 1.
    base: u64,
    /// One past the last block ever sent.
    sent_end: u64,
    /// One past the last block of the latest window that had been sent before; 0 if all was new.
    again_end: u64,
    /// Set when an ACK inside the latest window was treated as an echo; if the timer then fires, it
    /// was a gap report.
    extended: bool,
    /// The last block, short or empty; `UNKNOWN` until it has been read.
    last: u64,
    terms: Terms,
    phase: Phase,
    pending: Option<SenderOutput>,
    /// Set while the outstanding packets were sent once since the last progress, so that their
    /// answer measures the RTT. Blocks sent again after a gap count as sent once: the ACK reported
    /// the first of them as missing, so the next ACK refers to these transmissions.
    clean: bool,
    trust: Trust,
    resent: u32,
    clock: Clock,
    timer: RetransmitTimer,
    patience: Patience,
}

/// The parameters of a [`Sender`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SenderConfig {
    /// Bytes to be sent, if known beforehand; otherwise [`Sender::ends_with`] sets the last block.
    pub size: Option<u64>,
    /// The negotiated values.
    pub terms: Terms,
    /// Limits on retransmission.
    pub patience: Patience,
    /// Seed of the jitter that spreads the retransmissions of different transfers in time.
    pub jitter_seed: u32,
}

impl SenderConfig {
    /// Returns the parameters for a file of `size` bytes and a request without options.
    pub fn new(size: impl Into<Option<u64>>) -> Self {
        Self {
            size: size.into(),
            terms: Terms::default(),
            patience: Patience::default(),
            jitter_seed: 1,
        }
    }

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

    /// Sets [`jitter_seed`](Self::jitter_seed): the seed of the jitter.
    #[must_use]
    pub const fn with_jitter_seed(mut self, jitter_seed: u32) -> Self {
        self.jitter_seed = jitter_seed;
        self
    }
}

/// The next action of a [`Sender`], for its driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderOutput {
    /// Send an OACK with these options.
    Oack(Options),
    /// Send `count` DATA packets from block `first` on; block `n` starts at byte
    /// `(n - 1) * blksize`.
    Blocks {
        /// The number of the first block, 1 or more.
        first: u64,
        /// The number of blocks, 1 or more. All exist, unless the size is unknown.
        count: u16,
    },
    /// Send an ERROR with this code and the text of the RFC.
    Error(ErrorCode),
    /// Wait for a datagram or for this deadline.
    Wait(Instant),
    /// End the transfer; [`Sender::outcome`] has the reason.
    Done,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The OACK was sent; ACK 0 is awaited.
    Oack(Options),
    Data,
    Ended(Outcome),
}

/// The proof of the peer's address, from its acknowledgements.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trust {
    /// No proof: the address may be forged.
    None,
    /// The peer acknowledged the options, which one forged datagram can do.
    Options,
    /// The peer acknowledged a block, so it receives the packets sent to it.
    Blocks,
}

impl Sender {
    /// Returns a sender whose first packet is the OACK with `oack`, or DATA 1 without one.
    pub fn new(config: SenderConfig, oack: Option<Options>, now: Instant) -> Self {
        let mut sender = Self::idle(config, now);
        sender.phase = oack.map_or(Phase::Data, Phase::Oack);
        sender.send(now);
        sender
    }

    /// Returns a client's sender, which begins with DATA 1: the answer to the WRQ has proved the
    /// peer's address. `round_trip` is the time that the answer took, if the WRQ was sent once.
    /// That time is a sample for the RTO but not for the shortest RTT: a server opens the file
    /// before it answers.
    pub fn answered(config: SenderConfig, round_trip: Option<Duration>, now: Instant) -> Self {
        let mut sender = Self::idle(config, now);
        sender.trust = Trust::Options;
        if let Some(round_trip) = round_trip {
            sender.timer.sample(round_trip);
        }
        sender.send(now);
        sender
    }

    /// Returns a sender that has sent nothing.
    fn idle(config: SenderConfig, now: Instant) -> Self {
        let terms = config.terms;
        let ceiling = terms.timeout.unwrap_or(DEFAULT_CEILING);
        Self {
            base: 1,
            sent_end: 1,
            again_end: 0,
            extended: false,
            last: config
                .size
                .map_or(UNKNOWN, |size| block::count(size, terms.blksize.bytes())),
            terms,
            phase: Phase::Data,
            pending: None,
            clean: true,
            trust: Trust::None,
            resent: 0,
            clock: Clock::new(now),
            timer: RetransmitTimer::new(ceiling, config.jitter_seed),
            patience: config.patience,
        }
    }

    /// Processes an event. Drain [`poll`](Self::poll) afterwards.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        match input {
            // Duplicates from the peer postpone the RTO, but not this limit.
            _ if now >= self.clock.progress_at + self.patience.silence => {
                self.end(Outcome::TimedOut(self.stage()));
            }
            Input::Datagram(bytes) => match Packet::decode(bytes) {
                Ok(Packet::Ack(ack)) => self.acknowledged(ack, now),
                Ok(Packet::Error(error)) => self.refused(&error),
                // Requests, blocks and undecodable datagrams are ignored.
                _ => {}
            },
            Input::Timer if now >= self.clock.deadline => self.timed_out(now),
            Input::Timer => {}
            Input::Unreachable if self.only_the_end_is_missing() => {
                self.end(Outcome::Completed { last_ack: false });
            }
            Input::Unreachable => self.end(Outcome::Unreachable(self.stage())),
            Input::Abort(code) => {
                self.end(Outcome::Aborted(code));
                self.pending = Some(SenderOutput::Error(code));
            }
        }
    }

    /// Returns the next action. Call it until it returns `Wait` or `Done`.
    pub fn poll(&mut self) -> SenderOutput {
        match (self.pending.take(), &self.phase) {
            (Some(output), _) => output,
            (None, Phase::Ended(_)) => SenderOutput::Done,
            (None, _) => SenderOutput::Wait(self.clock.deadline),
        }
    }

    /// Repeats the first reply, for a request that arrives again: the reply may be lost. Does
    /// nothing once the peer has acknowledged a packet.
    pub fn repeat_first_reply(&mut self) {
        if self.is_half_open() {
            self.clean = false;
            self.resent += 1;
            self.pending = Some(match self.phase {
                Phase::Oack(options) => SenderOutput::Oack(options),
                _ => SenderOutput::Blocks { first: 1, count: 1 },
            });
        }
    }

    /// Sets the number of the last block, which is shorter than the others or empty, for a sender
    /// of a file of unknown size. `last` is one of the blocks of the latest
    /// [`Blocks`](SenderOutput::Blocks).
    pub fn ends_with(&mut self, last: u64) {
        self.last = last;
        self.sent_end = self.sent_end.min(last + 1);
    }

    /// Returns true until the peer's first answer.
    pub fn is_half_open(&self) -> bool {
        self.trust == Trust::None && !matches!(self.phase, Phase::Ended(_))
    }

    /// Returns the outcome, once the transfer has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Oack(_) | Phase::Data => None,
        }
    }

    /// Returns the time of the last progress (of the beginning, if there was none).
    pub fn progress_at(&self) -> Instant {
        self.clock.progress_at
    }

    /// Returns the negotiated values.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Returns the number of acknowledged blocks.
    pub fn acknowledged_blocks(&self) -> u64 {
        self.base - 1
    }

    /// Returns the number of packets that were sent again.
    pub fn resent(&self) -> u32 {
        self.resent
    }

    fn acknowledged(&mut self, ack: Ack, now: Instant) {
        if let Phase::Oack(_) = self.phase {
            if ack.block == 0 {
                self.phase = Phase::Data;
                self.progress(now);
                self.send(now);
            }
            return;
        }
        let Some(ahead) = self.terms.rollover.ahead(self.base - 1, ack.block) else {
            return;
        };
        let number = self.base - 1 + ahead;
        if number >= self.sent_end {
            // Older than the last ACK, or beyond the last block sent.
            return;
        }
        if number < self.base {
            self.acknowledged_again(now);
            return;
        }
        self.trust = Trust::Blocks;
        let too_soon = now < self.clock.sent_at + self.timer.soonest().unwrap_or_default();
        self.base = number + 1;
        self.progress(now);
        if number == self.last {
            self.end(Outcome::Completed { last_ack: true });
        } else if self.base < self.sent_end && (too_soon || self.base == self.again_end) {
            self.extend(now);
        } else {
            // RFC 7440 §4: also after a gap, a full window from the missing block on.
            self.send(now);
        }
    }

    /// Handles a duplicate of the last ACK.
    ///
    /// With windows of one block a duplicate ACK is ignored: answering it would double every packet
    /// from then on (RFC 1123 §4.2.3.1). With larger windows it reports that the first block of a
    /// window is missing, and some receivers report that for each later block of the window; one
    /// retransmission per RTT answers all of them. An ACK that arrives sooner than the shortest RTT
    /// cannot refer to this window.
    fn acknowledged_again(&mut self, now: Instant) {
        let round_trip = self.timer.round_trip().unwrap_or(UNKNOWN_ROUND_TRIP);
        let quiet = if self.clock.sends > 1 {
            round_trip
        } else {
            self.timer.soonest().unwrap_or(round_trip)
        };
        if self.terms.windowsize > Windowsize::ONE && now >= self.clock.sent_at + quiet {
            self.send(now);
        }
    }

    fn refused(&mut self, error: &Error<'_>) {
        let probed = matches!(self.phase, Phase::Oack(_))
            && matches!(
                error.code,
                ErrorCode::OptionNegotiation | ErrorCode::NotDefined
            );
        self.end(if probed {
            Outcome::Probed
        } else {
            Outcome::peer_error(error)
        });
    }

    fn timed_out(&mut self, now: Instant) {
        let sends = self.clock.sends;
        if self.is_half_open() && sends >= self.patience.first_reply {
            self.end(Outcome::TimedOut(Stage::FirstReply));
        } else if self.only_the_end_is_missing() && sends >= self.patience.last_block {
            self.end(Outcome::Completed { last_ack: false });
        } else {
            self.timer.back_off();
            if self.extended {
                self.timer.forget_shortest();
            }
            self.send(now);
        }
    }

    /// Sends the OACK, or the window that starts at the first unacknowledged block.
    fn send(&mut self, now: Instant) {
        let repeated = self.clock.sends > 0;
        if let Phase::Oack(options) = self.phase {
            self.pending = Some(SenderOutput::Oack(options));
            self.resent += u32::from(repeated);
        } else {
            let count = self.window_from_base();
            self.pending = Some(SenderOutput::Blocks {
                first: self.base,
                count,
            });
            let end = self.base + u64::from(count);
            let again = self.sent_end.min(end) - self.base;
            self.resent += u32::try_from(again).unwrap_or(u32::MAX);
            self.again_end = if again > 0 { self.sent_end } else { 0 };
            self.sent_end = self.sent_end.max(end);
            self.extended = false;
        }
        self.clean &= !repeated;
        let wait = self.timer.wait();
        self.clock.sent(now, wait);
    }

    /// Fills the window with blocks that were never sent, after an ACK that reports no gap although
    /// blocks beyond it are in flight.
    ///
    /// Such an ACK arrives too soon to refer to the latest window, or names the last block that was
    /// sent twice. Some receivers answer each copy with the number of the last block in order; a
    /// full window for each of these ACKs would consist of copies itself, to the end of the file.
    fn extend(&mut self, now: Instant) {
        let first = self.sent_end;
        self.sent_end = first.max(self.base + u64::from(self.window_from_base()));
        if let Ok(count) = u16::try_from(self.sent_end - first)
            && count > 0
        {
            self.pending = Some(SenderOutput::Blocks { first, count });
        }
        self.extended = true;
        self.clean = false;
        self.clock.sends = 1;
        self.clock.deadline = now + self.timer.wait();
    }

    /// Returns the number of blocks to send next: a window, or the rest of the file. A peer that
    /// never acknowledged a block is sent a window twice and then one block at a time, so that a
    /// forged ACK 0 does not cause a flood.
    fn window_from_base(&self) -> u16 {
        let left = u16::try_from(self.last - (self.base - 1)).unwrap_or(u16::MAX);
        let window = if self.trust == Trust::Blocks || self.clock.sends < 2 {
            self.terms.windowsize.blocks()
        } else {
            1
        };
        window.min(left)
    }

    fn progress(&mut self, now: Instant) {
        self.trust = self.trust.max(Trust::Options);
        let round_trip = now - self.clock.sent_at;
        if self.clean {
            self.timer.sample(round_trip);
        }
        if self.clean && self.again_end == 0 {
            self.timer.shortest(round_trip);
        }
        self.clean = true;
        self.clock.progressed(now);
    }

    /// Returns true if all blocks were sent and the peer has answered before. Clients close their
    /// port once they have sent the last ACK; silence then indicates a lost ACK rather than a lost
    /// block.
    fn only_the_end_is_missing(&self) -> bool {
        self.trust > Trust::None && self.sent_end > self.last
    }

    fn stage(&self) -> Stage {
        if self.is_half_open() {
            Stage::FirstReply
        } else {
            Stage::Data
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Ended(outcome);
        self.pending = None;
    }
}

/// The value of `Sender::last` for a file that has not been read to its end.
const UNKNOWN: u64 = u64::MAX;

/// The RTT that is assumed when none was measured because the first reply had to be repeated.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
