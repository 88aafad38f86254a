//! A relay between the clients of a test and its server, with a [`Link`] between the two.
//!
//! ```text
//! client ◀──▶ front (requests, rejections) ◀──▶ upstream ◀──▶ server's listening port
//!        ◀──▶ port  (one per transfer)     ◀──▶    "     ◀──▶ port of the transfer
//! ```
//!
//! The server receives the datagrams of each client from an upstream port of the client's own, on
//! the client's address. Both sides see a closed port where there was one: the port of a transfer is
//! closed with the transfer, the upstream port once the client's port is closed.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use eport_core::bind::{self, UdpOptions};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};

use super::link::{Destination, Link, LinkState, PacketId};

/// A relay in a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    control: Arc<RelayControl>,
    thread: Option<JoinHandle<()>>,
}

/// State shared by the relay's thread and the server's record observer.
#[derive(Debug)]
pub(super) struct RelayControl {
    wake: EventFd,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Clients by their upstream addresses.
    clients: HashMap<SocketAddr, SocketAddr>,
    /// Transfers that have ended at the server: client, port of the server.
    ended: Vec<(SocketAddr, u16)>,
    stopped: bool,
}

impl Relay {
    /// Starts a relay to `server` on a free port of the same address.
    pub(super) fn start(link: Arc<dyn Link>, server: SocketAddr) -> io::Result<Self> {
        let front = socket(server)?;
        let address = front.local_addr()?;
        let control = Arc::new(RelayControl {
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            shared: Mutex::default(),
        });
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&front, EpollEvent::new(EpollFlags::EPOLLIN, FRONT))?;
        epoll.add(&control.wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let worker = Worker {
            link,
            server,
            front,
            epoll,
            control: Arc::clone(&control),
            flows: HashMap::new(),
            tokens: HashMap::new(),
            last_token: WAKE,
            buffer: vec![0; 1 << 16].into(),
        };
        let thread = std::thread::Builder::new()
            .name("tftpd-relay".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            address,
            control,
            thread: Some(thread),
        })
    }

    /// Returns the address for clients.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the part that the server's record observer uses.
    pub(super) fn control(&self) -> Arc<RelayControl> {
        Arc::clone(&self.control)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.control.lock().stopped = true;
        self.control.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in the test's link has printed its message already.
            let _ = thread.join();
        }
    }
}

impl RelayControl {
    /// Ends the transfer of a record, given by its addresses at the server; returns the client's
    /// own address.
    pub(super) fn ended(&self, upstream: SocketAddr, local: SocketAddr) -> SocketAddr {
        let mut shared = self.lock();
        let client = shared.clients.get(&upstream).copied().unwrap_or(upstream);
        shared.ended.push((client, local.port()));
        drop(shared);
        self.wake();
        client
    }

