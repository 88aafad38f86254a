//! One transfer: a channel to the client, a state machine, and a file.

pub(crate) mod channel;
pub(crate) mod commit;
pub(crate) mod read;
pub(crate) mod source;
mod window;
pub(crate) mod write;

use std::{net::SocketAddr, time::Instant};

use crate::{
    backend::{StoreError, Upload},
    engine::record::{Cause, Ending, Record},
    net::{Received, SendError},
    proto::{self, Ack, Direction, Error, ErrorCode, Input, Oack, Output, Terms},
};
use channel::Channel;
use read::Reading;
use window::WindowBuffer;
use write::Writing;

/// A running transfer.
#[derive(Debug)]
pub(crate) struct Transfer<C> {
    channel: C,
    machine: proto::Transfer,
    file: File,
    about: About,
    /// The error on this side that ended it.
    cause: Option<Cause>,
    deadline: Instant,
}

/// The file of a transfer, by direction.
#[derive(Debug)]
pub(crate) enum File {
    Read(Reading),
    Write(Writing),
}

/// The properties of a transfer that do not change.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) path: Box<[u8]>,
    /// See [`Record::file`].
    pub(crate) file: Option<Box<[u8]>>,
    pub(crate) terms: Terms,
    pub(crate) started: Instant,
    /// The digest of its request, by which a repeated request is recognized.
    pub(crate) digest: u64,
}

/// Buffers that the transfers of a thread share.
#[derive(Debug)]
pub(crate) struct Workspace {
    window: WindowBuffer,
    packet: Vec<u8>,
    /// Holds the largest datagram.
    inbound: Box<[u8]>,
}

/// The next step after a transfer was driven.
pub(crate) enum Next {
    /// Drive it again after a datagram or at its deadline.
    Wait,
    /// Commit this file, and pass in the result.
    Commit(Box<dyn Upload>),
    /// Remove it.
    End,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self {
            window: WindowBuffer::new(),
            packet: Vec::new(),
            inbound: vec![0; 1 << 16].into(),
        }
    }
}

impl<C: Channel> Transfer<C> {
    pub(crate) fn new(channel: C, machine: proto::Transfer, file: File, about: About) -> Self {
        Self {
            channel,
            machine,
            file,
            deadline: about.started,
            about,
            cause: None,
        }
    }

    pub(crate) fn channel(&self) -> &C {
        &self.channel
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Receives one datagram from the channel. Further datagrams make it ready again.
    pub(crate) fn on_readable(&mut self, work: &mut Workspace, now: Instant) {
        let input = match self.channel.receive(&mut work.inbound) {
            Received::Datagram(bytes) => Input::Datagram(bytes),
            Received::Unreachable => Input::Unreachable,
            Received::Nothing => return,
        };
        self.handle(input, now);
    }

    /// Passes an event to the state machine, and stores the block that it brought.
    pub(crate) fn handle(&mut self, input: Input<'_>, now: Instant) {
        if let Some(block) = self.machine.handle(input, now)
            && let File::Write(writing) = &mut self.file
            && let Err(error) = writing.store(block.payload)
        {
            self.fail(&error, now);
        }
    }

    /// Carries out the outputs of the state machine until it waits.
    pub(crate) fn drive(&mut self, work: &mut Workspace, now: Instant) -> Next {
        loop {
            let sent = match self.machine.poll() {
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return Next::Wait;
                }
                Output::Done => return Next::End,
                Output::Blocks { first, count } => self.send_blocks(work, first, count),
                Output::Ack(block) => self.send_packet(work, |packet| Ack { block }.encode(packet)),
                Output::Oack(options) => {
                    self.send_packet(work, |packet| Oack { options }.encode(packet))
                }
                Output::Error(code) => {
                    // The transfer has ended: a failure to send changes nothing.
                    let _ = self.send_packet(work, |packet| Error::new(code).encode(packet));
                    Ok(())
                }
                Output::Commit => match self.finish() {
                    Ok(upload) => return Next::Commit(upload),
                    Err(error) => {
                        self.fail(&error, now);
                        Ok(())
                    }
                },
            };
            if let Err(error) = sent
                && let Some(input) = self.on_send_error(error)
            {
                self.machine.handle(input, now);
            }
        }
    }

