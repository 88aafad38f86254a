//! Either side of a transfer behind one interface, for drivers that carry both.

use std::time::Instant;

use super::{
    error::ErrorCode,
    option::Options,
    outcome::{Input, Outcome},
    receiver::{Receiver, ReceiverOutput, Stored},
    sender::{Sender, SenderOutput},
};

/// The state machine of one transfer: a [`Sender`] or a [`Receiver`].
///
/// A driver passes in what happened, stores the block that [`handle`](Self::handle) returns, and
/// carries out each [`Output`] of [`poll`](Self::poll) until that is `Wait` or `Done`.
///
/// ```
/// use std::time::Instant;
/// use tftpd::proto::{Input, Output, Sender, SenderConfig, Transfer};
///
/// let now = Instant::now();
/// let mut transfer = Transfer::from(Sender::new(SenderConfig::new(5), None, now));
/// assert_eq!(transfer.poll(), Output::Blocks { first: 1, count: 1 });
/// transfer.handle(Input::Datagram(&[0, 4, 0, 1]), now); // ACK 1, of the only block
/// assert_eq!(transfer.poll(), Output::Done);
/// ```
#[derive(Debug)]
pub struct Transfer(Side);

#[derive(Debug)]
enum Side {
    Sender(Sender),
    Receiver(Receiver),
}

/// The next action of a transfer: [`SenderOutput`] and [`ReceiverOutput`] in one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Send an OACK with these options.
    Oack(Options),
    /// Send `count` blocks from block `first` on, as [`SenderOutput::Blocks`] describes.
    Blocks {
        /// The number of the first block, 1 or more.
        first: u64,
        /// The number of blocks, 1 or more.
        count: u16,
    },
    /// Send an ACK with this number.
    Ack(u16),
    /// Send an ERROR with this code and the text of the RFC.
    Error(ErrorCode),
    /// Commit the file, which is complete, then call [`Transfer::committed`]; or pass in
    /// [`Input::Abort`].
    Commit,
    /// Wait for a datagram or for this deadline.
    Wait(Instant),
    /// End the transfer; [`Transfer::outcome`] has the reason.
    Done,
}

impl Transfer {
    /// Takes in an event; returns the block to store, if the event brought one to a receiver. Call
    /// [`poll`](Self::poll) afterwards.
    pub fn handle<'a>(&mut self, input: Input<'a>, now: Instant) -> Option<Stored<'a>> {
        match &mut self.0 {
            Side::Sender(sender) => {
                sender.handle(input, now);
                None
            }
            Side::Receiver(receiver) => receiver.handle(input, now),
        }
    }

    /// Returns the next action. Call it until it returns `Wait` or `Done`.
    pub fn poll(&mut self) -> Output {
        match &mut self.0 {
            Side::Sender(sender) => sender.poll().into(),
            Side::Receiver(receiver) => receiver.poll().into(),
        }
    }

    /// Marks the file as committed, so that the last ACK may be sent. No effect on a sender.
    pub fn committed(&mut self, now: Instant) {
        if let Side::Receiver(receiver) = &mut self.0 {
            receiver.committed(now);
        }
    }

    /// Sets the last block of content of unknown size; see [`Sender::ends_with`]. No effect on a
    /// receiver.
    pub fn ends_with(&mut self, last: u64) {
        if let Side::Sender(sender) = &mut self.0 {
            sender.ends_with(last);
        }
    }

    /// Repeats the first reply if the peer has not answered it: its request was received again.
    pub fn repeat_first_reply(&mut self, now: Instant) {
        match &mut self.0 {
            Side::Sender(sender) => sender.repeat_first_reply(),
            Side::Receiver(receiver) => receiver.repeat_first_reply(now),
        }
    }

    /// Returns true if the peer has not answered yet.
    pub fn is_half_open(&self) -> bool {
        match &self.0 {
            Side::Sender(sender) => sender.is_half_open(),
            Side::Receiver(receiver) => receiver.is_half_open(),
        }
    }

    /// Returns the outcome once the transfer has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.0 {
            Side::Sender(sender) => sender.outcome(),
            Side::Receiver(receiver) => receiver.outcome(),
        }
    }

    /// Returns the time of the peer's last progress, or of the beginning if there was none.
    pub fn progress_at(&self) -> Instant {
        match &self.0 {
            Side::Sender(sender) => sender.progress_at(),
            Side::Receiver(receiver) => receiver.progress_at(),
        }
    }

    /// Returns the number of packets that were retransmitted.
    pub fn resent(&self) -> u32 {
        match &self.0 {
            Side::Sender(sender) => sender.resent(),
            Side::Receiver(receiver) => receiver.resent(),
        }
    }
}

