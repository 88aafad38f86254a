//! A server as small as can be: a listener, sessions on ports of their own, and for each session
//! a resource that must not outlive it.

use std::{collections::BTreeMap, net::Ipv4Addr, rc::Rc, time::Duration, time::Instant};

use eport_core::{Allocator, Lease, Policy, Reserved, Space};

use tftpd::proto::{
    Direction, ErrorCode, GrantLimits, Input, Opening, Outcome, Packet, ReceiverConfig, Request,
    SenderConfig, grant,
};

use crate::{
    ends,
    ends::{Receiving, Sending, Transfer},
};

/// A port of the server. There is one client, with one port.
pub(crate) type Port = u16;

/// Where requests go.
pub(crate) const LISTENER: Port = 69;

/// An equal request that comes so soon after progress is a late copy of the one that is being
/// served: no machine starts again so fast.
const LATE_COPY: Duration = Duration::from_secs(1);

/// How long a finished upload waits for its last block to come again.
const DALLY: Duration = Duration::from_secs(3);

/// Takes requests and serves each from a port of its own. `L` leases what a session holds: a port
/// in real life; without one, the answer is silence.
pub(crate) struct Server<L, R> {
    files: BTreeMap<Vec<u8>, Rc<[u8]>>,
    lease: L,
    jitter_seed: u32,
    next_port: Port,
    /// The session of the one client there is.
    session: Option<Session<R>>,
    pub(crate) ended: Vec<Ended>,
    /// What was written, in the order in which it was made to last.
    pub(crate) stored: Vec<Vec<u8>>,
}

struct Session<R> {
    port: Port,
    request: Vec<u8>,
    transfer: Transfer,
    deadline: Option<Instant>,
    _lease: R,
}

/// A session that is over.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) resent: u32,
}

/// Where the server's datagrams go.
pub(crate) type Send<'a> = &'a mut dyn FnMut(Port, Vec<u8>);

impl<R, L: FnMut() -> Option<R>> Server<L, R> {
    pub(crate) fn new(lease: L, jitter_seed: u32) -> Self {
        Self {
            files: BTreeMap::new(),
            lease,
            jitter_seed,
            next_port: 61_000,
            session: None,
            ended: Vec::new(),
            stored: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &[u8], file: Rc<[u8]>) {
        self.files.insert(name.to_vec(), file);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.session.as_ref()?.deadline
    }

    pub(crate) fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        if port == LISTENER {
            self.request(datagram, now, send);
        } else {
            self.input(port, Input::Datagram(datagram), now, send);
        }
    }

    /// Something happened to the session on `port`, if there still is one.
    pub(crate) fn input(&mut self, port: Port, input: Input<'_>, now: Instant, send: Send<'_>) {
        if self.port() == Some(port)
            && let Some(session) = &mut self.session
        {
            session.transfer.handle(input, now);
            self.drain(now, send);
        }
    }

    pub(crate) fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(port) = self.port() {
            self.input(port, Input::Timer, now, send);
        }
    }

    /// Whether something is bound to `port`.
    pub(crate) fn is_listening(&self, port: Port) -> bool {
        port == LISTENER || self.port() == Some(port)
    }

    fn port(&self) -> Option<Port> {
        self.session.as_ref().map(|session| session.port)
    }

    fn request(&mut self, datagram: &[u8], now: Instant, send: Send<'_>) {
        let Ok(Packet::Request(request)) = Packet::decode(datagram) else {
            return;
        };
        if self.is_repeated(datagram, now) {
            self.drain(now, send);
            return;
        }
        // Whatever the client did before, it does no longer.
        if let Some(port) = self.port() {
            self.input(
                port,
                Input::Abort(ErrorCode::NotDefined),
                now,
                &mut |_, _| (),
            );
        }
        let file = self.files.get(request.filename).map(Rc::clone);
        if file.is_none() && request.direction == Direction::Read {
            send(LISTENER, ends::error(ErrorCode::FileNotFound));
            return;
        }
        if let Some(lease) = (self.lease)() {
            let transfer = match file.filter(|_| request.direction == Direction::Read) {
                Some(file) => Transfer::Sending(self.sending(&request, file, now)),
                None => Transfer::Receiving(self.receiving(&request, now)),
            };
            self.open(transfer, datagram, lease);
            self.drain(now, send);
        }
    }

    /// Whether the session that exists answers this request.
    fn is_repeated(&mut self, datagram: &[u8], now: Instant) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if session.request != datagram {
            return false;
        }
        let transfer = &mut session.transfer;
        let young = transfer.is_half_open() || now < transfer.progress_at() + LATE_COPY;
        transfer.repeat_first_reply(now);
        young
    }

    fn open(&mut self, transfer: Transfer, datagram: &[u8], lease: R) {
        self.next_port += 1;
        self.session = Some(Session {
            port: self.next_port,
            request: datagram.to_vec(),
            transfer,
            deadline: None,
            _lease: lease,
        });
    }

    fn sending(&self, request: &Request<'_>, file: Rc<[u8]>, now: Instant) -> Sending {
        let size = file.len() as u64;
        let (terms, oack) = grant(&request.options, &GrantLimits::default(), Some(size));
        let config = SenderConfig {
            terms,
            jitter_seed: self.jitter_seed,
            ..SenderConfig::new(size)
        };
        Sending::new(config, oack, file, now)
    }

    fn receiving(&self, request: &Request<'_>, now: Instant) -> Receiving {
        let announced = request.options.tsize;
        let (terms, oack) = grant(&request.options, &GrantLimits::default(), announced);
        let config = ReceiverConfig {
            terms,
            dally: DALLY,
            jitter_seed: self.jitter_seed,
            ..ReceiverConfig::default()
        };
        let opening = oack.map_or(Opening::AckRequest, Opening::Oack);
        Receiving::new(config, opening, now)
    }

    /// Sends what is due, and lets go of a session that is over.
    fn drain(&mut self, now: Instant, send: Send<'_>) {
        let Some(session) = &mut self.session else {
            return;
        };
        let port = session.port;
        session.deadline = session.transfer.drain(now, |datagram| send(port, datagram));
        if let Transfer::Receiving(receiving) = &mut session.transfer
            && receiving.committed
        {
            receiving.committed = false;
            self.stored.push(std::mem::take(&mut receiving.file));
        }
        if let Some(outcome) = session.transfer.outcome() {
            self.ended.push(Ended {
                outcome: outcome.clone(),
                resent: session.transfer.resent(),
            });
            self.session = None;
        }
    }
}

/// The allocator of the real server, on a host without sockets.
#[derive(Clone, Debug)]
pub(crate) struct Ports(Allocator);

impl Ports {
    pub(crate) fn new() -> Self {
        let few = "61000-61015".parse().expect("a range");
        let plan = eport_core::plan(&few, None, &Reserved::nothing()).expect("ports");
        Self(Allocator::new(plan, Policy::seeded([1; 32])).expect("an allocator"))
    }

    /// Leases a port to which nothing is bound.
    pub(crate) fn take(&self) -> Option<Lease<()>> {
        self.0
            .claim(Space::udp(Ipv4Addr::LOCALHOST), None, |_| Ok(()))
            .ok()
    }

    pub(crate) fn held(&self) -> usize {
        self.0.stats().leased
    }

    pub(crate) fn taken(&self) -> u64 {
        self.0.stats().draws
    }
}
