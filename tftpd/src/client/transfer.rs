//! From the first block to the last.

use std::io;

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout_at,
};

use super::{GetError, handshake::Opened};
use crate::{
    net::{self, ClientSocket},
    proto::{
        Ack, Error, ErrorCode, Input, Opening, Outcome, Patience, Receiver, ReceiverConfig,
        ReceiverOutput,
    },
};

/// What has been received.
pub(super) struct Done {
    pub(super) size: u64,
    pub(super) resent: u32,
}

/// Receives the file that `opened` begins into `sink`.
pub(super) async fn receive<S>(
    socket: &mut ClientSocket,
    opened: Opened,
    patience: Patience,
    sink: &mut S,
) -> Result<Done, GetError>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    let config = ReceiverConfig {
        terms: opened.terms,
        patience,
        jitter_seed: u32::from(opened.peer.port()),
        ..ReceiverConfig::default()
    };
    let opening = if opened.first_block.is_some() {
        Opening::AwaitData
    } else {
        Opening::Ack
    };
    let mut transfer = Transfer {
        receiver: Receiver::new(config, opening, net::now()),
        sink_error: None,
    };
    if let Some(block) = opened.first_block {
        transfer.take(&block, sink).await;
    }
    transfer.run(socket, sink).await?;
    transfer.finish()
}

struct Transfer {
    receiver: Receiver,
    sink_error: Option<io::Error>,
}

impl Transfer {
    async fn run<S>(&mut self, socket: &mut ClientSocket, sink: &mut S) -> Result<(), GetError>
    where
        S: AsyncWrite + Unpin + ?Sized,
    {
        let mut packet = Vec::new();
        loop {
            packet.clear();
            match self.receiver.poll() {
                ReceiverOutput::Done => return Ok(()),
                ReceiverOutput::Wait(until) => {
                    match timeout_at(until.into(), socket.receive()).await {
                        Err(_) => drop(self.receiver.handle(Input::Timer, net::now())),
                        Ok(Ok(datagram)) => self.take(datagram, sink).await,
                        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                            self.receiver.handle(Input::Unreachable, net::now());
                        }
                        Ok(Err(error)) => return Err(GetError::Socket(error)),
                    }
                }
                ReceiverOutput::Commit => match sink.flush().await {
                    Ok(()) => self.receiver.committed(net::now()),
                    Err(error) => self.sink_failed(error),
                },
                ReceiverOutput::Ack(block) => Ack { block }.encode(&mut packet),
                ReceiverOutput::Error(code) => Error::new(code).encode(&mut packet),
                // Only a server opens with one.
                ReceiverOutput::Oack(_) => {}
            }
            if !packet.is_empty() {
                // A lost packet is repeated when the timer says so.
                let _ = socket.send(&packet).await;
            }
        }
    }

    async fn take<S>(&mut self, datagram: &[u8], sink: &mut S)
    where
        S: AsyncWrite + Unpin + ?Sized,
    {
        if let Some(stored) = self.receiver.handle(Input::Datagram(datagram), net::now())
            && let Err(error) = sink.write_all(stored.payload).await
        {
            self.sink_failed(error);
        }
    }

    fn sink_failed(&mut self, error: io::Error) {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
            _ => ErrorCode::NotDefined,
        };
        self.sink_error = Some(error);
        self.receiver.handle(Input::Abort(code), net::now());
    }

    fn finish(self) -> Result<Done, GetError> {
        if let Some(error) = self.sink_error {
            return Err(GetError::Sink(error));
        }
        let received = self.receiver.received();
        match self.receiver.outcome() {
            Some(Outcome::Completed { .. }) => Ok(Done {
                size: received,
                resent: self.receiver.resent(),
            }),
            Some(Outcome::PeerError { code, text }) => Err(GetError::refused(*code, text)),
            Some(Outcome::Unreachable(_)) => Err(GetError::Gone { received }),
            Some(Outcome::Violation(what)) => Err(GetError::Protocol(what)),
            _ => Err(GetError::Silence { received }),
        }
    }
}
