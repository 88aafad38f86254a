//! Registration of a service with a portmapper that stops and restarts.

use std::sync::Arc;
use std::time::Duration;

use eport_core::Allocator;
use rpc_portmap::client::{Client, Rpcbind};
use rpc_portmap::portmapper::Portmapper;
use rpc_portmap::rpc::{Program, RpcError, Version};
use rpc_portmap::rpcbind::{Netid, PROGRAM};
use rpc_portmap::server::{Caller, RegistrationGuard, RegistrationState, Server};
use rpc_portmap::transport::{DynamicPort, Listeners};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SERVICE: Program = Program::new(0x2000_0077);

rpc_portmap::rpc_program! {
    /// A service for tests.
    trait Echo1 = (SERVICE, 1);
    server Echo1Server;
    client Echo1Client;
    /// Returns the number.
    1 => fn echo(u32) -> u32;
}

struct Echo;

impl Echo1 for Echo {
    async fn echo(&self, _: &Caller, number: u32) -> Result<u32, RpcError> {
        Ok(number)
    }
}

#[tokio::test]
async fn a_service_is_found_while_it_runs_and_no_longer() {
    let directory = tempfile::tempdir().expect("a directory");
    let mapper = Mapper::start(&directory);
    let allocator = Allocator::builder().build().expect("ports");
    let service = Service::start(&allocator, &mapper.socket);
    let mut registration = service.registration;
    assert_eq!(registration.settled().await, RegistrationState::Registered);

    let rpcbind = Rpcbind::new(Client::unix(&mapper.socket).await.expect("it listens"));
    let found = rpcbind
        .address(SERVICE, 1.into(), Netid::Tcp)
        .await
        .expect("an answer");
    let address = found
        .and_then(|found| found.socket_addr())
        .expect("registered");
    assert_eq!(address.port(), service.port);
    let client = Client::tcp(address, Duration::from_secs(3))
        .await
        .expect("it listens");
    assert_eq!(Echo1Client(client).echo(7).await.expect("a result"), 7);

    drop(registration);
    // The UNSET was sent before this look-up, on a connection accepted earlier.
    until(|| async {
        rpcbind
            .address(SERVICE, 1.into(), Netid::Tcp)
            .await
            .expect("an answer")
            .is_none()
    })
    .await;
    drop(service.stop);
    service.task.await.expect("no panic").expect("served");
    assert_eq!(allocator.stats().leased, 0);
    mapper.stop().await;
}

#[tokio::test]
async fn a_service_is_registered_again_after_a_restart_of_the_portmapper() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = Mapper::socket(&directory);
    let allocator = Allocator::builder().build().expect("ports");
    let service = Service::start(&allocator, &socket);
    let mut registration = service.registration;
    assert_eq!(registration.state(), RegistrationState::Unreachable);
    for _ in 0..2 {
        let mapper = Mapper::start(&directory);
        assert_eq!(registration.settled().await, RegistrationState::Registered);
        let rpcbind = Rpcbind::new(Client::unix(&socket).await.expect("it listens"));
        let entries = rpcbind.dump().await.expect("a list");
        assert!(entries.iter().any(|entry| entry.program == SERVICE));
        mapper.stop().await;
        until(|| async { registration.state() == RegistrationState::Unreachable }).await;
    }
    drop(service.stop);
    service.task.await.expect("no panic").expect("served");
}

#[tokio::test]
async fn the_portmapper_itself_cannot_be_displaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let mapper = Mapper::start(&directory);
    let mut listeners = Listeners::new();
    listeners
        .bind_ip("127.0.0.1:0".parse().expect("an address"))
        .expect("free");
    let claims =
        rpc_portmap::registry::Claim::all(PROGRAM, &[Version::new(2)], &listeners.addresses());
    let mut registration = RegistrationGuard::at_socket(claims, &mapper.socket);
    assert_eq!(registration.settled().await, RegistrationState::Refused);
    drop(registration);
    mapper.stop().await;
}

/// A portmapper at a unix socket.
struct Mapper {
    socket: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Mapper {
    fn socket(directory: &tempfile::TempDir) -> String {
        directory.path().join("rpcbind.sock").display().to_string()
    }

    fn start(directory: &tempfile::TempDir) -> Self {
        let socket = Self::socket(directory);
        let mut listeners = Listeners::new();
        listeners.bind_unix(&socket).expect("free");
        let portmapper = Portmapper::builder()
            .at(&listeners)
            .build()
            .expect("no file");
        let (stop, stopped) = oneshot::channel();
        let serving = async move {
            let server = portmapper.server();
            server.serve(listeners, async { drop(stopped.await) }).await
        };
        Self {
            socket,
            stop,
            task: tokio::spawn(serving),
        }
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic").expect("served");
    }
}

/// A service on a leased port.
struct Service {
    port: u16,
    registration: RegistrationGuard,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Service {
    fn start(allocator: &Allocator, socket: &str) -> Self {
        let server = Server::builder()
            .version(Echo1Server::new(Arc::new(Echo)))
            .build();
        let leased = DynamicPort::lease_on_loopback(allocator).expect("a port");
        let port = leased.port();
        let registration = RegistrationGuard::at_socket(server.claims(&leased.addresses()), socket);
        let (stop, stopped) = oneshot::channel();
        let serving = server.serve(leased, async { drop(stopped.await) });
        Self {
            port,
            registration,
            stop,
            task: tokio::spawn(serving),
        }
    }
}

/// Waits until the condition is true, for at most ten seconds.
async fn until<F: Future<Output = bool>>(mut done: impl FnMut() -> F) {
    let waiting = async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    };
    let within = Duration::from_secs(10);
    tokio::time::timeout(within, waiting)
        .await
        .expect("it happens");
}
