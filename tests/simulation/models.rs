//! Models of measured clients, quirks included.

use std::time::{Duration, Instant};

use tests::packet;
use tftpd::proto::{Blksize, Options, Packet, Rollover, Windowsize};

use crate::{
    client::{Client, FILE, PendingRequest},
    meddling::forward,
    server::{LISTENER, Port, Send},
};

/// A receiver that behaves like firmware.
pub(crate) struct Firmware {
    habits: Habits,
    window: u16,
    blksize: usize,
    /// `None` after the first answer.
    request: Option<PendingRequest>,
    server: Port,
    /// The next block in order; the first is 1.
    expected: u64,
    unacknowledged: u16,
    /// Repetitions of the last ACK.
    repeats: u32,
    repeat_at: Option<Instant>,
    file: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Open,
    Complete,
    GivenUp,
}

/// The differences between clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Answers *every* block that is not the expected one with the last ACK.
    pub(crate) acknowledges_all: bool,
    /// The time before an ACK is repeated, and the most repetitions; `None` for clients that never do.
    pub(crate) repeats: Option<(Duration, u32)>,
    /// The block after which the client vanishes without an ACK.
    pub(crate) leaves_with: u64,
}

impl Habits {
    /// UEFI firmware: acknowledges each unexpected block, repeats after 4.5 s, five times.
    pub(crate) const EDK2: Self = Self {
        acknowledges_all: true,
        repeats: Some((Duration::from_millis(4500), 5)),
        leaves_with: u64::MAX,
    };
    /// GRUB: acknowledges each block, and never repeats an ACK without one.
    pub(crate) const GRUB: Self = Self {
        acknowledges_all: false,
        repeats: None,
        leaves_with: u64::MAX,
    };
}

impl Firmware {
    pub(crate) fn new(habits: Habits, options: Options, now: Instant) -> Self {
        Self {
            habits,
            window: options.windowsize.map_or(1, Windowsize::blocks),
            blksize: options.blksize.unwrap_or(Blksize::DEFAULT).bytes().into(),
            request: Some(PendingRequest::read(FILE, options, now)),
            server: LISTENER,
            expected: 1,
            unacknowledged: 0,
            repeats: 0,
            repeat_at: None,
            file: Vec::new(),
            state: State::Open,
        }
    }

    fn block(&mut self, number: u16, payload: &[u8], now: Instant, send: Send<'_>) {
        if number != Rollover::Zero.to_wire(self.expected) {
            // All clients answer a copy of the last block, because its ACK may be lost.
            if self.habits.acknowledges_all || number == Rollover::Zero.to_wire(self.expected - 1) {
                self.acknowledge(now, send);
            }
            return;
        }
        self.file.extend_from_slice(payload);
        self.expected += 1;
        self.unacknowledged += 1;
        self.repeats = 0;
        self.wait(now);
        let last = payload.len() < self.blksize;
        let leaves = self.expected > self.habits.leaves_with;
        if !leaves && (last || self.unacknowledged == self.window) {
            self.acknowledge(now, send);
        }
        if last {
            self.state = State::Complete;
        } else if leaves {
            self.state = State::GivenUp;
        }
    }

    fn acknowledge(&mut self, now: Instant, send: Send<'_>) {
        self.unacknowledged = 0;
        self.wait(now);
        let last = Rollover::Zero.to_wire(self.expected - 1);
        send(self.server, packet::Packet::Ack(last).to_bytes());
    }

    fn wait(&mut self, now: Instant) {
        self.repeat_at = self.habits.repeats.map(|(wait, _)| now + wait);
    }
}

