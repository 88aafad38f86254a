//! The way in: from a datagram on the listening port to a transfer, or to the reason for none.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use eport_core::{Allocator, LeaseError};

use crate::{
    backend::{Backend, Content, OpenError, StoreError, Upload},
    net::{Arrival, TransferSocket},
    policy::Name,
    proto::{
        DecodeError, Direction, ErrorCode, Limits, Mode, Opening, Options, Packet, Patience,
        Receiver, ReceiverConfig, Request, Sender, SenderConfig, Terms, grant,
    },
};

use super::{
    receiving::Receiving,
    record::{Ending, Record, Refusal},
    sending::Sending,
    session::{About, Link, Role, Session},
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
        self.open(request, arrival.client)
            .and_then(|file| self.accept(request, file, arrival, visit))
            .unwrap_or_else(|no| {
                let record = Some(refused(request, arrival, no.refusal));
                match no.code {
                    Some(code) => Admission::Refuse(code, record),
                    None => Admission::Ignore(record),
                }
            })
    }

    fn open(&self, request: &Request<'_>, client: SocketAddr) -> Result<Opened, No> {
        if request.mode == Mode::Mail {
            return Err(No::told(Refusal::Mode, ErrorCode::IllegalOperation));
        }
        let name = Name::from_request(request.filename)
            .map_err(|error| No::told(Refusal::BadName, error.code()))?;
        let opened = match request.direction {
            Direction::Read => self.backend.open_read(&name, client).map(Opened::Read),
            // A size in netascii says nothing of the size of the file.
            Direction::Write if request.mode == Mode::Netascii => self
                .backend
                .open_write(&name, client, None)
                .map(Opened::Write),
            Direction::Write => self
                .backend
                .open_write(&name, client, request.options.tsize)
                .map(Opened::Write),
        };
        opened.map_err(|error| No {
            refusal: Refusal::from_open(&error),
            code: error.wire_code(),
        })
    }

    /// Leases a port for the transfer and makes its state machine.
    fn accept(
        &self,
        request: &Request<'_>,
        file: Opened,
        arrival: &Arrival<'_>,
        visit: Visit,
    ) -> Result<Admission, No> {
        let tsize = match &file {
            // As netascii the file has another size, which nobody knows before it is read.
            Opened::Read(content) => (request.mode == Mode::Octet).then(|| content.size()),
            Opened::Write(_) => request.options.tsize,
        };
        let (terms, oack) = grant(&request.options, &self.limits, tsize);
        let lease = self
            .allocator
            .udp(arrival.local)
            .peer(arrival.client)
            .lease();
        let lease = lease.map_err(|error| No::silently(Refusal::from_lease(&error)))?;
        let socket = TransferSocket::new(lease, terms.blksize, terms.windowsize);
        let mut local = arrival.local;
        local.set_port(socket.port());
        let role = match file {
            Opened::Read(content) => self.sending(content, request.mode, terms, oack, visit),
            Opened::Write(upload) => self.receiving(upload, request.mode, terms, oack, visit),
        };
        Ok(Admission::Start(Box::new(Session {
            link: Link {
                socket,
                trouble: None,
            },
            role,
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
        })))
    }

    fn sending(
        &self,
        content: Content,
        mode: Mode,
        terms: Terms,
        oack: Option<Options>,
        visit: Visit,
    ) -> Role {
        let size = (mode != Mode::Netascii).then(|| content.size());
        let source = match mode {
            Mode::Netascii => Source::Netascii(Text::new(content)),
            Mode::Octet | Mode::Mail => Source::Octet(content),
        };
        let config = SenderConfig {
            terms,
            patience: self.patience,
            jitter_seed: visit.jitter_seed,
            ..SenderConfig::new(size)
        };
        Role::Sending(Sending {
            sender: Sender::new(config, oack, visit.now),
            source,
        })
    }

    fn receiving(
        &self,
        upload: Box<dyn Upload>,
        mode: Mode,
        terms: Terms,
        oack: Option<Options>,
        visit: Visit,
    ) -> Role {
        let config = ReceiverConfig {
            terms,
            patience: self.patience,
            dally: DALLY,
            jitter_seed: visit.jitter_seed,
        };
        let opening = oack.map_or(Opening::Ack, Opening::Oack);
        let receiver = Receiver::new(config, opening, visit.now);
        Role::Receiving(Receiving::new(receiver, upload, mode == Mode::Netascii))
    }
}

/// How long a finished upload waits for its last block to be repeated. Longer than a client that
/// repeats after a second, as most do, needs to do so twice.
const DALLY: Duration = Duration::from_secs(3);

/// A file, for reading or for writing.
enum Opened {
    Read(Content),
    Write(Box<dyn Upload>),
}

/// A request that becomes no transfer.
struct No {
    refusal: Refusal,
    /// What the client is told, if anything.
    code: Option<ErrorCode>,
}

impl No {
    const fn told(refusal: Refusal, code: ErrorCode) -> Self {
        Self {
            refusal,
            code: Some(code),
        }
    }

    const fn silently(refusal: Refusal) -> Self {
        Self {
            refusal,
            code: None,
        }
    }
}

impl Refusal {
    fn from_open(error: &OpenError) -> Self {
        match error {
            OpenError::NotFound | OpenError::NameTooLong => Self::NotFound,
            OpenError::Denied | OpenError::Store(StoreError::Denied) => Self::Permission,
            OpenError::NotAFile => Self::NotAFile,
            OpenError::ReadOnly => Self::ReadOnly,
            OpenError::Store(StoreError::Exists) => Self::Exists,
            OpenError::Store(StoreError::DiskFull | StoreError::TooLarge { .. }) => Self::DiskFull,
            OpenError::Busy(_) => Self::Busy,
            OpenError::Store(StoreError::Io(_)) | OpenError::Io(_) => Self::Io,
        }
    }

    fn from_lease(error: &LeaseError) -> Self {
        match error {
            LeaseError::Exhausted { .. } => Self::NoPort,
            LeaseError::NoDescriptors { .. } | LeaseError::NoMemory { .. } => Self::Busy,
            _ => Self::Io,
        }
    }
}

fn refused(request: &Request<'_>, arrival: &Arrival<'_>, refusal: Refusal) -> Record {
    Record {
        client: arrival.client,
        local: arrival.local,
        direction: request.direction,
        path: request.filename.into(),
        size: None,
        elapsed: Duration::ZERO,
        terms: Terms::default(),
        resent: 0,
        ending: Ending::Refused(refusal),
    }
}
