//! From a request to the port that answers it.

use std::{io, net::SocketAddr, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::GetError;
use crate::{
    net::ClientSocket,
    proto::{Oack, Packet, Request, Terms, accept},
};

/// A transfer that has begun.
pub(super) struct Opened {
    /// The port of the server that carries it.
    pub(super) peer: SocketAddr,
    pub(super) terms: Terms,
    /// What the server says of the size.
    pub(super) size: Option<u64>,
    /// DATA 1, if it was the answer.
    pub(super) first_block: Option<Vec<u8>>,
}

/// The request is repeated after this long, then after twice as long, and so on: from the same
/// port, so that a server can tell a repetition from a second transfer.
const FIRST_RESEND: Duration = Duration::from_millis(500);

/// Sends `request` to `server` until it is answered, and connects `socket` to who answers.
pub(super) async fn open(
    socket: &mut ClientSocket,
    server: SocketAddr,
    request: &Request<'_>,
    limit: Duration,
) -> Result<Opened, GetError> {
    let mut packet = Vec::new();
    request.encode(&mut packet);
    let started = Instant::now();
    let (give_up, mut resend_after) = (started + limit, FIRST_RESEND);
    let mut stranger = None;
    loop {
        socket
            .send_to(&packet, server)
            .await
            .map_err(|error| not_sent(server, error))?;
        let until = give_up.min(Instant::now() + resend_after);
        if let Some(opened) = listen(socket, server, request, until, &mut stranger).await? {
            socket
                .connect(opened.peer)
                .await
                .map_err(GetError::Socket)?;
            return Ok(opened);
        }
        if Instant::now() >= give_up {
            return Err(match stranger {
                Some(answered) => GetError::OtherAddress {
                    asked: server,
                    answered,
                },
                None => GetError::NoAnswer {
                    server,
                    waited: limit,
                },
            });
        }
        resend_after *= 2;
    }
}

/// Waits for an answer; `None` when the time is up.
async fn listen(
    socket: &mut ClientSocket,
    server: SocketAddr,
    request: &Request<'_>,
    until: Instant,
    stranger: &mut Option<SocketAddr>,
) -> Result<Option<Opened>, GetError> {
    while let Ok(received) = timeout_at(until, socket.receive_from()).await {
        let (bytes, peer) = received.map_err(|error| not_sent(server, error))?;
        if peer.ip() != server.ip() {
            *stranger = Some(peer);
        } else if let Some(opened) = answer(bytes, peer, request)? {
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

/// What an answer begins, if it is one.
fn answer(
    bytes: &[u8],
    peer: SocketAddr,
    request: &Request<'_>,
) -> Result<Option<Opened>, GetError> {
    let opened = |terms, size, first_block| {
        Some(Opened {
            peer,
            terms,
            size,
            first_block,
        })
    };
    Ok(match Packet::decode(bytes) {
        Ok(Packet::Data(data)) if data.block == 1 => {
            opened(Terms::default(), None, Some(bytes.to_vec()))
        }
        Ok(Packet::Oack(body)) => {
            let options = Oack::decode(body)?.options;
            opened(accept(&request.options, &options)?, options.tsize, None)
        }
        Ok(Packet::Error(error)) => return Err(GetError::refused(error.code, error.text)),
        _ => None,
    })
}

fn not_sent(server: SocketAddr, error: io::Error) -> GetError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => GetError::NothingListens(server),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::PermissionDenied => GetError::Unreachable {
            server,
            source: error,
        },
        _ => GetError::Socket(error),
    }
}
