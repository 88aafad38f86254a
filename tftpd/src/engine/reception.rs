//! The way in: from a datagram on the listening port to a transfer, or to the reason for none.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use eport_core::{Allocator, LeaseError};

use crate::{
    backend::{Backend, Content, OpenError},
    net::{Arrival, TransferSocket},
    policy::Name,
    proto::{
        DecodeError, Direction, ErrorCode, Limits, Mode, Packet, Patience, Request, Sender,
        SenderConfig, Terms, grant,
    },
};

use super::{
    record::{Ending, Record, Refusal},
    session::{About, Session},
    source::{Source, Text},
};

/// Decides about requests.
pub(crate) struct Reception {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) allocator: Allocator,
    pub(crate) limits: Limits,
    pub(crate) patience: Patience,
}

/// The circumstances of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) now: Instant,
    pub(super) digest: u64,
    pub(super) jitter_seed: u32,
}

/// What becomes of a request.
pub(super) enum Admission {
    /// A transfer that is ready to send its first reply.
    Start(Box<Session>),
    /// An ERROR from the listening port: a refusal costs no other.
    Refuse(ErrorCode, Option<Record>),
    /// Silence. The client asks again, or it was no client.
    Ignore(Option<Record>),
}

impl Reception {
    pub(super) fn admit(&self, arrival: &Arrival<'_>, visit: Visit) -> Admission {
        if !Self::is_from_a_client(arrival) {
            return Admission::Ignore(None);
        }
        match Packet::decode(arrival.bytes) {
            Ok(Packet::Request(request)) => self.consider(&request, arrival, visit),
            // Two servers that answered each other's strays with an ERROR would never stop.
            Ok(_) | Err(DecodeError::Truncated { .. }) => Admission::Ignore(None),
            Err(_) => Admission::Refuse(ErrorCode::IllegalOperation, None),
        }
    }

    /// Broadcasts are dropped (RFC 1123 §4.2.3.5); so is what seems to come from a server.
    fn is_from_a_client(arrival: &Arrival<'_>) -> bool {
        let port = arrival.client.port();
        arrival.unicast && port != 0 && port != arrival.local.port()
    }

    fn consider(&self, request: &Request<'_>, arrival: &Arrival<'_>, visit: Visit) -> Admission {
        match self.open(request, arrival.client) {
            Ok(content) => self.accept(request, content, arrival, visit),
            Err((refusal, code)) => {
                let record = Some(refused(request, arrival, refusal));
                code.map_or_else(
                    || Admission::Ignore(record.clone()),
                    |code| Admission::Refuse(code, record.clone()),
                )
            }
        }
    }

    fn open(
        &self,
        request: &Request<'_>,
        client: SocketAddr,
    ) -> Result<Content, (Refusal, Option<ErrorCode>)> {
        if request.mode == Mode::Mail {
            return Err((Refusal::Mode, Some(ErrorCode::IllegalOperation)));
        }
        if request.direction == Direction::Write {
            return Err((Refusal::ReadOnly, Some(ErrorCode::AccessViolation)));
        }
        let name = Name::from_request(request.filename)
            .map_err(|error| (Refusal::BadName, Some(error.code())))?;
        self.backend.open_read(&name, client).map_err(|error| {
            let refusal = match error {
                OpenError::NotFound | OpenError::NameTooLong => Refusal::NotFound,
                OpenError::Denied => Refusal::Permission,
                OpenError::NotAFile => Refusal::NotAFile,
                OpenError::Busy(_) => Refusal::Busy,
                OpenError::Io(_) => Refusal::Io,
            };
            (refusal, error.wire_code())
        })
    }

    fn accept(
        &self,
        request: &Request<'_>,
        content: Content,
        arrival: &Arrival<'_>,
        visit: Visit,
    ) -> Admission {
        // As netascii the file has another size, which nobody knows before it is read.
        let (source, size) = match request.mode {
            Mode::Netascii => (Source::Netascii(Text::new(content)), None),
            Mode::Octet | Mode::Mail => {
                let size = content.size();
                (Source::Octet(content), Some(size))
            }
        };
        let (terms, oack) = grant(&request.options, &self.limits, size);
        let lease = match self
            .allocator
            .udp(arrival.local)
            .peer(arrival.client)
            .lease()
        {
            Ok(lease) => lease,
            Err(error) => {
                return Admission::Ignore(Some(refused(request, arrival, no_lease(&error))));
            }
        };
        let socket = TransferSocket::new(lease, terms.blksize, terms.windowsize);
        let config = SenderConfig {
            terms,
            patience: self.patience,
            jitter_seed: visit.jitter_seed,
            ..SenderConfig::new(size)
        };
        let mut local = arrival.local;
        local.set_port(socket.port());
        Admission::Start(Box::new(Session {
            socket,
            sender: Sender::new(config, oack, visit.now),
            source,
            about: About {
                client: arrival.client,
                local,
                path: request.filename.into(),
                terms,
                started: visit.now,
                request: visit.digest,
            },
            queued: None,
            deadline: visit.now,
            trouble: None,
        }))
    }
}

fn no_lease(error: &LeaseError) -> Refusal {
    match error {
        LeaseError::Exhausted { .. } => Refusal::NoPort,
        LeaseError::NoDescriptors { .. } | LeaseError::NoMemory { .. } => Refusal::Busy,
        _ => Refusal::Io,
    }
}

fn refused(request: &Request<'_>, arrival: &Arrival<'_>, refusal: Refusal) -> Record {
    Record {
        client: arrival.client,
        local: arrival.local,
        direction: request.direction,
        path: request.filename.into(),
        size: None,
        elapsed: std::time::Duration::ZERO,
        terms: Terms::default(),
        resent: 0,
        ending: Ending::Refused(refusal),
    }
}
