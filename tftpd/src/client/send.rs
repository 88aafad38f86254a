//! Sending a file after the first answer.

use std::time::Instant;

use tokio::io::AsyncRead;

use super::{
    Client, TransferError, Transferred,
    clock::Clock,
    connection::{Connection, Event},
    handshake::Opened,
    send_buffer::SendBuffer,
    stall_timer::StallTimer,
};
use crate::{
    net,
    proto::{
        Blksize, Error, ErrorCode, Input, Outcome, Patience, Sender, SenderConfig, SenderOutput,
    },
};

/// Sends `source` over `opened`; `size` is its announced size in bytes.
pub(super) async fn send<S>(
    client: &Client,
    opened: Opened,
    source: &mut S,
    size: Option<u64>,
) -> Result<Transferred, TransferError>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let mut sending = FileSender::new(client, &opened, source, size);
    let mut connection = opened.connection;
    sending.run(&mut connection).await?;
    let (size, resent) = sending.finish()?;
    Ok(Transferred {
        size,
        elapsed: net::now() - opened.asked_at,
        server: connection.peer(),
        resent: resent + opened.repeated,
    })
}

struct FileSender<'a, S: ?Sized> {
    client: &'a Client,
    sender: Sender,
    clock: Clock,
    stall: StallTimer,
    buffer: SendBuffer<'a, S>,
    size: Option<u64>,
    blksize: Blksize,
    failure: Option<TransferError>,
}

impl<'a, S> FileSender<'a, S>
where
    S: AsyncRead + Unpin + ?Sized,
{
    fn new(client: &'a Client, opened: &Opened, source: &'a mut S, size: Option<u64>) -> Self {
        let (clock, blksize) = (Clock::default(), opened.terms.blksize);
        let now = clock.now();
        Self {
            client,
            sender: sender(client.patience, opened, now),
            clock,
            stall: StallTimer::new(blksize, now, client.limits()),
            buffer: SendBuffer::new(source, opened.terms, client.mode),
            size,
            blksize,
            failure: None,
        }
    }

    async fn run(&mut self, connection: &mut Connection) -> Result<(), TransferError> {
        loop {
            match self.sender.poll() {
                SenderOutput::Done => return Ok(()),
                SenderOutput::Wait(_) if self.stall.has_expired(self.clock.now()) => {
                    return Err(self.stall_error());
                }
                SenderOutput::Wait(until) => {
                    let until = self.clock.to_system(self.stall.limit(until));
                    match connection.receive(until).await? {
                        Event::Datagram(datagram) => self.datagram(datagram),
                        Event::PortClosed => self.input(Input::Unreachable),
                        Event::TimedOut => self.input(Input::Timer),
                    }
                }
                SenderOutput::Blocks { first, count } => {
                    if let Err(failure) = self.blocks(connection, first, count).await {
                        self.abort(failure);
                    }
                }
                SenderOutput::Error(code) => {
                    let mut packet = Vec::new();
                    Error::new(code).encode(&mut packet);
                    connection.send(&packet).await;
                }
                // Only a server opens with an OACK.
                SenderOutput::Oack(_) => {}
            }
        }
    }

    fn datagram(&mut self, datagram: &[u8]) {
        self.input(Input::Datagram(datagram));
        let acknowledged = self.sender.acknowledged_blocks();
        self.buffer.release(acknowledged);
        // The last block is shorter, so the bytes taken from the source are the upper bound.
        let full = acknowledged.saturating_mul(self.blksize.bytes().into());
        let transferred = full.min(self.buffer.taken());
        if self.stall.on_packet(transferred, self.clock.now()) {
            self.client.progressed(transferred, self.size);
        }
    }

    async fn blocks(
        &mut self,
        connection: &mut Connection,
        first: u64,
        count: u16,
    ) -> Result<(), TransferError> {
        for number in first..first + u64::from(count) {
            let known = self.buffer.last();
            let filled = self.clock.pause(self.buffer.fill(number)).await;
            filled.map_err(TransferError::Source)?;
            if let (None, Some(last)) = (known, self.buffer.last()) {
                self.check_size()?;
                self.sender.ends_with(last);
            }
            let Some(packet) = self.buffer.packet(number) else {
                break;
            };
            connection.send(packet).await;
        }
        Ok(())
    }

    /// Checks the announced size before the last block is sent, so that the server does not store a
    /// file of another length as complete.
    fn check_size(&self) -> Result<(), TransferError> {
        let found = self.buffer.taken();
        match self.size {
            Some(announced) if announced != found => Err(TransferError::Size { announced, found }),
            _ => Ok(()),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.sender.handle(input, self.clock.now());
    }

    fn abort(&mut self, failure: TransferError) {
        self.failure = Some(failure);
        self.input(Input::Abort(ErrorCode::NotDefined));
    }

    /// Returns the bytes sent, and the number of packets sent again.
    fn finish(self) -> Result<(u64, u32), TransferError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let sent = self.buffer.taken();
        match self.sender.outcome() {
            Some(Outcome::Completed { last_ack: true }) => Ok((sent, self.sender.resent())),
            Some(Outcome::Completed { last_ack: false }) => {
                Err(TransferError::Unconfirmed { sent })
            }
            Some(Outcome::PeerError { code, text }) => Err(TransferError::refused(*code, text)),
            Some(Outcome::Unreachable(_)) => Err(TransferError::Gone {
                transferred: self.stall.transferred(),
            }),
            Some(Outcome::Violation(what)) => Err(TransferError::Protocol(what)),
            _ => Err(self.stall_error()),
        }
    }

    fn stall_error(&self) -> TransferError {
        match self.stall.error() {
            // A server that repeats its packets is missing some of this side's.
            one_way @ TransferError::OneWay { .. } => one_way,
            _ if self.buffer.last().is_some() => TransferError::Unconfirmed {
                sent: self.buffer.taken(),
            },
            error => error,
        }
    }
}

fn sender(patience: Patience, opened: &Opened, now: Instant) -> Sender {
    let config = SenderConfig {
        size: None,
        terms: opened.terms,
        // Only the last ACK confirms that the server stored the file, so the last block is
        // repeated as long as any other.
        patience: Patience {
            last_block: u8::MAX,
            ..patience
        },
        jitter_seed: u32::from(opened.connection.peer().port()),
    };
    let round_trip = (opened.repeated == 0).then(|| opened.answered_at - opened.asked_at);
    Sender::answered(config, round_trip, now)
}
