//! Interference between a client and the link, the same for every transfer.

use std::time::{Duration, Instant};

use tftpd::proto::Packet;

use crate::{
    client::Client,
    server::{Port, Send},
};

/// Implements methods of [`Client`] by those of the field `client`.
macro_rules! forward {
    ($($method:ident),+) => { $(forward!(@ $method);)+ };
    (@ unreachable) => {
        fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
            self.client.unreachable(port, now, send);
        }
    };
    (@ is_listening) => {
        fn is_listening(&self) -> bool {
            self.client.is_listening()
        }
    };
    (@ file) => {
        fn file(&self) -> &[u8] {
            self.client.file()
        }
    };
    (@ is_complete) => {
        fn is_complete(&self) -> bool {
            self.client.is_complete()
        }
    };
}
pub(crate) use forward;

/// A client each of whose ACKs is sent twice, the second one `later`.
pub(crate) struct Echoing<C> {
    client: C,
    later: Duration,
    echoes: Vec<(Instant, Port, Vec<u8>)>,
}

impl<C: Client> Echoing<C> {
    pub(crate) fn new(client: C, later: Duration) -> Self {
        Self {
            client,
            later,
            echoes: Vec::new(),
        }
    }

    fn echo(&mut self, now: Instant, send: Send<'_>, act: impl FnOnce(&mut C, Send<'_>)) {
        let Self {
            client,
            later,
            echoes,
        } = self;
        act(client, &mut |port, datagram| {
            if matches!(Packet::decode(&datagram), Ok(Packet::Ack(_))) {
                echoes.push((now + *later, port, datagram.clone()));
            }
            send(port, datagram);
        });
    }
}

impl<C: Client> Client for Echoing<C> {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        self.echo(now, send, |client, send| {
            client.receive(port, datagram, now, send);
        });
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        let due = self.echoes.iter().take_while(|(at, ..)| *at <= now).count();
        self.echoes
            .drain(..due)
            .for_each(|(_, port, datagram)| send(port, datagram));
        if self.client.deadline().is_some_and(|at| at <= now) {
            self.echo(now, send, |client, send| client.tick(now, send));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let echo = self.echoes.first().map(|(at, ..)| *at);
        echo.into_iter().chain(self.client.deadline()).min()
    }

    forward!(unreachable, is_listening, file, is_complete);
}

/// A client behind a function that drops, holds or passes each datagram it is sent.
pub(crate) struct Meddled<C, M> {
    client: C,
    meddle: M,
}

impl<C: Client, M: FnMut(&[u8]) -> Vec<Vec<u8>>> Meddled<C, M> {
    /// `meddle` returns for each datagram those that arrive instead.
    pub(crate) fn new(client: C, meddle: M) -> Self {
        Self { client, meddle }
    }
}

/// Exchanges the first two blocks of each window.
pub(crate) fn exchanging(window: u16) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    let mut held = None;
    move |datagram| {
        let datagram = datagram.to_vec();
        let opens = block_of(&datagram).is_some_and(|block| block % window == 1);
        if opens && held.is_none() {
            held = Some(datagram);
            return vec![];
        }
        [datagram].into_iter().chain(held.take()).collect()
    }
}

/// Loses the first datagram with `block`.
pub(crate) fn missing(block: u16) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    let mut missing = Some(block);
    move |datagram| {
        if missing.is_some() && block_of(datagram) == missing {
            missing = None;
            return vec![];
        }
        vec![datagram.to_vec()]
    }
}

fn block_of(datagram: &[u8]) -> Option<u16> {
    match Packet::decode(datagram) {
        Ok(Packet::Data(data)) => Some(data.block),
        _ => None,
    }
}

impl<C: Client, M: FnMut(&[u8]) -> Vec<Vec<u8>>> Client for Meddled<C, M> {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        for datagram in (self.meddle)(datagram) {
            self.client.receive(port, &datagram, now, send);
        }
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        self.client.tick(now, send);
    }

    fn deadline(&self) -> Option<Instant> {
        self.client.deadline()
    }

    forward!(unreachable, is_listening, file, is_complete);
}
