//! The request, and the first answer to it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{
    TransferError,
    connection::{Connection, ForeignSenders},
};
use crate::{
    net::{self, ClientSocket, Event, Lost},
    proto::{Direction, Error, ErrorCode, Oack, Options, Packet, Request, Terms, accept},
};

/// A transfer whose request was answered.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// The negotiated values.
    pub(super) terms: Terms,
    /// The options of the server's OACK, if it answered with one.
    pub(super) oack: Option<Options>,
    /// DATA 1, if it was the answer.
    pub(super) first_block: Option<Vec<u8>>,
    /// Time of the first transmission of the request.
    pub(super) asked_at: Instant,
    /// Time of the answer.
    pub(super) answered_at: Instant,
    /// Retransmissions of the request.
    pub(super) repeated: u32,
}

/// The deadline for an answer, shared by all addresses of a server.
#[derive(Clone, Copy)]
pub(super) struct AnswerDeadline {
    within: Duration,
    at: Instant,
}

impl AnswerDeadline {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            within,
            at: net::now() + within,
        }
    }
}

/// The first retransmission time-out of a request; it doubles each time. Retransmissions come from
/// the same port, so that a server can distinguish them from a second transfer.
const FIRST_RESEND: Duration = Duration::from_millis(500);

/// Sends `request` to `server` until it is answered or the deadline passes.
pub(super) async fn open(
    socket: ClientSocket,
    server: SocketAddr,
    request: &Request<'_>,
    limit: AnswerDeadline,
) -> Result<Opened, TransferError> {
    let mut packet = Vec::new();
    request.encode(&mut packet);
    let asked_at = net::now();
    let mut pending = OpenRequest {
        socket,
        server,
        foreign: ForeignSenders::default(),
        other: None,
    };
    let (mut repeated, mut resend_after) = (0, FIRST_RESEND);
    loop {
        pending
            .socket
            .send_to(&packet, server)
            .await
            .map_err(|error| TransferError::not_sent(server, error))?;
        let until = limit.at.min(net::now() + resend_after);
        if let Some((peer, answer)) = pending.receive(request, until).await? {
            return Ok(Opened {
                connection: Connection::new(pending.socket, peer, pending.foreign),
                terms: answer.terms,
                oack: answer.oack,
                first_block: answer.first_block,
                asked_at,
                answered_at: net::now(),
                repeated,
            });
        }
        if net::now() >= limit.at {
            return Err(pending.no_answer(limit));
        }
        repeated += 1;
        resend_after *= 2;
    }
}

struct OpenRequest {
    socket: ClientSocket,
    server: SocketAddr,
    foreign: ForeignSenders,
    /// The address of an answer from another host.
    other: Option<SocketAddr>,
}

impl OpenRequest {
    /// Waits for an answer; `None` once `until` has passed.
    async fn receive(
        &mut self,
        request: &Request<'_>,
        until: Instant,
    ) -> Result<Option<(SocketAddr, Answer)>, TransferError> {
        loop {
            let Ok(event) = timeout_at(until.into(), self.socket.receive()).await else {
                return Ok(None);
            };
            match event.map_err(TransferError::Socket)? {
                Event::Datagram { length, from } => {
                    if let Some(answer) = self.datagram(length, from, request).await? {
                        return Ok(Some((from, answer)));
                    }
                }
                Event::Lost(lost) => self.lost(lost)?,
            }
        }
    }

    async fn datagram(
        &mut self,
        length: usize,
        from: SocketAddr,
        request: &Request<'_>,
    ) -> Result<Option<Answer>, TransferError> {
        let answer = Answer::read(self.socket.datagram(length), request);
        if from.ip() != self.server.ip() {
            if !matches!(answer, Ok(None)) {
                self.other.get_or_insert(from);
            }
            self.foreign.refuse(&mut self.socket, length, from).await;
            return Ok(None);
        }
        if let Err(TransferError::Options(_)) = answer {
            let mut packet = Vec::new();
            Error::new(ErrorCode::OptionNegotiation).encode(&mut packet);
            // Sent once, as all errors are.
            let _ = self.socket.send_to(&packet, from).await;
        }
        answer
    }

    fn lost(&self, lost: Lost) -> Result<(), TransferError> {
        let to_server = (lost.to.ip(), lost.to.port()) == (self.server.ip(), self.server.port());
        match TransferError::lost(self.server, lost.why) {
            Some(error) if to_server => Err(error),
            _ => Ok(()),
        }
    }

    fn no_answer(&self, limit: AnswerDeadline) -> TransferError {
        let server = self.server;
        match self.other {
            Some(answered) => TransferError::OtherAddress {
                asked: server,
                answered,
            },
            None => TransferError::NoAnswer {
                server,
                waited: limit.within,
            },
        }
    }
}

/// The answer to a request.
#[derive(Default)]
struct Answer {
    terms: Terms,
    oack: Option<Options>,
    first_block: Option<Vec<u8>>,
}

impl Answer {
    /// Decodes an answer; `None` if the datagram does not answer `request`.
    fn read(datagram: &[u8], request: &Request<'_>) -> Result<Option<Self>, TransferError> {
        Ok(match (Packet::decode(datagram), request.direction) {
            (Ok(Packet::Data(data)), Direction::Read) if data.block == 1 => Some(Self {
                first_block: Some(datagram.to_vec()),
                ..Self::default()
            }),
            (Ok(Packet::Ack(ack)), Direction::Write) if ack.block == 0 => Some(Self::default()),
            (Ok(Packet::Oack(body)), _) => {
                let oack = Oack::decode(body)?.options;
                Some(Self {
                    terms: accept(&request.options, &oack)?,
                    oack: Some(oack),
                    first_block: None,
                })
            }
            (Ok(Packet::Error(error)), _) => {
                return Err(TransferError::refused(error.code, error.text));
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Blksize, Mode};

    fn read(direction: Direction, datagram: &[u8]) -> Result<Option<Answer>, TransferError> {
        let options = Options {
            blksize: Blksize::new(1428),
            ..Options::default()
        };
        let request = Request {
            direction,
            filename: b"x",
            mode: Mode::Octet,
            options,
        };
        Answer::read(datagram, &request)
    }

    #[test]
    fn only_block_1_answers_a_read_and_only_ack_0_a_write() {
        for (direction, datagram, answers) in [
            (Direction::Read, &b"\x00\x03\x00\x01x"[..], true),
            (Direction::Read, b"\x00\x03\x00\x02x", false),
            (Direction::Read, b"\x00\x04\x00\x00", false),
            (Direction::Write, b"\x00\x04\x00\x00", true),
            (Direction::Write, b"\x00\x04\x00\x01", false),
            (Direction::Write, b"\x00\x03\x00\x01x", false),
            (Direction::Read, b"\x00\x01x\x00octet\x00", false),
            (Direction::Read, b"", false),
        ] {
            let answer = read(direction, datagram).expect("no error");
            assert_eq!(answer.is_some(), answers, "{direction:?} {datagram:?}");
        }
    }

    #[test]
    fn an_oack_answers_both_and_must_not_raise_what_was_asked() {
        for direction in [Direction::Read, Direction::Write] {
            let answer = read(direction, b"\x00\x06blksize\x00512\x00").expect("less is fine");
            assert_eq!(answer.expect("an answer").terms.blksize, Blksize::DEFAULT);
            let raised = read(direction, b"\x00\x06blksize\x009000\x00");
            assert!(matches!(raised, Err(TransferError::Options(_))));
            let unasked = read(direction, b"\x00\x06tsize\x0012\x00");
            assert!(matches!(unasked, Err(TransferError::Options(_))));
        }
    }
}
