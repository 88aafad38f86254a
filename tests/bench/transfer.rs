//! One client: it reads one file over a socket of its own, and compares every byte.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tests::packet::Packet;

/// The request of a client, and the expected content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) file: &'a str,
    pub(crate) content: &'a [u8],
    pub(crate) blksize: u16,
    pub(crate) window: u16,
    /// Set if the client pauses after the first block, until [`Transfer::resume`].
    pub(crate) pause: bool,
}

/// A read, before or after its request was sent.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    job: Job<'a>,
    socket: UdpSocket,
    first_sent: Instant,
    deadline: Instant,
    tries: u32,
    blksize: usize,
    window: u64,
    /// The next block in order; the first is 1.
    next: u64,
    acknowledged: u64,
    received: usize,
    gap_reported: bool,
    pause: Pause,
    pub(crate) counts: Counts,
}

/// The figures of one transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// From the first request to the first reply.
    pub(crate) first_reply: Option<Duration>,
    /// Repetitions of the request.
    pub(crate) requests_repeated: u64,
    /// Blocks received again.
    pub(crate) duplicates: u64,
}

/// The state of a transfer after a datagram.
#[derive(Debug)]
pub(crate) enum State {
    /// The window is not full: more blocks may be in the socket already.
    More,
    /// The client waits for the server.
    Waiting,
    /// The first block has arrived, and the client pauses.
    Paused,
    /// All bytes have arrived, and they are equal to the content.
    Done,
    Failed(String),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pause {
    None,
    Ahead,
    Now,
}

/// The time before a client repeats its last packet, and the most repetitions.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: u32 = 12;

impl<'a> Transfer<'a> {
    /// A client with its socket, before its request.
    pub(crate) fn new(job: Job<'a>, socket: UdpSocket, now: Instant) -> Self {
        Self {
            job,
            socket,
            first_sent: now,
            deadline: now + PATIENCE,
            tries: 0,
            blksize: 512,
            window: 1,
            next: 1,
            acknowledged: 0,
            received: 0,
            gap_reported: false,
            pause: if job.pause { Pause::Ahead } else { Pause::None },
            counts: Counts::default(),
        }
    }

    /// Sends the request.
    pub(crate) fn start(&mut self, now: Instant) -> io::Result<()> {
        self.first_sent = now;
        self.deadline = now + PATIENCE;
        self.request()
    }

    /// The next call of [`tick`](Self::tick).
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Repeats the last packet after the deadline, or fails.
    pub(crate) fn tick(&mut self, now: Instant) -> State {
        self.deadline = now + PATIENCE;
        self.tries += 1;
        if self.pause == Pause::Now {
            return State::Waiting;
        }
        if self.tries > TRIES {
            return State::Failed(format!("no answer after block {}", self.next - 1));
        }
        let sent = if self.counts.first_reply.is_none() {
            self.counts.requests_repeated += 1;
            self.request()
        } else {
            self.acknowledge()
        };
        sent.map_or_else(
            |error| State::Failed(error.to_string()),
            |()| State::Waiting,
        )
    }

    /// Ends the pause; a client that has not reached it will not pause.
    pub(crate) fn resume(&mut self, now: Instant) {
        if std::mem::replace(&mut self.pause, Pause::None) == Pause::Now {
            self.deadline = now + PATIENCE;
            // An error here is followed by a timeout.
            let _ = self.acknowledge();
        }
    }

    /// Processes one datagram, if one has arrived.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> State {
        let state = match self.datagram(buffer, now) {
            Ok(length) => self.take(buffer.get(..length).unwrap_or_default(), now),
            // A blocking socket returns the second for the first.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(State::Waiting)
            }
            Err(error) => Err(error),
        };
        state.unwrap_or_else(|error| State::Failed(error.to_string()))
    }

    /// Receives a datagram; the socket is connected to the port of the first reply.
    fn datagram(&mut self, buffer: &mut [u8], now: Instant) -> io::Result<usize> {
        if self.counts.first_reply.is_some() {
            return self.socket.recv(buffer);
        }
        let (length, server) = self.socket.recv_from(buffer)?;
        self.socket.connect(server)?;
        self.counts.first_reply = Some(now - self.first_sent);
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
        // Block numbers wrap: they are compared with the low 16 bits of the next one.
        let [.., high, low] = self.next.to_be_bytes();
        match number.wrapping_sub(u16::from_be_bytes([high, low])) {
            0 => {}
            behind if behind >= 0x8000 => {
                self.counts.duplicates += 1;
                return Ok(State::More);
            }
            _ => return self.gap(),
        }
        let rest = self.job.content.get(self.received..).unwrap_or_default();
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

    /// Reports a missing block once.
    fn gap(&mut self) -> io::Result<State> {
        if !self.gap_reported {
            self.gap_reported = true;
            self.acknowledge()?;
        }
        Ok(State::More)
    }

    fn request(&self) -> io::Result<()> {
        let Job {
            server,
            file,
            blksize,
            window,
            ..
        } = self.job;
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
