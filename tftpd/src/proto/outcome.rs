//! Inputs, outcomes and clocks common to sender and receiver.

use std::time::{Duration, Instant};

use super::error::ErrorCode;

/// An event of a transfer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A datagram from the transfer's peer; datagrams of other senders are never passed in.
    Datagram(&'a [u8]),
    /// The deadline of [`Wait`](super::Output::Wait) has passed. An early call has no effect.
    Timer,
    /// The peer's host reported by ICMP that its port is closed.
    Unreachable,
    /// This side cannot continue; the peer is sent an ERROR with this code.
    Abort(ErrorCode),
}

/// The end of a transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The whole file arrived.
    Completed {
        /// True if the last acknowledgement was received. Clients close their port once they have
        /// sent it, so a lost one is not repeated.
        last_ack: bool,
    },
    /// The client asked for size and options only, and ended the transfer with an ERROR right
    /// after the OACK. UEFI firmware does this before each file.
    Probed,
    /// The peer sent an ERROR.
    PeerError {
        /// Its code.
        code: ErrorCode,
        /// Its text, at most 128 bytes.
        text: Box<[u8]>,
    },
    /// No answer of the peer within the time of [`Patience`].
    TimedOut(Stage),
    /// The peer's host answers that the port is closed.
    Unreachable(Stage),
    /// This side ended it: [`Input::Abort`].
    Aborted(ErrorCode),
    /// The peer broke the protocol and was sent an ERROR.
    Violation(&'static str),
}

impl Outcome {
    /// Returns true if the whole file arrived.
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Completed { .. })
    }

    pub(super) fn peer_error(error: &super::error::Error<'_>) -> Self {
        let text = error
            .text
            .iter()
            .copied()
            .take(super::error::MAX_ERROR_TEXT)
            .collect();
        Self::PeerError {
            code: error.code,
            text,
        }
    }
}

/// The stage a transfer has reached.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// The first reply is unanswered.
    FirstReply,
    /// Blocks are being transferred.
    Data,
}

/// Time limits for a peer that does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Patience {
    /// Transmissions of the first reply while the peer has not answered.
    pub first_reply: u8,
    /// Longest time without progress. Clients wait 11 s (busybox) to 90 s (PXELINUX), and some
    /// never repeat an ACK, so recovery is the sender's duty.
    pub silence: Duration,
    /// Transmissions of the last block when nothing else is missing.
    pub last_block: u8,
}

impl Patience {
    /// Sets [`first_reply`](Self::first_reply): transmissions of the first reply.
    #[must_use]
    pub const fn with_first_reply(mut self, first_reply: u8) -> Self {
        self.first_reply = first_reply;
        self
    }

    /// Sets [`silence`](Self::silence): the longest time without progress.
    #[must_use]
    pub const fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Sets [`last_block`](Self::last_block): transmissions of the last block.
    #[must_use]
    pub const fn with_last_block(mut self, last_block: u8) -> Self {
        self.last_block = last_block;
        self
    }
}

impl Default for Patience {
    /// Returns 3 first replies, 40 s, 6 last blocks.
    fn default() -> Self {
        Self {
            first_reply: 3,
            silence: Duration::from_secs(40),
            last_block: 6,
        }
    }
}

/// The longest retransmission time-out when the client asked for none.
pub(super) const DEFAULT_CEILING: Duration = Duration::from_secs(4);

/// The clocks of one transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) deadline: Instant,
    pub(super) sent_at: Instant,
    pub(super) progress_at: Instant,
    /// Transmissions of the packets that are outstanding.
    pub(super) sends: u8,
}

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            deadline: now,
            sent_at: now,
            progress_at: now,
            sends: 0,
        }
    }

    /// Records a transmission that is repeated after `wait`.
    pub(super) fn sent(&mut self, now: Instant, wait: Duration) {
        self.sends = self.sends.saturating_add(1);
        self.sent_at = now;
        self.deadline = now + wait;
    }

    /// Records progress of the peer.
    pub(super) fn progressed(&mut self, now: Instant) {
        self.sends = 0;
        self.progress_at = now;
    }
}
