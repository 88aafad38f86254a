//! The way in: from a datagram on the listening port to a transfer, or to the reason for none.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use eport_core::Allocator;

use crate::{
    backend::{Backend, Content, OpenError, Opened, Upload},
    net::{Arrival, TransferSocket},
    policy::{Name, RequestPolicy, Resolved},
    proto::{
        Blksize, DecodeError, Direction, ErrorCode, GrantLimits, Mode, Opening, Options, Packet,
        Patience, Receiver, ReceiverConfig, Request, Sender, SenderConfig, Terms, grant,
    },
};

use super::{
    receiving::Receiving,
    record::{Ending, Record, Refusal},
    refused::No,
    sending::Sending,
    session::{About, Link, Role, Session},
    source::{Source, Text},
};

/// Decides about requests.
#[derive(Clone)]
pub(crate) struct Reception {
    pub(crate) policy: RequestPolicy,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) allocator: Allocator,
    pub(crate) limits: GrantLimits,
    pub(crate) patience: Patience,
    /// Whether transfers go on from the listening port.
    pub(crate) single_port: bool,
    /// Whether requests to a broadcast address are answered.
    pub(crate) broadcast: bool,
}

/// The port of TFTP servers (RFC 1350, appendix I), from which no client asks.
const SERVERS: u16 = 69;

/// The circumstances of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) now: Instant,
    pub(super) digest: u64,
    pub(super) jitter_seed: u32,
}

impl Reception {
    /// Whether it may come from a client: broadcasts are dropped unless they are wanted (RFC 1123
    /// §4.2.3.5), and so is what seems to come from a server. What was sent to a multicast address
    /// of IPv6 is dropped in any case, for it does not tell which address to answer from.
    pub(super) fn is_from_a_client(&self, arrival: &Arrival<'_>) -> bool {
        let port = arrival.client.port();
        let asked = arrival.unicast || self.broadcast && !arrival.local.ip().is_multicast();
        asked && ![0, SERVERS, arrival.local.port()].contains(&port)
    }

    /// Whether it asks for a transfer, be it in words that make no sense.
    pub(super) fn is_request(arrival: &Arrival<'_>) -> bool {
        matches!(arrival.bytes, [0, 1 | 2, ..])
    }

    /// The code with which to answer what is no request, if at all. Two servers that answered each
    /// other's strays with an ERROR would never stop, so an ERROR never gets one.
    pub(super) fn answer_to_stray(&self, arrival: &Arrival<'_>) -> Option<ErrorCode> {
        match Packet::decode(arrival.bytes) {
            Err(DecodeError::UnknownOpcode(_)) => Some(ErrorCode::IllegalOperation),
            // Transfers have no port of their own: this is one that is over, or never was.
            Ok(Packet::Data(_) | Packet::Ack(_)) if self.single_port => {
                Some(ErrorCode::UnknownTransferId)
            }
            _ => None,
        }
    }

    /// The transfer that is asked for, ready to send its first reply. `made` is the content, if it
    /// had to be made and is there now.
    pub(super) fn admit(
        &self,
        arrival: &Arrival<'_>,
        made: Option<Result<Content, OpenError>>,
        listener: &Arc<UdpSocket>,
        visit: Visit,
    ) -> Result<Box<Session>, No> {
        let Ok(Packet::Request(request)) = Packet::decode(arrival.bytes) else {
            return Err(No::told(Refusal::Malformed, ErrorCode::IllegalOperation));
        };
        let Resolved {
            name,
            quiet_missing,
            ..
        } = self.resolve(&request, arrival.client)?;
        let opened = match made {
            Some(made) => made.map(File::Read).map_err(No::of_open),
            None => self.open(&request, &name, arrival.client),
        };
        let session = opened.and_then(|file| self.accept(&request, file, arrival, listener, visit));
        let file = another_name(&name, request.filename);
        match session {
            Ok(mut session) => {
                session.about.file = file;
                Ok(session)
            }
            Err(no) if quiet_missing => Err(No { file, ..no }.quietly()),
            Err(no) => Err(No { file, ..no }),
        }
    }

    /// What is to be said of a request that became no transfer; nothing if it makes no sense.
    pub(super) fn turned_away(arrival: &Arrival<'_>, refusal: Refusal) -> Option<Record> {
        let Ok(Packet::Request(request)) = Packet::decode(arrival.bytes) else {
            return None;
        };
        Some(Record {
            client: arrival.client,
            local: arrival.local,
            direction: request.direction,
            path: request.filename.into(),
            file: None,
            size: None,
            elapsed: Duration::ZERO,
            terms: Terms::default(),
            resent: 0,
            ending: Ending::Refused(refusal),
        })
    }

    /// Which file is meant, if the client may have any.
    fn resolve(&self, request: &Request<'_>, client: SocketAddr) -> Result<Resolved, No> {
        if request.mode == Mode::Mail {
            return Err(No::told(Refusal::Mode, ErrorCode::IllegalOperation));
        }
        let resolved = self.policy.resolve(request, client.ip());
        resolved.map_err(|turned| No::turned(&turned))
    }

    fn open(&self, request: &Request<'_>, name: &Name, client: SocketAddr) -> Result<File, No> {
        match request.direction {
            Direction::Read => match self.backend.open_read(name, client).map_err(No::of_open)? {
                Opened::Ready(content) => Ok(File::Read(content)),
                Opened::Pending(later) => Err(No::later(later)),
            },
            Direction::Write => {
                // A size in netascii says nothing of the size of the file.
                let announced = request
                    .options
                    .tsize
                    .filter(|_| request.mode == Mode::Octet);
                let upload = self.backend.open_write(name, client, announced);
                upload.map(File::Write).map_err(No::of_open)
            }
        }
    }

