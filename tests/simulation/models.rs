//! Clients as the measured ones behave, quirks included.

use std::time::{Duration, Instant};

use tftpd::proto::{Blksize, Options, Packet, Rollover, Windowsize};

use crate::{
    client::{Asking, Client, FILE},
    ends::ack,
    server::{LISTENER, Port, Send},
};

/// A receiver with the habits of firmware.
pub(crate) struct Firmware {
    habits: Habits,
    window: u16,
    blksize: usize,
    /// Until the first answer.
    asking: Option<Asking>,
    server: Port,
    /// The next block in order; the first is 1.
    expected: u64,
    unacknowledged: u16,
    /// How often it repeated its last ACK.
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

/// What one client does and another does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Answers *every* block that is not the expected one with the last good number.
    pub(crate) protests: bool,
    /// How long it waits before it repeats an ACK, and how often; some never do.
    pub(crate) repeats: Option<(Duration, u32)>,
    /// The block with which it is gone, without another word.
    pub(crate) leaves_with: u64,
}

impl Habits {
    /// UEFI firmware: protests at each unexpected block, repeats after 4.5 s, five times.
    pub(crate) const EDK2: Self = Self {
        protests: true,
        repeats: Some((Duration::from_millis(4500), 5)),
        leaves_with: u64::MAX,
    };
    /// GRUB: acknowledges what comes, and never of itself again.
    pub(crate) const GRUB: Self = Self {
        protests: false,
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
            asking: Some(Asking::new(FILE, options, now)),
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
            // All of them answer a copy of the last block, whose ACK may be lost.
            if self.habits.protests || number == Rollover::Zero.to_wire(self.expected - 1) {
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
        send(self.server, ack(Rollover::Zero.to_wire(self.expected - 1)));
    }

    fn wait(&mut self, now: Instant) {
        self.repeat_at = self.habits.repeats.map(|(wait, _)| now + wait);
    }
}

impl Client for Firmware {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        if self.asking.take().is_some() {
            self.server = port;
        } else if port != self.server {
            // Seen with all of them: a stranger is ignored and not told.
            return;
        }
        match Packet::decode(datagram) {
            Ok(Packet::Oack(_)) if self.expected == 1 => self.acknowledge(now, send),
            Ok(Packet::Data(data)) => self.block(data.block, data.payload, now, send),
            _ => {}
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(asking) = &mut self.asking {
            if !asking.again(now, send) {
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
        let asking = self.asking.as_ref().map(Asking::next);
        asking.or(self.repeat_at).filter(|_| self.is_listening())
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

/// Somebody who asks, says a word or two more, and then nothing for ever: a machine that lost its
/// power, or a stranger who put another's address on a packet.
pub(crate) struct Mute {
    request: Option<Asking>,
    words: Vec<Vec<u8>>,
    heard: bool,
}

impl Mute {
    /// Once answered, it sends `words`.
    pub(crate) fn new(options: Options, words: Vec<Vec<u8>>, now: Instant) -> Self {
        Self {
            request: Some(Asking::new(FILE, options, now)),
            words,
            heard: false,
        }
    }
}

impl Client for Mute {
    fn receive(&mut self, port: Port, _: &[u8], _: Instant, send: Send<'_>) {
        self.heard = true;
        self.words.drain(..).for_each(|word| send(port, word));
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(mut asking) = self.request.take() {
            asking.again(now, send);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.request.as_ref().map(Asking::next)
    }

    fn is_listening(&self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        false
    }
}

/// A machine that loses its power when `at` datagrams have come, is down for a while, and asks
/// again from the port it used before.
pub(crate) struct Rebooting<C, F> {
    client: C,
    until_crash: u32,
    /// How long it is down, and what it does then.
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

    /// While it is down, nobody answers for it.
    fn is_listening(&self) -> bool {
        self.up_at.is_some() || self.client.is_listening()
    }

    fn file(&self) -> &[u8] {
        self.client.file()
    }

    fn is_complete(&self) -> bool {
        self.client.is_complete()
    }
}

/// A client that is gone for good when so many datagrams have come.
pub(crate) struct Gone<C> {
    client: C,
    left: u32,
    asked: bool,
}

impl<C: Client> Gone<C> {
    /// With 0 it sends its request and is gone.
    pub(crate) fn after(datagrams: u32, client: C) -> Self {
        Self {
            client,
            left: datagrams,
            asked: false,
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
        self.asked = true;
        self.client.tick(now, send);
    }

    fn deadline(&self) -> Option<Instant> {
        let is_here = !self.asked || self.left > 0;
        self.client.deadline().filter(|_| is_here)
    }

    fn is_listening(&self) -> bool {
        self.deadline().is_some()
    }

    fn is_complete(&self) -> bool {
        self.client.is_complete()
    }
}
