//! The interface of clients, and the request with which each begins.

use std::time::{Duration, Instant};

use tftpd::proto::{Direction, Mode, Options, Request};

use crate::server::{LISTENER, Port, Send};

/// The name of the file that clients request unless a test gives another one.
pub(crate) const FILE: &[u8] = b"boot.img";

/// A client of the server, with one port of its own.
pub(crate) trait Client {
    /// Processes a datagram from `port` of the server.
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>);

    /// Processes the expiry of [`deadline`](Self::deadline).
    fn tick(&mut self, now: Instant, send: Send<'_>);

    /// The next call of [`tick`](Self::tick); `None` if the client only waits, or has ended.
    fn deadline(&self) -> Option<Instant>;

    /// Returns true while the client's port is bound.
    fn is_listening(&self) -> bool;

    /// Processes an ICMP error: the server's `port` is closed. Firmware ignores it.
    fn unreachable(&mut self, _port: Port, _now: Instant, _send: Send<'_>) {}

    /// The bytes received so far.
    fn file(&self) -> &[u8] {
        &[]
    }

    /// Returns true once the client has the whole file, or the ACK of its last block.
    fn is_complete(&self) -> bool;
}

/// A request that is repeated until it is answered.
pub(crate) struct PendingRequest {
    request: Vec<u8>,
    sends: u32,
    first_sent: Instant,
    next: Instant,
}

impl PendingRequest {
    /// Transmissions of an ordinary client.
    const SENDS: u32 = 8;

    /// A request to read.
    pub(crate) fn read(name: &[u8], options: Options, now: Instant) -> Self {
        Self::new(Direction::Read, name, options, now)
    }

    pub(crate) fn new(direction: Direction, name: &[u8], options: Options, now: Instant) -> Self {
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
            first_sent: now,
            next: now,
        }
    }

    /// Sends the request; returns false if it was sent as often as allowed.
    pub(crate) fn send(&mut self, now: Instant, send: Send<'_>) -> bool {
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

    /// The round trip of an answer that arrives now; `None` if the request was sent more than once.
    pub(crate) fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sends == 1).then(|| now - self.first_sent)
    }
}
