//! The project's own client: its receiver for a file to read, its sender for a file to write.

use std::{rc::Rc, time::Instant};

use tftpd::proto::{
    Direction, ErrorCode, Input, Oack, Opening, Options, Outcome, Packet, Patience, ReceiverConfig,
    Sender, SenderConfig, Terms, accept,
};

use crate::{
    client::{Client, FILE, PendingRequest},
    ends::{self, End},
    server::{Port, Send},
};

/// A client with the state machines of the project.
pub(crate) struct OwnClient {
    options: Options,
    jitter_seed: u32,
    /// The file to write.
    upload: Option<Rc<[u8]>>,
    stage: Stage,
}

enum Stage {
    Requesting(PendingRequest),
    Open {
        port: Port,
        end: Box<End>,
        deadline: Option<Instant>,
    },
    /// No answer arrived, or the answer was an ERROR.
    Failed,
}

impl OwnClient {
    /// Reads [`FILE`].
    pub(crate) fn get(options: Options, jitter_seed: u32, now: Instant) -> Self {
        Self::get_named(FILE, options, jitter_seed, now)
    }

    pub(crate) fn get_named(name: &[u8], options: Options, jitter_seed: u32, now: Instant) -> Self {
        Self {
            options,
            jitter_seed,
            upload: None,
            stage: Stage::Requesting(PendingRequest::read(name, options, now)),
        }
    }

    /// Writes `file` as [`FILE`].
    pub(crate) fn put(options: Options, jitter_seed: u32, file: Rc<[u8]>, now: Instant) -> Self {
        let request = PendingRequest::new(Direction::Write, FILE, options, now);
        Self {
            options,
            jitter_seed,
            upload: Some(file),
            stage: Stage::Requesting(request),
        }
    }

    /// The result, if a server answered and the transfer has ended.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Open { end, .. } => end.transfer.outcome(),
            Stage::Requesting(_) | Stage::Failed => None,
        }
    }

    /// Processes the first datagram from a port that answers, which is the server's TID.
    fn open(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        let Stage::Requesting(request) = &self.stage else {
            return;
        };
        let is_upload = self.upload.is_some();
        let (terms, opening) = match Packet::decode(datagram) {
            Ok(Packet::Oack(body)) => (accepted(&self.options, body), Opening::Ack),
            Ok(Packet::Data(data)) if data.block == 1 && !is_upload => {
                (Terms::default(), Opening::AwaitData)
            }
            Ok(Packet::Ack(ack)) if ack.block == 0 && is_upload => (Terms::default(), Opening::Ack),
            Ok(Packet::Error(_)) => {
                self.stage = Stage::Failed;
                return;
            }
            _ => return,
        };
        let end = match &self.upload {
            Some(file) => self.sending(terms, request, file, now),
            None => self.receiving(terms, opening, datagram, now),
        };
        self.stage = Stage::Open {
            port,
            end: Box::new(end),
            deadline: None,
        };
        self.drain(now, send);
    }

    fn sending(
        &self,
        terms: Terms,
        request: &PendingRequest,
        file: &Rc<[u8]>,
        now: Instant,
    ) -> End {
        // Only the last ACK proves that the file is stored: the last block is repeated as often as
        // any other.
        let config = SenderConfig::new(None)
            .with_terms(terms)
            .with_patience(Patience::default().with_last_block(u8::MAX))
            .with_jitter_seed(self.jitter_seed);
        let sender = Sender::answered(config, request.round_trip(now), now);
        End::new(sender, terms.blksize.bytes(), Rc::clone(file))
    }

    fn receiving(&self, terms: Terms, opening: Opening, datagram: &[u8], now: Instant) -> End {
        let config = ReceiverConfig::default()
            .with_terms(terms)
            .with_jitter_seed(self.jitter_seed);
        let mut end = End::receiving(config, opening, now);
        if opening == Opening::AwaitData {
            end.handle(Input::Datagram(datagram), now);
        }
        end
    }

    /// Passes an input to the transfer with `port`.
    fn input(&mut self, from: Port, input: Input<'_>, now: Instant, send: Send<'_>) {
        if let Stage::Open { port, end, .. } = &mut self.stage
            && *port == from
        {
            end.handle(input, now);
            self.drain(now, send);
        }
    }

    fn drain(&mut self, now: Instant, send: Send<'_>) {
        if let Stage::Open {
            port,
            end,
            deadline,
        } = &mut self.stage
        {
            *deadline = end.drain(now, |datagram| send(*port, datagram));
        }
    }
}

fn accepted(requested: &Options, body: &[u8]) -> Terms {
    let oack = Oack::decode(body).expect("an OACK that can be read");
    accept(requested, &oack.options).expect("an OACK that can be accepted")
}

impl Client for OwnClient {
    fn receive(&mut self, from: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        match &self.stage {
            Stage::Requesting(_) => self.open(from, datagram, now, send),
            Stage::Open { port, .. } if *port != from => {
                if !matches!(Packet::decode(datagram), Ok(Packet::Error(_))) {
                    send(from, ends::error(ErrorCode::UnknownTransferId));
                }
            }
            Stage::Open { .. } => self.input(from, Input::Datagram(datagram), now, send),
            Stage::Failed => {}
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        match &mut self.stage {
            Stage::Requesting(request) => {
                if !request.send(now, send) {
                    self.stage = Stage::Failed;
                }
            }
            Stage::Open { port, .. } => {
                let port = *port;
                self.input(port, Input::Timer, now, send);
            }
            Stage::Failed => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Requesting(request) => Some(request.next()),
            Stage::Open { deadline, .. } => *deadline,
            Stage::Failed => None,
        }
    }

    fn is_listening(&self) -> bool {
        self.deadline().is_some()
    }

    /// A reader ignores the error: it may still receive blocks that were sent before.
    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
        if self.upload.is_some() {
            self.input(port, Input::Unreachable, now, send);
        }
    }

    fn file(&self) -> &[u8] {
        match &self.stage {
            Stage::Open { end, .. } => &end.stored,
            _ => &[],
        }
    }

    fn is_complete(&self) -> bool {
        match self.upload {
            Some(_) => self.outcome() == Some(&Outcome::Completed { last_ack: true }),
            None => self.outcome().is_some_and(Outcome::is_complete),
        }
    }
}