    fn wake(&self) {
        // EAGAIN: the counter is full, so a wake-up is pending.
        let _ = self.wake.write(1);
    }

    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokens of the two descriptors that last as long as the relay; sockets have higher ones.
const FRONT: u64 = 0;
const WAKE: u64 = 1;

/// The relay's thread.
struct Worker {
    link: Arc<dyn Link>,
    server: SocketAddr,
    front: UdpSocket,
    epoll: Epoll,
    control: Arc<RelayControl>,
    /// By client.
    flows: HashMap<SocketAddr, Flow>,
    /// The client of a socket, and the server's port if it is the socket of a transfer.
    tokens: HashMap<u64, (SocketAddr, Option<u16>)>,
    last_token: u64,
    buffer: Box<[u8]>,
}

/// One client.
struct Flow {
    upstream: UdpSocket,
    token: u64,
    /// By the server's port.
    transfers: HashMap<u16, Leg>,
}

/// One transfer.
struct Leg {
    state: LinkState,
    /// The client's peer; `None` for the front, if the server uses a single port.
    socket: Option<(UdpSocket, u64)>,
}

impl Worker {
    fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in events.iter().take(count) {
                match event.data() {
                    FRONT => self.on_front(),
                    WAKE => {
                        if self.on_wake() {
                            return;
                        }
                    }
                    token => self.on_socket(token),
                }
            }
        }
    }

    /// Closes the ports of transfers that have ended; returns true if the relay is to stop.
    fn on_wake(&mut self) -> bool {
        let _ = self.control.wake.read();
        let mut shared = self.control.lock();
        let (ended, stopped) = (std::mem::take(&mut shared.ended), shared.stopped);
        drop(shared);
        for (client, port) in ended {
            // The last datagram of a transfer was sent before its record was made.
            self.on_upstream(client);
            let flow = self.flows.get_mut(&client);
            if let Some(leg) = flow.and_then(|flow| flow.transfers.remove(&port))
                && let Some((_, token)) = leg.socket
            {
                self.tokens.remove(&token);
            }
        }
        stopped
    }

    fn on_socket(&mut self, token: u64) {
        match self.tokens.get(&token).copied() {
            Some((client, None)) => self.on_upstream(client),
            Some((client, Some(port))) => self.on_transfer(client, port),
            // Closed by an earlier event of this batch.
            None => {}
        }
    }

    /// Forwards requests, and the packets of transfers on the listening port.
    fn on_front(&mut self) {
        while let Ok((length, client)) = self.front.recv_from(&mut self.buffer) {
            // A client without an upstream port gets no answer, as if the request was lost.
            if self.open_flow(client).is_err() {
                continue;
            }
            let bytes = self.buffer.get(..length).unwrap_or_default();
            let Some(flow) = self.flows.get_mut(&client) else {
                continue;
            };
            match flow.transfers.get_mut(&self.server.port()) {
                Some(leg) if PacketId::decode(bytes).is_some() => {
                    for datagram in leg.state.pass(Destination::Server, bytes) {
                        let _ = flow.upstream.send_to(&datagram, self.server);
                    }
                }
                _ => drop(flow.upstream.send_to(bytes, self.server)),
            }
        }
    }

    /// Forwards the server's datagrams to `client`.
    fn on_upstream(&mut self, client: SocketAddr) {
        while let Some(flow) = self.flows.get(&client)
            && let Ok((length, from)) = flow.upstream.recv_from(&mut self.buffer)
        {
            let bytes = self.buffer.get(..length).unwrap_or_default();
            let port = from.port();
            let is_known = flow.transfers.contains_key(&port);
            if port == self.server.port()
                && !is_known
                && matches!(PacketId::decode(bytes), None | Some(PacketId::Error))
            {
                let _ = self.front.send_to(bytes, client);
                continue;
            }
            if !is_known && self.open_transfer(client, port).is_err() {
                continue;
            }
            self.deliver(client, port, length);
        }
    }

    /// Sends what the link delivers of the datagram in the buffer.
    fn deliver(&mut self, client: SocketAddr, port: u16, length: usize) {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let flow = self.flows.get_mut(&client);
        let Some(leg) = flow.and_then(|flow| flow.transfers.get_mut(&port)) else {
            return;
        };
        for datagram in leg.state.pass(Destination::Client, bytes) {
            let sent = match &leg.socket {
                Some((socket, _)) => socket.send(&datagram),
                None => self.front.send_to(&datagram, client),
            };
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                return self.close_flow(client);
            }
        }
    }

    /// Forwards the client's datagrams of one transfer.
    fn on_transfer(&mut self, client: SocketAddr, port: u16) {
        let mut is_refused = false;
        while let Some(flow) = self.flows.get_mut(&client)
            && let Some(leg) = flow.transfers.get_mut(&port)
            && let Some((socket, _)) = &leg.socket
        {
            match socket.recv(&mut self.buffer) {
                Ok(length) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    for datagram in leg.state.pass(Destination::Server, bytes) {
                        let to = SocketAddr::new(self.server.ip(), port);
                        let _ = flow.upstream.send_to(&datagram, to);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => is_refused = true,
                Err(_) => break,
            }
        }
        if is_refused {
            self.close_flow(client);
        }
    }

    fn open_flow(&mut self, client: SocketAddr) -> io::Result<()> {
        if self.flows.contains_key(&client) {
            return Ok(());
        }
        let upstream = socket(client)?;
        let address = upstream.local_addr()?;
        let token = self.watch(&upstream, client, None)?;
        self.control.lock().clients.insert(address, client);
        let flow = Flow {
            upstream,
            token,
            transfers: HashMap::new(),
        };
        self.flows.insert(client, flow);
        Ok(())
    }

    fn open_transfer(&mut self, client: SocketAddr, port: u16) -> io::Result<()> {
        let socket = if port == self.server.port() {
            None
        } else {
            let socket = socket(self.server)?;
            socket.connect(client)?;
            let token = self.watch(&socket, client, Some(port))?;
            Some((socket, token))
        };
        let state = LinkState::new(Arc::clone(&self.link), client);
        if let Some(flow) = self.flows.get_mut(&client) {
            flow.transfers.insert(port, Leg { state, socket });
        }
        Ok(())
    }

    /// Closes all ports of a client whose own port is closed, so that the server sees it too.
    fn close_flow(&mut self, client: SocketAddr) {
        let Some(flow) = self.flows.remove(&client) else {
            return;
        };
        self.tokens.remove(&flow.token);
        for (_, token) in flow.transfers.into_values().filter_map(|leg| leg.socket) {
            self.tokens.remove(&token);
        }
    }

    fn watch(
        &mut self,
        socket: &UdpSocket,
        client: SocketAddr,
        port: Option<u16>,
    ) -> io::Result<u64> {
        self.last_token += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.last_token);
        self.epoll.add(socket, event)?;
        self.tokens.insert(self.last_token, (client, port));
        Ok(self.last_token)
    }
}

/// Binds a socket on the address of `peer`, which is this machine's, on a port of the system's
/// choice.
fn socket(peer: SocketAddr) -> io::Result<UdpSocket> {
    let mut any_port = peer;
    any_port.set_port(0);
    bind::udp(any_port, &UdpOptions::default()).map_err(io::Error::other)
}