impl Client for Firmware {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        if self.request.take().is_some() {
            self.server = port;
        } else if port != self.server {
            // As measured with all clients: a foreign TID is ignored, without ERROR 5.
            return;
        }
        match Packet::decode(datagram) {
            Ok(Packet::Oack(_)) if self.expected == 1 => self.acknowledge(now, send),
            Ok(Packet::Data(data)) => self.block(data.block, data.payload, now, send),
            _ => {}
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(request) = &mut self.request {
            if !request.send(now, send) {
                self.state = State::GivenUp;
            }
        } else if self
            .habits
            .repeats
            .is_some_and(|(_, most)| self.repeats < most)
        {
            self.repeats += 1;
            self.acknowledge(now, send);
        } else {
            self.state = State::GivenUp;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let request = self.request.as_ref().map(PendingRequest::next);
        request.or(self.repeat_at).filter(|_| self.is_listening())
    }

    fn is_listening(&self) -> bool {
        self.state == State::Open
    }

    fn file(&self) -> &[u8] {
        &self.file
    }

    fn is_complete(&self) -> bool {
        self.state == State::Complete
    }
}

/// A client that sends a request, a packet or two more, and then nothing: a machine that lost its
/// power, or an attacker that forged the source address.
pub(crate) struct Mute {
    request: Option<PendingRequest>,
    answers: Vec<Vec<u8>>,
}

impl Mute {
    /// Once answered, it sends `answers`.
    pub(crate) fn new(options: Options, answers: Vec<Vec<u8>>, now: Instant) -> Self {
        Self {
            request: Some(PendingRequest::read(FILE, options, now)),
            answers,
        }
    }
}

impl Client for Mute {
    fn receive(&mut self, port: Port, _: &[u8], _: Instant, send: Send<'_>) {
        self.answers.drain(..).for_each(|answer| send(port, answer));
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(mut request) = self.request.take() {
            request.send(now, send);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.request.as_ref().map(PendingRequest::next)
    }

    fn is_listening(&self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        false
    }
}

/// A machine that crashes after a number of datagrams, is down for a while, and sends its request
/// again from the same port.
pub(crate) struct Rebooting<C, F> {
    client: C,
    until_crash: u32,
    /// The time without power, and the client that starts then.
    then: Option<(Duration, F)>,
    up_at: Option<Instant>,
}

impl<C: Client, F: FnOnce(Instant) -> C> Rebooting<C, F> {
    pub(crate) fn new(client: C, until_crash: u32, down: Duration, then: F) -> Self {
        Self {
            client,
            until_crash,
            then: Some((down, then)),
            up_at: None,
        }
    }
}

impl<C: Client, F: FnOnce(Instant) -> C> Client for Rebooting<C, F> {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        if self.up_at.is_some() {
            return;
        }
        if self.until_crash > 0 {
            self.until_crash -= 1;
            if self.until_crash == 0 {
                self.up_at = self.then.as_ref().map(|(down, _)| now + *down);
                return;
            }
        }
        self.client.receive(port, datagram, now, send);
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if self.up_at.is_none() {
            self.client.tick(now, send);
        } else if let Some((_, then)) = self.then.take() {
            self.up_at = None;
            self.client = then(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.up_at.or_else(|| self.client.deadline())
    }

    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
        if self.up_at.is_none() {
            self.client.unreachable(port, now, send);
        }
    }

    /// While the machine is down, no host answers for it: its port counts as open.
    fn is_listening(&self) -> bool {
        self.up_at.is_some() || self.client.is_listening()
    }

    forward!(file, is_complete);
}

/// A client that vanishes after a number of datagrams.
pub(crate) struct Gone<C> {
    client: C,
    left: u32,
    requested: bool,
}

impl<C: Client> Gone<C> {
    /// With 0 it sends only its request.
    pub(crate) fn after(datagrams: u32, client: C) -> Self {
        Self {
            client,
            left: datagrams,
            requested: false,
        }
    }
}

impl<C: Client> Client for Gone<C> {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        self.left -= 1;
        if self.left > 0 {
            self.client.receive(port, datagram, now, send);
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        self.requested = true;
        self.client.tick(now, send);
    }

    fn deadline(&self) -> Option<Instant> {
        let is_here = !self.requested || self.left > 0;
        self.client.deadline().filter(|_| is_here)
    }

    fn is_listening(&self) -> bool {
        self.deadline().is_some()
    }

    forward!(is_complete);
}
