//! One transfer: a socket, a state machine, and where the bytes come from or go to.

use std::{net::SocketAddr, time::Instant};

use crate::{
    backend::{StoreError, Upload},
    net::{Received, SendError, TransferSocket, WindowBuffer},
    proto::{Direction, Error, ErrorCode, Input, Oack, Options, Outcome, Terms},
};

use super::{
    receiving::Receiving,
    record::{Cause, Ending, Record},
    sending::Sending,
};

/// A transfer in flight.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) role: Role,
    pub(super) about: About,
    /// When the timers will next look at this transfer; theirs to keep.
    pub(super) queued: Option<Instant>,
    pub(super) deadline: Instant,
}

/// Which way the bytes go.
#[derive(Debug)]
pub(super) enum Role {
    Sending(Sending),
    Receiving(Receiving),
}

/// The way to the client, and what went wrong on this side of it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: TransferSocket,
    pub(super) trouble: Option<Cause>,
}

/// What does not change while a transfer runs.
#[derive(Debug)]
pub(super) struct About {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) path: Box<[u8]>,
    /// See [`Record::file`].
    pub(super) file: Option<Box<[u8]>>,
    pub(super) terms: Terms,
    pub(super) started: Instant,
    /// A digest of the request, to know it again.
    pub(super) request: u64,
}

/// What all transfers of a thread use in turn.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) window: WindowBuffer,
    pub(super) packet: Vec<u8>,
    /// Room for the largest datagram.
    inbound: Box<[u8]>,
}

/// What is to be done with a transfer after it was driven.
pub(super) enum Next {
    /// Look again when a datagram comes, or when its deadline has passed.
    Wait,
    /// Make this last, elsewhere, and tell it of the result.
    Commit(Box<dyn Upload>),
    /// It is over.
    End,
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self {
            window: WindowBuffer::new(),
            packet: Vec::new(),
            inbound: vec![0; 1 << 16].into(),
        }
    }
}

impl Session {
    /// Takes one datagram from the socket; whatever else waits makes it ready again.
    pub(super) fn readable(&mut self, work: &mut Workspace, now: Instant) {
        let input = match self.link.socket.receive(&mut work.inbound) {
            Received::Datagram(bytes) => Input::Datagram(bytes),
            Received::Unreachable => Input::Unreachable,
            Received::Nothing => return,
        };
        self.handle(input, now);
    }

    pub(super) fn handle(&mut self, input: Input<'_>, now: Instant) {
        match &mut self.role {
            Role::Sending(sending) => sending.sender.handle(input, now),
            Role::Receiving(receiving) => receiving.handle(&mut self.link, input, now),
        }
    }

    /// Does what the state machine asks for until it waits.
    pub(super) fn drive(&mut self, work: &mut Workspace, now: Instant) -> Next {
        let (next, deadline) = match &mut self.role {
            Role::Sending(sending) => sending.drive(&mut self.link, work, now),
            Role::Receiving(receiving) => receiving.drive(&mut self.link, work, now),
        };
        self.deadline = deadline.unwrap_or(self.deadline);
        next
    }

    /// What became of the file that was to be made to last.
    pub(super) fn committed(&mut self, result: Result<(), StoreError>, now: Instant) {
        if let Role::Receiving(receiving) = &mut self.role {
            receiving.committed(&mut self.link, result, now);
        }
    }

    /// Whether the client has not answered anything yet.
    pub(super) fn is_half_open(&self) -> bool {
        match &self.role {
            Role::Sending(sending) => sending.sender.is_half_open(),
            Role::Receiving(receiving) => receiving.receiver.is_half_open(),
        }
    }

    /// Says once more what it said first.
    pub(super) fn repeat_first_reply(&mut self, now: Instant) {
        match &mut self.role {
            Role::Sending(sending) => sending.sender.repeat_first_reply(),
            Role::Receiving(receiving) => receiving.receiver.repeat_first_reply(now),
        }
    }

    /// When the client last moved the transfer on.
    pub(super) fn progress_at(&self) -> Instant {
        match &self.role {
            Role::Sending(sending) => sending.sender.progress_at(),
            Role::Receiving(receiving) => receiving.receiver.progress_at(),
        }
    }

    /// What is to be said of this transfer now that it is over.
    pub(super) fn into_record(self, now: Instant) -> Record {
        let (direction, size, resent, outcome) = match &self.role {
            Role::Sending(Sending { sender, source }) => (
                Direction::Read,
                source.file_size(),
                sender.resent(),
                sender.outcome(),
            ),
            Role::Receiving(Receiving { receiver, .. }) => (
                Direction::Write,
                Some(receiver.received()),
                receiver.resent(),
                receiver.outcome(),
            ),
        };
        let ending = ending(self.link.trouble, direction, outcome);
        // A finished upload has stayed for a while, in case its last block comes again.
        let over_at = match &self.role {
            Role::Receiving(receiving) => receiving.stored_at.unwrap_or(now),
            Role::Sending(_) => now,
        };
        Record {
            client: self.about.client,
            local: self.about.local,
            direction,
            path: self.about.path,
            file: self.about.file,
            size,
            elapsed: over_at - self.about.started,
            terms: self.about.terms,
            resent,
            ending,
        }
    }
}

fn ending(trouble: Option<Cause>, direction: Direction, outcome: Option<&Outcome>) -> Ending {
    match (trouble, outcome) {
        (Some(cause), _) => Ending::Failed(cause),
        (None, Some(outcome)) => Ending::from_outcome(outcome, direction),
        (None, None) => Ending::Failed(Cause::Shutdown),
    }
}

impl Link {
    /// Sends one datagram.
    pub(super) fn send(&mut self, datagram: &[u8]) -> Result<(), SendError> {
        self.socket.send(datagram)
    }

    /// Sends datagrams as [`TransferSocket::send_run`] does.
    pub(super) fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError> {
        self.socket.send_run(datagrams, stride)
    }

    pub(super) fn send_oack(
        &mut self,
        work: &mut Workspace,
        options: Options,
    ) -> Result<(), SendError> {
        work.packet.clear();
        Oack { options }.encode(&mut work.packet);
        self.send(&work.packet)
    }

    /// Sends an ERROR; whether it leaves makes no difference, the transfer is over.
    pub(super) fn send_error(&mut self, work: &mut Workspace, code: ErrorCode) {
        work.packet.clear();
        Error::new(code).encode(&mut work.packet);
        let _ = self.send(&work.packet);
    }

    /// What the state machine is to know of a datagram that did not leave, if anything.
    pub(super) fn not_sent(&mut self, error: SendError) -> Option<Input<'static>> {
        let cause = match error {
            SendError::Full => return None,
            SendError::Unreachable => return Some(Input::Unreachable),
            SendError::Forbidden => Cause::LocalFirewall,
            SendError::Io(error) => Cause::Io(error.to_string()),
        };
        self.trouble = Some(cause);
        Some(Input::Abort(ErrorCode::NotDefined))
    }
}
