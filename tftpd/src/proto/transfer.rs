//! What sender and receiver have in common: what goes in, how it ends.

use std::time::{Duration, Instant};

use super::error::ErrorCode;

/// Something that happened to a transfer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A datagram from the transfer's peer, and from nobody else.
    Datagram(&'a [u8]),
    /// The time that [`Wait`](super::SenderOutput::Wait) named has come. Too early is harmless.
    Timer,
    /// The peer's host says by ICMP that nobody listens there any more.
    Unreachable,
    /// The transfer cannot go on on this side; the peer is told why.
    Abort(ErrorCode),
}

/// How a transfer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The whole file arrived.
    Completed {
        /// Whether the last acknowledgement was seen. Clients leave as soon as they have sent it,
        /// so that a lost one cannot be had again.
        last_ack: bool,
    },
    /// The client wanted to know the size and the options, and said so with an ERROR right after
    /// the OACK. UEFI firmware does this before each file.
    Probed,
    /// The peer gave up.
    PeerError {
        /// Its code.
        code: ErrorCode,
        /// Its words, at most 128 bytes.
        text: Box<[u8]>,
    },
    /// The peer fell silent.
    TimedOut(Stage),
    /// The peer is gone: its host answers that the port is closed.
    Unreachable(Stage),
    /// This side gave up.
    Aborted(ErrorCode),
    /// The peer broke the protocol; it was told so.
    Violation(&'static str),
}

impl Outcome {
    /// Whether the file arrived.
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

/// How far a transfer had come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// The peer has not answered the first reply.
    FirstReply,
    /// Blocks were on their way.
    Data,
}

/// How long silence is borne.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// How often the first reply is sent before the peer has shown that it exists.
    pub first_reply: u8,
    /// How long a transfer goes on without progress. Clients wait 11 s (busybox) to 90 s
    /// (PXELINUX), and some never repeat an ACK, so that recovery is the sender's duty.
    pub silence: Duration,
    /// How often the last block is sent when nothing else is missing.
    pub last_block: u8,
}

impl Default for Patience {
    /// 3 first replies, 40 s, 6 last blocks.
    fn default() -> Self {
        Self {
            first_reply: 3,
            silence: Duration::from_secs(40),
            last_block: 6,
        }
    }
}

/// The longest a packet waits to be repeated when the client named no time-out.
pub(super) const DEFAULT_CEILING: Duration = Duration::from_secs(4);

/// The clocks of one transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) deadline: Instant,
    pub(super) sent_at: Instant,
    pub(super) progress_at: Instant,
    /// How often what is outstanding was sent.
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

    /// Notes that something was sent now and is to be repeated after `wait`.
    pub(super) fn sent(&mut self, now: Instant, wait: Duration) {
        self.sends = self.sends.saturating_add(1);
        self.sent_at = now;
        self.deadline = now + wait;
    }

    /// Notes that the peer moved the transfer on.
    pub(super) fn progressed(&mut self, now: Instant) {
        self.sends = 0;
        self.progress_at = now;
    }
}
