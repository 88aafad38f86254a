//! Who has a file for the server: the project's own sender.

use std::{rc::Rc, time::Instant};

use tftpd::proto::{
    Direction, ErrorCode, Input, Options, Outcome, Packet, Patience, SenderConfig, Terms,
};

use crate::{
    client::{Asking, Client, FILE, accepted},
    ends,
    ends::Sending,
    server::{Port, Send},
};

/// The project's own sender, storing its file as [`FILE`].
pub(crate) struct Put {
    options: Options,
    jitter_seed: u32,
    file: Rc<[u8]>,
    stage: Stage,
}

enum Stage {
    Asking(Asking),
    Sending {
        port: Port,
        sending: Box<Sending>,
        deadline: Option<Instant>,
    },
    /// Nobody answered, or the answer was no.
    Failed,
}

impl Put {
    pub(crate) fn new(options: Options, jitter_seed: u32, file: Rc<[u8]>, now: Instant) -> Self {
        Self {
            options,
            jitter_seed,
            file,
            stage: Stage::Asking(Asking::for_a(Direction::Write, FILE, options, now)),
        }
    }

    /// How it ended, if a server answered and it has.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Sending { sending, .. } => sending.sender.outcome(),
            Stage::Asking(_) | Stage::Failed => None,
        }
    }

    /// The first datagram from a port that answers: it becomes the server's.
    fn answered(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        let Stage::Asking(asking) = &self.stage else {
            return;
        };
        let terms = match Packet::decode(datagram) {
            Ok(Packet::Oack(body)) => accepted(&self.options, body),
            Ok(Packet::Ack(ack)) if ack.block == 0 => Terms::default(),
            Ok(Packet::Error(_)) => {
                self.stage = Stage::Failed;
                return;
            }
            _ => return,
        };
        let config = SenderConfig {
            terms,
            // Without the last ACK nobody knows that the file is stored: it is asked for as long
            // as any other.
            patience: Patience {
                last_block: u8::MAX,
                ..Patience::default()
            },
            jitter_seed: self.jitter_seed,
            ..SenderConfig::new(None)
        };
        let round_trip = asking.round_trip(now);
        let sending = Sending::answered(config, round_trip, Rc::clone(&self.file), now);
        self.stage = Stage::Sending {
            port,
            sending: Box::new(sending),
            deadline: None,
        };
        self.drain(send);
    }

    /// Something happened to the transfer with `port`.
    fn input(&mut self, port: Port, input: Input<'_>, now: Instant, send: Send<'_>) {
        if let Stage::Sending {
            port: theirs,
            sending,
            ..
        } = &mut self.stage
            && *theirs == port
        {
            sending.sender.handle(input, now);
            self.drain(send);
        }
    }

    fn drain(&mut self, send: Send<'_>) {
        if let Stage::Sending {
            port,
            sending,
            deadline,
        } = &mut self.stage
        {
            *deadline = sending.drain(|datagram| send(*port, datagram));
        }
    }
}

impl Client for Put {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        match &self.stage {
            Stage::Asking(_) => self.answered(port, datagram, now, send),
            Stage::Sending { port: theirs, .. } if *theirs != port => {
                if !matches!(Packet::decode(datagram), Ok(Packet::Error(_))) {
                    send(port, ends::error(ErrorCode::UnknownTransferId));
                }
            }
            Stage::Sending { .. } => self.input(port, Input::Datagram(datagram), now, send),
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
            Stage::Sending { port, .. } => {
                let port = *port;
                self.input(port, Input::Timer, now, send);
            }
            Stage::Failed => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Asking(asking) => Some(asking.next()),
            Stage::Sending { deadline, .. } => *deadline,
            Stage::Failed => None,
        }
    }

    fn is_listening(&self) -> bool {
        self.deadline().is_some()
    }

    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
        self.input(port, Input::Unreachable, now, send);
    }

    fn is_complete(&self) -> bool {
        self.outcome() == Some(&Outcome::Completed { last_ack: true })
    }
}
