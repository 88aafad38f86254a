//! The parts of the process: a TFTP server, a portmapper and an RPC service.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use eport_core::system::Sources;
use eport_core::{Allocator, PortSet};
use rpc_portmap::client::{Client, RegisteredPorts, Rpcbind};
use rpc_portmap::portmapper::{Forwarding, Portmapper};
use rpc_portmap::rpc::RpcError;
use rpc_portmap::rpcbind::{Name, Rpcb};
use rpc_portmap::server::{Caller, RegistrationGuard, RegistrationState, Server};
use rpc_portmap::transport::{DynamicPort, Listeners};
use tempfile::TempDir;
use tftpd::backend::Memory;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The program of the RPC service.
pub(crate) const ECHO: u32 = 0x2000_0101;
/// A foreign program with many registered ports.
pub(crate) const FOREIGN: u32 = 0x2000_0102;

/// The name of the file that is read.
pub(crate) const FILE: &str = "boot.img";

rpc_portmap::rpc_program! {
    /// Echoes a number.
    pub(crate) trait Echo1 = (ECHO, 1);
    server Echo1Server;
    client Echo1Client;
    /// Returns its argument.
    1 => fn echo(u32) -> u32;
}

struct Echo;

impl Echo1 for Echo {
    async fn echo(&self, _: &Caller, number: u32) -> Result<u32, RpcError> {
        Ok(number)
    }
}

/// Enough for some sixty round trips of 512 bytes.
pub(crate) fn contents() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(30_000).collect()
}

/// A directory with foreign registrations in the state file of a portmapper: every third port of the
/// range, so that an allocator that ignores them soon uses one.
pub(crate) struct ForeignRegistrations {
    directory: TempDir,
    pub(crate) ports: PortSet,
    registered: RegisteredPorts,
}

impl ForeignRegistrations {
    pub(crate) async fn register() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let range = Allocator::builder().plan().expect("a plan");
        let ports = super::every(range.ports(), 3);
        let portmapper = Portmapper::builder().state(directory.path().join("state"));
        let portmapper = portmapper.build().expect("a new file");
        let mut listeners = Listeners::new();
        let socket = directory.path().join("foreign.sock");
        let socket = socket.to_str().expect("text");
        listeners.bind_unix(socket).expect("a new path");
        let serving = Task::spawn(|stopped| portmapper.server().serve(listeners, stopped));

        let client = Client::unix(socket).await.expect("a listening portmapper");
        let rpcbind = Rpcbind::new(client);
        for (version, port) in (1..).zip(ports.iter()) {
            let accepted = rpcbind.set(&at_port(version, port)).await;
            assert!(accepted.expect("an answer"), "{port}");
        }
        let registered = RegisteredPorts::read_from(&rpcbind).await.expect("a list");
        serving.stop().await.expect("served");
        Self {
            directory,
            ports,
            registered,
        }
    }

    /// An allocator that reserves the registered ports.
    pub(crate) fn allocator(&self) -> Allocator {
        let sources = self.registered.add_to(Sources::default());
        let allocator = Allocator::builder().sources(sources).build();
        allocator.expect("two thirds are left")
    }

    fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().expect("text").to_owned()
    }
}

fn at_port(version: u32, port: u16) -> Rpcb {
    let [high, low] = port.to_be_bytes();
    Rpcb {
        program: FOREIGN.into(),
        version: version.into(),
        netid: Name::truncated("udp"),
        address: Name::truncated(&format!("127.0.0.1.{high}.{low}")),
        owner: Name::default(),
    }
}

/// Three servers, all ports from clones of one allocator.
pub(crate) struct Machine {
    pub(crate) tftp: SocketAddr,
    pub(crate) portmapper_port: u16,
    pub(crate) service_port: u16,
    socket: String,
    transfers: Arc<Mutex<Vec<u16>>>,
    registration: RegistrationGuard,
    tftpd: Task<Result<tftpd::server::Summary, tftpd::server::ServeError>>,
    service: Task<std::io::Result<()>>,
    portmapper: Task<std::io::Result<()>>,
}

impl Machine {
    pub(crate) async fn start(allocator: &Allocator, foreign: &ForeignRegistrations) -> Self {
        let socket = foreign.path("rpcbind.sock");
        let port = DynamicPort::lease_on_loopback(allocator).expect("a free port");
        let portmapper_port = port.port();
        let mut listeners = Listeners::from(port);
        listeners.bind_unix(&socket).expect("a new path");
        let portmapper = Portmapper::builder()
            .state(foreign.path("state"))
            .forwarding(Forwarding::new(allocator.clone(), Vec::new()))
            .at(&listeners)
            .build()
            .expect("the state of the first portmapper");
        let portmapper = Task::spawn(|stopped| portmapper.server().serve(listeners, stopped));

        let port = DynamicPort::lease_on_loopback(allocator).expect("a free port");
        let service_port = port.port();
        let service = Server::builder().version(Echo1Server::new(Arc::new(Echo)));
        let service = service.build();
        let claims = service.claims(&port.addresses());
        let mut registration = RegistrationGuard::at_socket(claims, &socket);
        let service = Task::spawn(|stopped| service.serve(port, stopped));
        assert_eq!(registration.settled().await, RegistrationState::Registered);

        let listener = tftpd::Listener::bind("127.0.0.1:0".parse().expect("an address"));
        let listener = listener.expect("loopback");
        let tftp = listener.local_addr().expect("bound");
        let transfers = Arc::default();
        let tftpd = tftpd(allocator, &transfers);
        Self {
            tftp,
            portmapper_port,
            service_port,
            socket,
            transfers,
            registration,
            tftpd: Task::spawn(|stopped| tftpd.serve(listener, stopped)),
            service,
            portmapper,
        }
    }

    pub(crate) fn portmapper(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.portmapper_port).into()
    }

    pub(crate) async fn rpcbind(&self) -> Rpcbind {
        Rpcbind::new(
            Client::unix(&self.socket)
                .await
                .expect("a listening portmapper"),
        )
    }

    /// The ports of the transfers, one for each file.
    pub(crate) fn transfers(&self) -> Vec<u16> {
        self.transfers.lock().expect("not poisoned").clone()
    }

    pub(crate) async fn stop(self) {
        drop(self.registration);
        let summary = self.tftpd.stop().await.expect("served");
        assert_eq!(summary.failed, 0);
        self.service.stop().await.expect("served");
        self.portmapper.stop().await.expect("served");
    }
}

fn tftpd(allocator: &Allocator, transfers: &Arc<Mutex<Vec<u16>>>) -> tftpd::Server {
    let transfers = Arc::clone(transfers);
    tftpd::Server::builder()
        .backend(Memory::new().with(FILE, contents()))
        .allocator(allocator.clone())
        .on_record(move |record| {
            let port = record.local.port();
            transfers.lock().expect("not poisoned").push(port);
        })
        .build()
        .expect("an allocator was given")
}

/// A server that runs until [`stop`](Self::stop).
struct Task<T> {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<T>,
}

impl<T: Send + 'static> Task<T> {
    fn spawn<F>(serve: impl FnOnce(Stopped) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            handle: tokio::spawn(serve(Box::pin(async { drop(stopped.await) }))),
        }
    }

    async fn stop(self) -> T {
        drop(self.stop);
        self.handle.await.expect("no panic")
    }
}

type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
