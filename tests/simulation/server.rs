//! A minimal server: a listener, transfers on ports of their own, and for each transfer a resource
//! that must be released with it.

use std::{collections::BTreeMap, net::Ipv4Addr, rc::Rc, time::Duration, time::Instant};

use eport_core::{Allocator, Lease, PortPolicy, Reserved, Space};

use tftpd::proto::{
    Direction, ErrorCode, GrantLimits, Input, Opening, Outcome, Packet, ReceiverConfig, Request,
    SenderConfig, grant,
};

use crate::{
    ends::{self, End},
    world::Node,
};

/// A port of the server. There is one client, with one port.
pub(crate) type Port = u16;

/// The port that requests are sent to.
pub(crate) const LISTENER: Port = 69;

/// An equal request within this time after progress is a late copy of the one that is being served:
/// no machine restarts that fast.
const LATE_COPY: Duration = Duration::from_secs(1);

/// The time for which a finished upload acknowledges copies of its last block.
const DALLY: Duration = Duration::from_secs(3);

/// Serves each request from a port of its own. `L` leases the resource that a transfer holds, a port
/// in production; without one, the request is not answered.
pub(crate) struct Server<L, R> {
    files: BTreeMap<Vec<u8>, Rc<[u8]>>,
    lease: L,
    jitter_seed: u32,
    next_port: Port,
    /// The transfer with the only client.
    active: Option<Active<R>>,
    pub(crate) ended: Vec<Ended>,
    /// The files that were written, in the order in which they were committed.
    pub(crate) stored: Vec<Vec<u8>>,
}

struct Active<R> {
    port: Port,
    request: Vec<u8>,
    end: End,
    deadline: Option<Instant>,
    _lease: R,
}

/// A transfer that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) resent: u32,
}

/// Sends a datagram from or to a port of the server.
pub(crate) type Send<'a> = &'a mut dyn FnMut(Port, Vec<u8>);

impl<R, L: FnMut() -> Option<R>> Server<L, R> {
    pub(crate) fn new(lease: L, jitter_seed: u32) -> Self {
        Self {
            files: BTreeMap::new(),
            lease,
            jitter_seed,
            next_port: 61_000,
            active: None,
            ended: Vec::new(),
            stored: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &[u8], file: Rc<[u8]>) {
        self.files.insert(name.to_vec(), file);
    }

    /// Passes an input to the transfer on `port`, if it still exists.
    fn input(&mut self, port: Port, input: Input<'_>, now: Instant, send: Send<'_>) {
        if self.port() == Some(port)
            && let Some(active) = &mut self.active
        {
            active.end.handle(input, now);
            self.drain(now, send);
        }
    }

    fn port(&self) -> Option<Port> {
        self.active.as_ref().map(|active| active.port)
    }

    fn request(&mut self, datagram: &[u8], now: Instant, send: Send<'_>) {
        let Ok(Packet::Request(request)) = Packet::decode(datagram) else {
            return;
        };
        if self.is_repeated(datagram, now) {
            self.drain(now, send);
            return;
        }
        // The client has abandoned its transfer before this one.
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
            let end = match file.filter(|_| request.direction == Direction::Read) {
                Some(file) => self.sending(&request, file, now),
                None => self.receiving(&request, now),
            };
            self.open(end, datagram, lease);
            self.drain(now, send);
        }
    }

    /// Returns true if the existing transfer answers this request.
    fn is_repeated(&mut self, datagram: &[u8], now: Instant) -> bool {
        let Some(active) = &mut self.active else {
            return false;
        };
        if active.request != datagram {
            return false;
        }
        let transfer = &mut active.end.transfer;
        let young = transfer.is_half_open() || now < transfer.progress_at() + LATE_COPY;
        transfer.repeat_first_reply(now);
        young
    }

    fn open(&mut self, end: End, datagram: &[u8], lease: R) {
        self.next_port += 1;
        self.active = Some(Active {
            port: self.next_port,
            request: datagram.to_vec(),
            end,
            deadline: None,
            _lease: lease,
        });
    }

    fn sending(&self, request: &Request<'_>, file: Rc<[u8]>, now: Instant) -> End {
        let size = file.len() as u64;
        let (terms, oack) = grant(&request.options, &GrantLimits::default(), Some(size));
        let config = SenderConfig::new(size)
            .with_terms(terms)
            .with_jitter_seed(self.jitter_seed);
        End::sending(config, oack, file, now)
    }

    fn receiving(&self, request: &Request<'_>, now: Instant) -> End {
        let announced = request.options.tsize;
        let (terms, oack) = grant(&request.options, &GrantLimits::default(), announced);
        let config = ReceiverConfig::default()
            .with_terms(terms)
            .with_dally(DALLY)
            .with_jitter_seed(self.jitter_seed);
        let opening = oack.map_or(Opening::AckRequest, Opening::Oack);
        End::receiving(config, opening, now)
    }

    /// Sends due datagrams, and drops a transfer that has ended.
    fn drain(&mut self, now: Instant, send: Send<'_>) {
        let Some(active) = &mut self.active else {
            return;
        };
        let port = active.port;
        active.deadline = active.end.drain(now, |datagram| send(port, datagram));
        if std::mem::take(&mut active.end.committed) {
            self.stored.push(std::mem::take(&mut active.end.stored));
        }
        let transfer = &active.end.transfer;
        if let Some(outcome) = transfer.outcome() {
            self.ended.push(Ended {
                outcome: outcome.clone(),
                resent: transfer.resent(),
            });
            self.active = None;
        }
    }
}

impl<R, L: FnMut() -> Option<R>> Node for Server<L, R> {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        if port == LISTENER {
            self.request(datagram, now, send);
        } else {
            self.input(port, Input::Datagram(datagram), now, send);
        }
    }

    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
        self.input(port, Input::Unreachable, now, send);
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        if let Some(port) = self.port() {
            self.input(port, Input::Timer, now, send);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.active.as_ref()?.deadline
    }

    fn is_listening(&self, port: Port) -> bool {
        port == LISTENER || self.port() == Some(port)
    }
}

/// The allocator of the real server, on a host without sockets.
#[derive(Clone, Debug)]
pub(crate) struct Ports(Allocator);

impl Ports {
    pub(crate) fn new() -> Self {
        let few = "61000-61015".parse().expect("a range");
        let plan = eport_core::plan(&few, None, &Reserved::nothing()).expect("ports");
        Self(Allocator::new(plan, PortPolicy::seeded([1; 32])).expect("an allocator"))
    }

    /// Leases a port without a socket.
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
