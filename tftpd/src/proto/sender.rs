//! The side that has the file: a server answering RRQ, a client after WRQ.

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

/// Sends a file, block by block, window by window.
///
/// The state machine holds numbers, never bytes: it says which blocks are to go out, and whoever
/// drives it reads them from the file and sends them.
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
    /// Whether a word of the peer was taken for an echo since then. Silence afterwards says that
    /// it was a report.
    extended: bool,
    /// The last block, short or empty; `UNKNOWN` until it has been read.
    last: u64,
    terms: Terms,
    phase: Phase,
    pending: Option<SenderOutput>,
    /// Whether what is outstanding went out once since the peer last moved on, so that its answer
    /// measures the path. Blocks sent again after a gap count: the peer has just said that it lacks
    /// the first of them, so that its next word is about these.
    clean: bool,
    trust: Trust,
    resent: u32,
    clock: Clock,
    timer: RetransmitTimer,
    patience: Patience,
}

/// What a sender is made from.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// Bytes to be sent, if that is known beforehand; else [`Sender::ends_with`] says when they end.
    pub size: Option<u64>,
    /// What was agreed.
    pub terms: Terms,
    /// How long silence is borne.
    pub patience: Patience,
    /// Spreads resends of different transfers in time.
    pub jitter_seed: u32,
}

impl SenderConfig {
    /// For a file of `size` bytes and a peer that asked for no options.
    pub fn new(size: impl Into<Option<u64>>) -> Self {
        Self {
            size: size.into(),
            terms: Terms::default(),
            patience: Patience::default(),
            jitter_seed: 1,
        }
    }
}

/// What a sender wants done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderOutput {
    /// Send an OACK with these options.
    Oack(Options),
    /// Send `count` blocks from block `first` on; block `n` starts at byte `(n - 1) * blksize`.
    Blocks {
        /// The first of them, 1 or more.
        first: u64,
        /// How many, 1 or more. All exist, unless the size is not known.
        count: u16,
    },
    /// Send an ERROR with this code and the text of the RFC.
    Error(ErrorCode),
    /// Nothing until a datagram comes or this time does.
    Wait(Instant),
    /// The transfer is over: see [`Sender::outcome`].
    Done,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The OACK is out, ACK 0 is awaited.
    Oack(Options),
    Data,
    Ended(Outcome),
}

/// What the peer has shown by its acknowledgements.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trust {
    /// Nothing: its address may be forged.
    None,
    /// It acknowledged the options, which takes no more than one forged datagram.
    Options,
    /// It acknowledged a block: it receives what is sent to it.
    Blocks,
}

impl Sender {
    /// A sender whose first packet is the OACK with `oack`, or DATA 1 if there is none.
    pub fn new(config: SenderConfig, oack: Option<Options>, now: Instant) -> Self {
        let mut sender = Self::idle(config, now);
        sender.phase = oack.map_or(Phase::Data, Phase::Oack);
        sender.send(now);
        sender
    }

    /// A client's sender: it begins with DATA 1, and its peer has shown by its answer to the WRQ
    /// that it exists. `round_trip` is how long the answer took, if the WRQ was sent once. It says
    /// how long to wait, but not how soon an acknowledgement can come: a server opens a file first.
    pub fn answered(config: SenderConfig, round_trip: Option<Duration>, now: Instant) -> Self {
        let mut sender = Self::idle(config, now);
        sender.trust = Trust::Options;
        if let Some(round_trip) = round_trip {
            sender.timer.sample(round_trip);
        }
        sender.send(now);
        sender
    }

    /// A sender that has not said anything.
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

    /// Takes in what happened. Drain [`poll`](Self::poll) afterwards.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        match input {
            // A peer that only repeats itself puts its time-outs off, but not this.
            _ if now >= self.clock.progress_at + self.patience.silence => {
                self.end(Outcome::TimedOut(self.stage()));
            }
            Input::Datagram(bytes) => match Packet::decode(bytes) {
                Ok(Packet::Ack(ack)) => self.acknowledged(ack, now),
                Ok(Packet::Error(error)) => self.refused(&error),
                // Requests, blocks and noise have no place here and are no reason to stop.
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

    /// The next thing to do. Call it until it answers `Wait` or `Done`.
    pub fn poll(&mut self) -> SenderOutput {
        match (self.pending.take(), &self.phase) {
            (Some(output), _) => output,
            (None, Phase::Ended(_)) => SenderOutput::Done,
            (None, _) => SenderOutput::Wait(self.clock.deadline),
        }
    }

    /// The same request came again while nothing is acknowledged: the first reply may be lost,
    /// so it goes out again. Later than that it does nothing.
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

    /// Block `last` has turned out to be the last: it is shorter than the others, or empty. For a
    /// sender that was not told the size; `last` is one of the blocks it asked for just now.
    pub fn ends_with(&mut self, last: u64) {
        self.last = last;
        self.sent_end = self.sent_end.min(last + 1);
    }

    /// Whether the peer has not yet answered anything.
    pub fn is_half_open(&self) -> bool {
        self.trust == Trust::None && !matches!(self.phase, Phase::Ended(_))
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Oack(_) | Phase::Data => None,
        }
    }

    /// When the peer last moved the transfer on (its beginning, if it never did).
    pub fn progress_at(&self) -> Instant {
        self.clock.progress_at
    }

    /// What was agreed.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Blocks that were acknowledged.
    pub fn acknowledged_blocks(&self) -> u64 {
        self.base - 1
    }

    /// Packets that went out more than once.
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
            // Older than the last acknowledgement, or ahead of everything sent: not to be trusted.
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
            // RFC 7440 §4: after a gap too, a full window from the block that is missing.
            self.send(now);
        }
    }

    /// The last acknowledgement came once more.
    ///
    /// With single blocks that means nothing: answering it would double every packet from then on
    /// (RFC 1123 §4.2.3.1). With windows it is how a receiver reports that the first block of a
    /// window is missing, and some report it for each later block of that window; one resend per
    /// round trip answers them all. What comes sooner than an answer can is no word on this window.
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

    /// Sends what is due: the OACK, or the window that starts at the first unacknowledged block.
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

    /// Fills the window with blocks that were never sent, for an acknowledgement that reports no
    /// gap, although blocks beyond it are on their way.
    ///
    /// Such a one comes too soon to be about the latest window, or names the last block that was
    /// sent twice. Some receivers answer each copy with the last good number; a full window for
    /// each of these answers would be full of copies itself, to the end of the file.
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

    /// How many blocks go out next: a window, or what is left of the file. A peer that never
    /// acknowledged a block gets a window twice and then one block at a time, so that a forged
    /// ACK 0 does not buy a flood.
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

    /// Whether everything was sent to a peer that took part. Clients are gone once they have sent
    /// the last acknowledgement; silence then says more of that packet than of the file.
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

/// The last block of a file that has not been read to its end.
const UNKNOWN: u64 = u64::MAX;

/// What is assumed of a path whose first reply had to be repeated.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
