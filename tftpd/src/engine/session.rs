//! One transfer: a socket, a state machine and a share in an open file.

use std::{net::SocketAddr, time::Instant};

use crate::{
    net::{Received, SendError, TransferSocket, WindowBuffer, stride},
    proto::{Direction, Error, ErrorCode, Input, Oack, Sender, SenderOutput, Terms},
};

use super::{
    record::{Cause, Ending, Record},
    source::Source,
};

/// A transfer in flight.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) socket: TransferSocket,
    pub(super) sender: Sender,
    pub(super) source: Source,
    pub(super) about: About,
    /// When the timers will next look at this transfer; theirs to keep.
    pub(super) queued: Option<Instant>,
    pub(super) deadline: Instant,
    /// What went wrong on this side, if that is why it ended.
    pub(super) trouble: Option<Cause>,
}

/// What does not change while a transfer runs.
#[derive(Debug)]
pub(super) struct About {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) path: Box<[u8]>,
    pub(super) terms: Terms,
    pub(super) started: Instant,
    /// A digest of the request, to know it again.
    pub(super) request: u64,
}

/// What all transfers of a thread use in turn.
#[derive(Debug)]
pub(super) struct Workspace {
    window: WindowBuffer,
    packet: Vec<u8>,
    inbound: Box<[u8]>,
}

/// Room for what a client sends in mid-transfer: an ACK, or an ERROR with its text.
const INBOUND: usize = 1024;

impl Workspace {
    pub(super) fn new() -> Self {
        Self {
            window: WindowBuffer::new(),
            packet: Vec::with_capacity(INBOUND),
            inbound: vec![0; INBOUND].into(),
        }
    }
}

impl Session {
    /// Takes one datagram from the socket; whatever else waits makes it ready again.
    pub(super) fn readable(&mut self, work: &mut Workspace, now: Instant) {
        let input = match self.socket.receive(&mut work.inbound) {
            Received::Datagram(bytes) => Input::Datagram(bytes),
            Received::Unreachable => Input::Unreachable,
            Received::Nothing => return,
        };
        self.sender.handle(input, now);
    }

    /// Does what the state machine asks for until it waits; `false` when it is over.
    pub(super) fn drive(&mut self, work: &mut Workspace, now: Instant) -> bool {
        loop {
            let sent = match self.sender.poll() {
                SenderOutput::Wait(deadline) => {
                    self.deadline = deadline;
                    return true;
                }
                SenderOutput::Done => return false,
                SenderOutput::Blocks { first, count } => self.send_blocks(work, first, count),
                SenderOutput::Oack(options) => {
                    work.packet.clear();
                    Oack { options }.encode(&mut work.packet);
                    self.socket.send(&work.packet)
                }
                SenderOutput::Error(code) => {
                    work.packet.clear();
                    Error::new(code).encode(&mut work.packet);
                    // It is over either way.
                    let _ = self.socket.send(&work.packet);
                    Ok(())
                }
            };
            if let Err(error) = sent {
                self.not_sent(error, now);
            }
        }
    }

    /// What is to be said of this transfer now that it is over.
    pub(super) fn into_record(self, now: Instant) -> Record {
        let ending = match (self.trouble, self.sender.outcome()) {
            (Some(cause), _) => Ending::Failed(cause),
            (None, Some(outcome)) => Ending::from_outcome(outcome),
            (None, None) => Ending::Failed(Cause::Shutdown),
        };
        Record {
            client: self.about.client,
            local: self.about.local,
            direction: Direction::Read,
            path: self.about.path,
            size: Some(self.source.file_size()),
            elapsed: now - self.about.started,
            terms: self.about.terms,
            resent: self.sender.resent(),
            ending,
        }
    }

    fn send_blocks(
        &mut self,
        work: &mut Workspace,
        first: u64,
        count: u16,
    ) -> Result<(), SendError> {
        let blksize = self.about.terms.blksize;
        let end = first + u64::from(count);
        self.source.release_before(first);
        let mut next = first;
        while next < end {
            let left = u16::try_from(end - next).unwrap_or(u16::MAX);
            let packets = self
                .source
                .packets(&mut work.window, blksize, next, left)
                .map_err(SendError::Io)?;
            next += u64::from(packets.count);
            if packets.end {
                self.sender.ends_with(next - 1);
            }
            self.socket.send_run(packets.bytes, stride(blksize))?;
            if packets.end {
                break;
            }
        }
        Ok(())
    }

    fn not_sent(&mut self, error: SendError, now: Instant) {
        let cause = match error {
            SendError::Full => return,
            SendError::Unreachable => return self.sender.handle(Input::Unreachable, now),
            SendError::Forbidden => Cause::LocalFirewall,
            SendError::Io(error) => Cause::Io(error.to_string()),
        };
        self.trouble = Some(cause);
        self.sender.handle(Input::Abort(ErrorCode::NotDefined), now);
    }
}