    /// Leases a port for the transfer and makes its state machine.
    fn accept(
        &self,
        request: &Request<'_>,
        file: File,
        arrival: &Arrival<'_>,
        listener: &Arc<UdpSocket>,
        visit: Visit,
    ) -> Result<Box<Session>, No> {
        let tsize = match &file {
            // As netascii the file has another size, which nobody knows before it is read.
            File::Read(content) => content.size().filter(|_| request.mode == Mode::Octet),
            File::Write(_) => request.options.tsize,
        };
        let mut socket = self.socket(arrival, listener)?;
        let (terms, oack) = grant(&request.options, &self.limits_of(request, &socket), tsize);
        socket.segment(terms.blksize, terms.windowsize);
        let mut local = arrival.local;
        local.set_port(socket.port());
        let role = match file {
            File::Read(content) => self.sending(content, request.mode, terms, oack, visit),
            File::Write(upload) => self.receiving(upload, request.mode, terms, oack, visit),
        };
        Ok(Box::new(Session {
            link: Link {
                socket,
                trouble: None,
            },
            role,
            about: About {
                client: arrival.client,
                local,
                path: request.filename.into(),
                file: None,
                terms,
                started: visit.now,
                request: visit.digest,
            },
            queued: None,
            deadline: visit.now,
        }))
    }

    /// What is granted on this path: no block that would be cut to pieces on the way. Blocks of 512
    /// bytes are not worth asking for; every path carries them.
    fn limits_of(&self, request: &Request<'_>, socket: &TransferSocket) -> GrantLimits {
        let asked = request.options.blksize.max(request.options.blksize2);
        let fits = asked
            .filter(|asked| *asked > Blksize::DEFAULT)
            .and_then(|_| socket.whole_blksize());
        GrantLimits {
            blksize: fits.map_or(self.limits.blksize, |fits| fits.min(self.limits.blksize)),
            ..self.limits
        }
    }

    /// A port for the transfer: one of its own, unless all use the one that is listened on.
    fn socket(
        &self,
        arrival: &Arrival<'_>,
        listener: &Arc<UdpSocket>,
    ) -> Result<TransferSocket, No> {
        if self.single_port {
            let listener = Arc::clone(listener);
            return Ok(TransferSocket::shared(
                listener,
                arrival.local,
                arrival.client,
            ));
        }
        let lease = self
            .allocator
            .udp(arrival.local)
            .peer(arrival.client)
            .lease();
        let lease = lease.map_err(|error| No::silently(Refusal::from_lease(&error)))?;
        Ok(TransferSocket::own(lease))
    }

    fn sending(
        &self,
        content: Content,
        mode: Mode,
        terms: Terms,
        oack: Option<Options>,
        visit: Visit,
    ) -> Role {
        let size = content.size().filter(|_| mode != Mode::Netascii);
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
        let opening = oack.map_or(Opening::AckRequest, Opening::Oack);
        let receiver = Receiver::new(config, opening, visit.now);
        Role::Receiving(Receiving::new(receiver, upload, mode == Mode::Netascii))
    }
}

/// How long a finished upload waits for its last block to be repeated. Longer than a client that
/// repeats after a second, as most do, needs to do so twice.
const DALLY: Duration = Duration::from_secs(3);

/// The name of the file, if it is not the one that was sent: a slash before it means nothing.
fn another_name(name: &Name, sent: &[u8]) -> Option<Box<[u8]>> {
    let sent = sent.strip_prefix(b"/").unwrap_or(sent);
    (name.as_bytes() != sent).then(|| name.as_bytes().into())
}

/// A file, for reading or for writing.
enum File {
    Read(Content),
    Write(Box<dyn Upload>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Memory;

    #[test]
    fn what_cannot_come_from_a_client_is_not_heard() {
        let reception = |broadcast| Reception {
            policy: RequestPolicy::default(),
            backend: Arc::new(Memory::new()),
            allocator: Allocator::builder().build().expect("ports"),
            limits: GrantLimits::default(),
            patience: Patience::default(),
            single_port: false,
            broadcast,
        };
        let arrival = |client: &str, local: &str, unicast| Arrival {
            bytes: b"\x00\x01x\x00octet\x00",
            client: client.parse().expect("an address"),
            local: local.parse().expect("an address"),
            unicast,
        };
        let (strict, wide) = (reception(false), reception(true));
        for (from, asked, heard) in [
            ("192.0.2.7:2071", "192.0.2.1:6969", true),
            ("192.0.2.7:0", "192.0.2.1:6969", false),
            ("192.0.2.7:69", "192.0.2.1:6969", false),
            ("192.0.2.7:6969", "192.0.2.1:6969", false),
            ("[2001:db8::7]:0", "[2001:db8::1]:69", false),
        ] {
            assert_eq!(
                strict.is_from_a_client(&arrival(from, asked, true)),
                heard,
                "{from}"
            );
        }
        let to_all = arrival("192.0.2.7:2071", "192.0.2.1:69", false);
        assert!(!strict.is_from_a_client(&to_all) && wide.is_from_a_client(&to_all));
        let to_a_group = arrival("[2001:db8::7]:2071", "[ff02::1]:69", false);
        assert!(!wide.is_from_a_client(&to_a_group), "from which address?");
    }
}
