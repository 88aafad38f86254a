//! Who asks: what a client is, and the project's own receiver as one.

use std::time::{Duration, Instant};

use tftpd::proto::{
    Direction, ErrorCode, Input, Mode, Oack, Opening, Options, Outcome, Packet, ReceiverConfig,
    Request, Terms, accept,
};

use crate::{
    ends::{self, Receiving},
    server::{LISTENER, Port, Send},
};

/// The name of the file that clients ask for if nothing else is said.
pub(crate) const FILE: &[u8] = b"boot.img";

/// Somebody who asks for a file, with one port of its own.
pub(crate) trait Client {
    /// A datagram came from `port` of the server.
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>);

    /// The time that [`deadline`](Self::deadline) named has come.
    fn tick(&mut self, now: Instant, send: Send<'_>);

    /// When to call next; nothing if it only waits, or is over.
    fn deadline(&self) -> Option<Instant>;

    /// Whether somebody listens on the client's port.
    fn is_listening(&self) -> bool;

    /// The server's host says that nobody listens on `port`. Firmware does not listen to that.
    fn unreachable(&mut self, _port: Port, _now: Instant, _send: Send<'_>) {}

    /// What has arrived.
    fn file(&self) -> &[u8] {
        &[]
    }

    /// Whether it has the whole file, or knows that the server has.
    fn is_complete(&self) -> bool;
}

/// A request that is repeated until it is answered.
pub(crate) struct Asking {
    request: Vec<u8>,
    sends: u32,
    asked_at: Instant,
    next: Instant,
}

impl Asking {
    /// Patience of an ordinary client.
    const SENDS: u32 = 8;

    /// For a file to be read.
    pub(crate) fn new(name: &[u8], options: Options, now: Instant) -> Self {
        Self::for_a(Direction::Read, name, options, now)
    }

    pub(crate) fn for_a(direction: Direction, name: &[u8], options: Options, now: Instant) -> Self {
        let request = Request {
            direction,
            filename: name,
            mode: Mode::Octet,
            options,
        };
        let mut datagram = Vec::new();
        request.encode(&mut datagram);
        Self {
            request: datagram,
            sends: 0,
            asked_at: now,
            next: now,
        }
    }

    /// Asks again, or answers that it has asked often enough.
    pub(crate) fn again(&mut self, now: Instant, send: Send<'_>) -> bool {
        if self.sends == Self::SENDS {
            return false;
        }
        self.next = now + Duration::from_secs(1 << self.sends.min(2));
        self.sends += 1;
        send(LISTENER, self.request.clone());
        true
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// How long an answer took that comes now, if it can only be to one request.
    pub(crate) fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sends == 1).then(|| now - self.asked_at)
    }
}

/// The project's own receiver, asking for [`FILE`].
pub(crate) struct Get {
    options: Options,
    jitter_seed: u32,
    stage: Stage,
}

enum Stage {
    Asking(Asking),
    Receiving {
        port: Port,
        receiving: Box<Receiving>,
        deadline: Option<Instant>,
    },
    /// Nobody answered, or the answer was no.
    Failed,
}

impl Get {
    pub(crate) fn new(options: Options, jitter_seed: u32, now: Instant) -> Self {
        Self::named(FILE, options, jitter_seed, now)
    }

    pub(crate) fn named(name: &[u8], options: Options, jitter_seed: u32, now: Instant) -> Self {
        Self {
            options,
            jitter_seed,
            stage: Stage::Asking(Asking::new(name, options, now)),
        }
    }

    /// How it ended, if a server answered and it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Receiving { receiving, .. } => receiving.receiver.outcome(),
            Stage::Asking(_) | Stage::Failed => None,
        }
    }

    /// The first datagram from a port that answers: it becomes the server's.
    fn answered(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        let (terms, opening) = match Packet::decode(datagram) {
            Ok(Packet::Oack(body)) => (accepted(&self.options, body), Opening::Ack),
            Ok(Packet::Data(data)) if data.block == 1 => (Terms::default(), Opening::AwaitData),
            Ok(Packet::Error(_)) => {
                self.stage = Stage::Failed;
                return;
            }
            _ => return,
        };
        let config = ReceiverConfig {
            terms,
            jitter_seed: self.jitter_seed,
            ..ReceiverConfig::default()
        };
        let mut receiving = Receiving::new(config, opening, now);
        if opening == Opening::AwaitData {
            receiving.handle(Input::Datagram(datagram), now);
        }
        self.stage = Stage::Receiving {
            port,
            receiving: Box::new(receiving),
            deadline: None,
        };
        self.drain(now, send);
    }

    fn drain(&mut self, now: Instant, send: Send<'_>) {
        if let Stage::Receiving {
            port,
            receiving,
            deadline,
        } = &mut self.stage
        {
            *deadline = receiving.drain(now, |datagram| send(*port, datagram));
        }
    }
}

pub(crate) fn accepted(asked: &Options, body: &[u8]) -> Terms {
    let oack = Oack::decode(body).expect("an OACK that can be read");
    accept(asked, &oack.options).expect("an OACK that can be accepted")
}

impl Client for Get {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        match &mut self.stage {
            Stage::Asking(_) => self.answered(port, datagram, now, send),
            Stage::Receiving { port: theirs, .. } if *theirs != port => {
                if !matches!(Packet::decode(datagram), Ok(Packet::Error(_))) {
                    send(port, ends::error(ErrorCode::UnknownTransferId));
                }
            }
            Stage::Receiving { receiving, .. } => {
                receiving.handle(Input::Datagram(datagram), now);
                self.drain(now, send);
            }
            Stage::Failed => {}
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        match &mut self.stage {
            Stage::Asking(asking) => {
                if !asking.again(now, send) {
                    self.stage = Stage::Failed;
                }
            }
            Stage::Receiving { receiving, .. } => {
                receiving.handle(Input::Timer, now);
                self.drain(now, send);
            }
            Stage::Failed => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Asking(asking) => Some(asking.next()),
            Stage::Receiving { deadline, .. } => *deadline,
            Stage::Failed => None,
        }
    }

    fn is_listening(&self) -> bool {
        self.deadline().is_some()
    }

    fn file(&self) -> &[u8] {
        match &self.stage {
            Stage::Receiving { receiving, .. } => &receiving.file,
            Stage::Asking(_) | Stage::Failed => &[],
        }
    }

    fn is_complete(&self) -> bool {
        self.outcome().is_some_and(Outcome::is_complete)
    }
}
