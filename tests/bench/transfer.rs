//! One client: it reads one file over a socket of its own, and looks at every byte.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tests::packet::Packet;

/// What a client asks for, and what it is to get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) file: &'a str,
    pub(crate) content: &'a [u8],
    pub(crate) blksize: u16,
    pub(crate) window: u16,
    /// Whether to keep silent after the first block, until told to go on.
    pub(crate) pause: bool,
}

/// A read that was asked for, or is about to be.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    ask: Ask<'a>,
    socket: UdpSocket,
    asked_at: Instant,
    deadline: Instant,
    tries: u32,
    blksize: usize,
    window: u64,
    /// The block that is awaited; the first is 1.
    next: u64,
    acknowledged: u64,
    received: usize,
    gap_reported: bool,
    pause: Pause,
    pub(crate) counts: Counts,
}

/// What there is to say of one transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// From the first request to the first reply.
    pub(crate) first_reply: Option<Duration>,
    /// How often the request was sent again.
    pub(crate) asked_again: u64,
    /// Blocks that came once more.
    pub(crate) duplicates: u64,
}

/// How it stands with a transfer after a datagram.
#[derive(Debug)]
pub(crate) enum State {
    /// The window is not full: more may be there already.
    More,
    /// It is the server's turn.
    Waiting,
    /// The first block is here, and the client keeps silent.
    Paused,
    /// All bytes are here, and they are the right ones.
    Done,
    Failed(String),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pause {
    None,
    Ahead,
    Now,
}

/// How long a client waits before it says its last word again, and how often it does.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: u32 = 12;

impl<'a> Transfer<'a> {
    /// A client that has its socket and has said nothing.
    pub(crate) fn new(ask: Ask<'a>, socket: UdpSocket, now: Instant) -> Self {
        Self {
            ask,
            socket,
            asked_at: now,
            deadline: now + PATIENCE,
            tries: 0,
            blksize: 512,
            window: 1,
            next: 1,
            acknowledged: 0,
            received: 0,
            gap_reported: false,
            pause: if ask.pause { Pause::Ahead } else { Pause::None },
            counts: Counts::default(),
        }
    }

    /// Sends the request.
    pub(crate) fn ask(&mut self, now: Instant) -> io::Result<()> {
        self.asked_at = now;
        self.deadline = now + PATIENCE;
        self.request()
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The deadline has passed: says the last word again, or gives up.
    pub(crate) fn tick(&mut self, now: Instant) -> State {
        self.deadline = now + PATIENCE;
        self.tries += 1;
        if self.pause == Pause::Now {
            return State::Waiting;
        }
        if self.tries > TRIES {
            return State::Failed(format!("silence after block {}", self.next - 1));
        }
        let said = if self.counts.first_reply.is_none() {
            self.counts.asked_again += 1;
            self.request()
        } else {
            self.acknowledge()
        };
        said.map_or_else(
            |error| State::Failed(error.to_string()),
            |()| State::Waiting,
        )
    }

    /// Ends the silence; who has not come to it yet leaves it out.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if std::mem::replace(&mut self.pause, Pause::None) == Pause::Now {
            self.deadline = now + PATIENCE;
            // Where it fails, the deadline says so.
            let _ = self.acknowledge();
        }
    }

    /// Takes one datagram, if there is one.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> State {
        let state = match self.datagram(buffer, now) {
            Ok(length) => self.take(buffer.get(..length).unwrap_or_default(), now),
            // The second is a blocking socket's word for the first.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(State::Waiting)
            }
            Err(error) => Err(error),
        };
        state.unwrap_or_else(|error| State::Failed(error.to_string()))
    }

    /// The first reply says where the server goes on; from then on nobody else is heard.
    fn datagram(&mut self, buffer: &mut [u8], now: Instant) -> io::Result<usize> {
        if self.counts.first_reply.is_some() {
            return self.socket.recv(buffer);
        }
        let (length, server) = self.socket.recv_from(buffer)?;
        self.socket.connect(server)?;
        self.counts.first_reply = Some(now - self.asked_at);
        Ok(length)
    }

    fn take(&mut self, datagram: &[u8], now: Instant) -> io::Result<State> {
        if let [0, 3, high, low, payload @ ..] = datagram {
            return self.block(u16::from_be_bytes([*high, *low]), payload, now);
        }
        match Packet::from_bytes(datagram, datagram.len()) {
            Some(Packet::Oack(options)) if self.next == 1 => {
                for (name, value) in &options {
                    match name.to_ascii_lowercase().as_str() {
                        "blksize" => self.blksize = value.parse().unwrap_or(0),
                        "windowsize" => self.window = value.parse().unwrap_or(0),
                        _ => {}
                    }
                }
                self.acknowledge()?;
                Ok(State::Waiting)
            }
            Some(Packet::Error { code, message }) => {
                Ok(State::Failed(format!("error {code}: {message}")))
            }
            _ => Ok(State::Waiting),
        }
    }

    fn block(&mut self, number: u16, payload: &[u8], now: Instant) -> io::Result<State> {
        // Block numbers go round: the low 16 bits of the one awaited tell what is ahead.
        let [.., high, low] = self.next.to_be_bytes();
        match number.wrapping_sub(u16::from_be_bytes([high, low])) {
            0 => {}
            behind if behind >= 0x8000 => {
                self.counts.duplicates += 1;
                return Ok(State::More);
            }
            _ => return self.gap(),
        }
        let rest = self.ask.content.get(self.received..).unwrap_or_default();
        if payload.len() != rest.len().min(self.blksize) || !rest.starts_with(payload) {
            return Ok(State::Failed(format!("wrong bytes in block {}", self.next)));
        }
        self.received += payload.len();
        self.next += 1;
        self.gap_reported = false;
        self.tries = 0;
        self.deadline = now + PATIENCE;
        if self.pause == Pause::Ahead {
            self.pause = Pause::Now;
            return Ok(State::Paused);
        }
        let last = payload.len() < self.blksize;
        if !last && self.next - 1 < self.acknowledged + self.window {
            return Ok(State::More);
        }
        self.acknowledge()?;
        Ok(if last { State::Done } else { State::Waiting })
    }

    /// A block is missing, which is said once.
    fn gap(&mut self) -> io::Result<State> {
        if !self.gap_reported {
            self.gap_reported = true;
            self.acknowledge()?;
        }
        Ok(State::More)
    }

    fn request(&self) -> io::Result<()> {
        let Ask {
            server,
            file,
            blksize,
            window,
            ..
        } = self.ask;
        let mut packet = format!("\0\x01{file}\0octet\0tsize\x000\0blksize\0{blksize}\0");
        if window > 1 {
            packet = format!("{packet}windowsize\0{window}\0");
        }
        self.socket.send_to(packet.as_bytes(), server).map(drop)
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        self.acknowledged = self.next - 1;
        let [.., high, low] = self.acknowledged.to_be_bytes();
        self.socket.send(&[0, 4, high, low]).map(drop)
    }
}