    /// Passes in the result of a commit.
    pub(crate) fn committed(&mut self, result: Result<(), StoreError>, now: Instant) {
        let File::Write(writing) = &mut self.file else {
            return;
        };
        match result {
            Ok(()) => {
                writing.committed(now);
                self.machine.committed(now);
            }
            Err(error) => self.fail(&error, now),
        }
    }

    /// Returns true if the client has not answered yet.
    pub(crate) fn is_half_open(&self) -> bool {
        self.machine.is_half_open()
    }

    /// Returns the time of the client's last progress.
    pub(crate) fn progress_at(&self) -> Instant {
        self.machine.progress_at()
    }

    /// Repeats the first reply if the client has not answered it.
    pub(crate) fn repeat_first_reply(&mut self, now: Instant) {
        self.machine.repeat_first_reply(now);
    }

    /// Ends the transfer; returns its record. `cause` applies if it has not failed before.
    pub(crate) fn into_record(self, cause: Option<Cause>, now: Instant) -> Record {
        let (direction, size, over_at) = match &self.file {
            File::Read(reading) => (Direction::Read, reading.file_size(), now),
            // A finished upload has stayed for a while, to answer a repetition of its last block.
            File::Write(writing) => (
                Direction::Write,
                Some(writing.received()),
                writing.stored_at().unwrap_or(now),
            ),
        };
        let ending = match (self.cause.or(cause), self.machine.outcome()) {
            (Some(cause), _) => Ending::Failed(cause),
            (None, Some(outcome)) => Ending::from_outcome(outcome, direction),
            (None, None) => Ending::Failed(Cause::Shutdown),
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
            resent: self.machine.resent(),
            ending,
        }
    }

    /// Only the state machine of a read asks for blocks.
    fn send_blocks(
        &mut self,
        work: &mut Workspace,
        first: u64,
        count: u16,
    ) -> Result<(), SendError> {
        let File::Read(reading) = &mut self.file else {
            return Ok(());
        };
        let ends = (&mut self.channel, &mut self.machine);
        reading.send_blocks(ends, &mut work.window, &self.about.terms, first, count)
    }

    fn send_packet(
        &mut self,
        work: &mut Workspace,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SendError> {
        work.packet.clear();
        encode(&mut work.packet);
        self.channel.send(&work.packet)
    }

    /// Only the state machine of a write asks for a commit.
    fn finish(&mut self) -> Result<Box<dyn Upload>, StoreError> {
        match &mut self.file {
            File::Write(writing) => writing.finish(),
            File::Read(_) => Err(StoreError::Io(std::io::ErrorKind::InvalidInput.into())),
        }
    }

    fn fail(&mut self, error: &StoreError, now: Instant) {
        self.cause = Some(match error {
            StoreError::TooLarge { limit } => Cause::TooLarge { limit: *limit },
            _ => Cause::Store {
                code: error.wire_code(),
                why: error.to_string(),
            },
        });
        if let File::Write(writing) = &mut self.file {
            writing.discard();
        }
        self.machine.handle(Input::Abort(error.wire_code()), now);
    }

    /// Returns the event for the state machine after a failed send, if there is one.
    fn on_send_error(&mut self, error: SendError) -> Option<Input<'static>> {
        let cause = match error {
            SendError::Full => return None,
            SendError::Unreachable => return Some(Input::Unreachable),
            SendError::Forbidden => Cause::LocalFirewall,
            SendError::Io(error) => Cause::Io(error.to_string()),
        };
        self.cause = Some(cause);
        Some(Input::Abort(ErrorCode::NotDefined))
    }
}