impl From<Sender> for Transfer {
    fn from(sender: Sender) -> Self {
        Self(Side::Sender(sender))
    }
}

impl From<Receiver> for Transfer {
    fn from(receiver: Receiver) -> Self {
        Self(Side::Receiver(receiver))
    }
}

impl From<SenderOutput> for Output {
    fn from(output: SenderOutput) -> Self {
        match output {
            SenderOutput::Oack(options) => Self::Oack(options),
            SenderOutput::Blocks { first, count } => Self::Blocks { first, count },
            SenderOutput::Error(code) => Self::Error(code),
            SenderOutput::Wait(deadline) => Self::Wait(deadline),
            SenderOutput::Done => Self::Done,
        }
    }
}

impl From<ReceiverOutput> for Output {
    fn from(output: ReceiverOutput) -> Self {
        match output {
            ReceiverOutput::Ack(block) => Self::Ack(block),
            ReceiverOutput::Oack(options) => Self::Oack(options),
            ReceiverOutput::Error(code) => Self::Error(code),
            ReceiverOutput::Commit => Self::Commit,
            ReceiverOutput::Wait(deadline) => Self::Wait(deadline),
            ReceiverOutput::Done => Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::{Opening, ReceiverConfig, SenderConfig};

    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn both_sides_are_driven_alike_until_they_end() {
        let now = start();
        let mut reads = Transfer::from(Sender::new(SenderConfig::new(600), None, now));
        assert_eq!(reads.poll(), Output::Blocks { first: 1, count: 1 });
        assert!(reads.is_half_open());
        assert_eq!(reads.handle(Input::Datagram(&[0, 4, 0, 1]), now), None);
        assert_eq!(reads.poll(), Output::Blocks { first: 2, count: 1 });
        assert!(!reads.is_half_open() && reads.outcome().is_none());

        let config = ReceiverConfig::default();
        let mut writes = Transfer::from(Receiver::new(config, Opening::AckRequest, now));
        assert_eq!(writes.poll(), Output::Ack(0));
        let stored = writes.handle(Input::Datagram(b"\x00\x03\x00\x01hello"), now);
        assert_eq!(stored.map(|stored| stored.payload), Some(&b"hello"[..]));
        assert_eq!(writes.poll(), Output::Commit);
        writes.committed(now);
        assert_eq!(
            (writes.poll(), writes.poll()),
            (Output::Ack(1), Output::Done)
        );
    }

    #[test]
    fn a_repeated_request_repeats_the_first_reply_of_either_side() {
        let now = start();
        let config = ReceiverConfig::default();
        for (mut transfer, reply) in [
            (
                Transfer::from(Sender::new(SenderConfig::new(5), None, now)),
                Output::Blocks { first: 1, count: 1 },
            ),
            (
                Transfer::from(Receiver::new(config, Opening::AckRequest, now)),
                Output::Ack(0),
            ),
        ] {
            assert_eq!(transfer.poll(), reply);
            assert!(matches!(transfer.poll(), Output::Wait(_)));
            transfer.repeat_first_reply(now + Duration::from_millis(1));
            assert_eq!((transfer.poll(), transfer.resent()), (reply, 1));
            assert_eq!(transfer.progress_at(), now);
        }
    }
}
