//! Receiving a file after the first answer.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    Client, TransferError, Transferred,
    clock::Clock,
    connection::{Connection, Event},
    handshake::Opened,
    stall_timer::StallTimer,
};
use crate::{
    net,
    proto::{
        Ack, Error, ErrorCode, Input, Mode, NetasciiDecoder, Opening, Outcome, Receiver,
        ReceiverConfig, ReceiverOutput,
    },
};

/// Receives the file of `opened` into `sink`.
pub(super) async fn receive<S>(
    client: &Client,
    mut opened: Opened,
    sink: &mut S,
) -> Result<Transferred, TransferError>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    let first_block = opened.first_block.take();
    let mut receiving = FileReceiver::new(client, &opened, first_block.is_some(), sink);
    let mut connection = opened.connection;
    if let Some(block) = first_block {
        receiving.datagram(&block).await;
        receiving.stall.restart(receiving.clock.now());
    }
    receiving.run(&mut connection).await?;
    let announced = receiving.announced;
    let done = receiving.finish()?;
    match announced {
        Some(announced) if announced != done.size => Err(TransferError::Size {
            announced,
            found: done.size,
        }),
        _ => Ok(Transferred {
            size: done.size,
            elapsed: net::now() - opened.asked_at,
            server: connection.peer(),
            resent: done.resent + opened.repeated,
        }),
    }
}

struct FileReceiver<'a, S: ?Sized> {
    client: &'a Client,
    receiver: Receiver,
    clock: Clock,
    stall: StallTimer,
    sink: Sink<'a, S>,
    /// The announced size in bytes, if it is comparable with the bytes received.
    announced: Option<u64>,
    failure: Option<io::Error>,
}

/// The result of a complete reception.
struct Done {
    size: u64,
    resent: u32,
}

impl<'a, S> FileReceiver<'a, S>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    fn new(client: &'a Client, opened: &Opened, with_block: bool, sink: &'a mut S) -> Self {
        let config = ReceiverConfig {
            terms: opened.terms,
            patience: client.patience,
            jitter_seed: u32::from(opened.connection.peer().port()),
            ..ReceiverConfig::default()
        };
        let opening = if with_block {
            Opening::AwaitData
        } else {
            Opening::Ack
        };
        let clock = Clock::default();
        let now = clock.now();
        // In netascii the size on the wire differs from the announced size of the file.
        let announced = opened.oack.and_then(|oack| oack.tsize);
        Self {
            client,
            receiver: Receiver::new(config, opening, now),
            stall: StallTimer::new(opened.terms.blksize, now, client.limits()),
            clock,
            sink: Sink::new(sink, client.mode),
            announced: announced.filter(|_| client.mode == Mode::Octet),
            failure: None,
        }
    }

    async fn run(&mut self, connection: &mut Connection) -> Result<(), TransferError> {
        let mut packet = Vec::new();
        loop {
            packet.clear();
            match self.receiver.poll() {
                ReceiverOutput::Done => return Ok(()),
                ReceiverOutput::Wait(_) if self.stall.has_expired(self.clock.now()) => {
                    return Err(self.stall.error());
                }
                ReceiverOutput::Wait(until) => {
                    let until = self.clock.to_system(self.stall.limit(until));
                    match connection.receive(until).await? {
                        Event::Datagram(datagram) => self.datagram(datagram).await,
                        Event::PortClosed => self.input(Input::Unreachable),
                        Event::TimedOut => self.input(Input::Timer),
                    }
                }
                ReceiverOutput::Commit => match self.clock.pause(self.sink.finish()).await {
                    Ok(()) => self.receiver.committed(self.clock.now()),
                    Err(error) => self.sink_failed(error),
                },
                ReceiverOutput::Ack(block) => Ack { block }.encode(&mut packet),
                ReceiverOutput::Error(code) => Error::new(code).encode(&mut packet),
                // Only a server opens with an OACK.
                ReceiverOutput::Oack(_) => {}
            }
            if !packet.is_empty() {
                connection.send(&packet).await;
            }
        }
    }

    async fn datagram(&mut self, datagram: &[u8]) {
        let now = self.clock.now();
        let stored = self.receiver.handle(Input::Datagram(datagram), now);
        if let Some(stored) = stored
            && let Err(error) = self.clock.pause(self.sink.store(stored.payload)).await
        {
            self.sink_failed(error);
        }
        let received = self.receiver.received();
        if self.stall.on_packet(received, self.clock.now()) {
            self.client.progressed(received, self.announced);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        // Only a datagram brings a block.
        let _ = self.receiver.handle(input, self.clock.now());
    }

    fn sink_failed(&mut self, error: io::Error) {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
            _ => ErrorCode::NotDefined,
        };
        self.failure = Some(error);
        self.input(Input::Abort(code));
    }

    fn finish(self) -> Result<Done, TransferError> {
        if let Some(error) = self.failure {
            return Err(TransferError::Sink(error));
        }
        match self.receiver.outcome() {
            Some(Outcome::Completed { .. }) => Ok(Done {
                size: self.sink.written,
                resent: self.receiver.resent(),
            }),
            Some(Outcome::PeerError { code, text }) => Err(TransferError::refused(*code, text)),
            Some(Outcome::Unreachable(_)) => Err(TransferError::Gone {
                transferred: self.receiver.received(),
            }),
            Some(Outcome::Violation(what)) => Err(TransferError::Protocol(what)),
            _ => Err(self.stall.error()),
        }
    }
}

/// The sink, with the decoder for netascii.
struct Sink<'a, S: ?Sized> {
    to: &'a mut S,
    decoder: Option<NetasciiDecoder>,
    text: Vec<u8>,
    written: u64,
}

impl<'a, S> Sink<'a, S>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    fn new(sink: &'a mut S, mode: Mode) -> Self {
        Self {
            to: sink,
            decoder: (mode == Mode::Netascii).then(NetasciiDecoder::default),
            text: Vec::new(),
            written: 0,
        }
    }

    async fn store(&mut self, payload: &[u8]) -> io::Result<()> {
        match &mut self.decoder {
            None => {
                self.written += payload.len() as u64;
                self.to.write_all(payload).await
            }
            Some(decoder) => {
                decoder.decode(payload, &mut self.text);
                self.write_text().await
            }
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut self.text);
            self.write_text().await?;
        }
        self.to.flush().await
    }

    async fn write_text(&mut self) -> io::Result<()> {
        self.written += self.text.len() as u64;
        self.to.write_all(&self.text).await?;
        self.text.clear();
        Ok(())
    }
}
