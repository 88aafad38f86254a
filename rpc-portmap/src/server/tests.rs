#![expect(clippy::disallowed_methods, reason = "tests use sockets directly")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::client::{CallError, Client};
use crate::hex;
use crate::rpc::{Call, Credential, Reply, RpcError, Version};
use crate::xdr::{self, Opaque, Xdr};

crate::rpc_program! {
    /// A program for tests.
    trait Tester1 = (0x2000_0001, 1);
    server Tester1Server;
    client Tester1Client;
    /// Twice the number.
    1 => fn double(u32) -> u64;
    /// Nothing at all.
    2 => fn nothing();
    /// Never returns.
    3 => fn hang() -> u32;
    /// Panics.
    4 => fn panic() -> u32;
    /// Returns the number of calls so far.
    5 => fn count() -> u32;
    /// Very much.
    6 => fn much() -> Opaque<1_000_000>;
}

crate::rpc_program! {
    /// The same in version 3.
    trait Tester3 = (0x2000_0001, 3);
    server Tester3Server;
    client Tester3Client;
    1 => fn triple(u32) -> u64;
}

#[derive(Default)]
struct Service {
    calls: std::sync::atomic::AtomicU32,
}

impl Tester1 for Service {
    async fn double(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
        // Not ready on the first poll, so that the task of its own is covered too.
        if number > 100 {
            tokio::task::yield_now().await;
        }
        Ok(2 * u64::from(number))
    }

    async fn nothing(&self, _: &Caller) -> Result<(), RpcError> {
        Ok(())
    }

    async fn hang(&self, _: &Caller) -> Result<u32, RpcError> {
        std::future::pending().await
    }

    async fn panic(&self, _: &Caller) -> Result<u32, RpcError> {
        panic!("a method that panics, on purpose")
    }

    async fn count(&self, _: &Caller) -> Result<u32, RpcError> {
        Ok(1 + self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }

    async fn much(&self, _: &Caller) -> Result<Opaque<1_000_000>, RpcError> {
        Opaque::new(vec![7; 1_000_000]).map_err(|_| RpcError::SystemErr)
    }
}

impl Tester3 for Service {
    async fn triple(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
        Ok(3 * u64::from(number))
    }
}

#[tokio::test]
async fn typed_calls_work_over_every_transport() {
    let running = Running::start(tester());
    for client in running.clients().await {
        let one = Tester1Client(client.clone());
        assert_eq!(one.double(21).await.expect("a result"), 42);
        assert_eq!(one.double(210).await.expect("a result"), 420);
        one.nothing().await.expect("a result");
        let three = Tester3Client(client);
        assert_eq!(three.triple(21).await.expect("a result"), 63);
    }
    running.stop().await;
}

#[tokio::test]
async fn the_server_answers_calls_without_a_method() {
    let running = Running::start(tester());
    for client in running.clients().await {
        for (program, version, procedure, error) in [
            (0x2000_0002, 1, 0, RpcError::ProgUnavail),
            (
                0x2000_0001,
                0,
                0,
                RpcError::ProgMismatch {
                    low: Version::new(1),
                    high: Version::new(3),
                },
            ),
            (
                0x2000_0001,
                2,
                0,
                RpcError::ProgMismatch {
                    low: Version::new(1),
                    high: Version::new(3),
                },
            ),
            (0x2000_0001, 1, 99, RpcError::ProcUnavail),
            (0x2000_0001, 1, 1, RpcError::GarbageArgs),
        ] {
            let failed = client
                .call::<_, ()>(program.into(), version.into(), procedure.into(), &())
                .await;
            assert!(
                matches!(failed, Err(CallError::Rpc(was)) if was == error),
                "{error}: {failed:?}"
            );
        }
        let panicked = Tester1Client(client.clone()).panic().await;
        assert!(matches!(panicked, Err(CallError::Rpc(RpcError::SystemErr))));
        for version in [1, 3] {
            client
                .null(0x2000_0001.into(), version.into())
                .await
                .expect("it is there");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_and_the_connection_lives_on() {
    let limits = ServerLimits {
        drain: Duration::from_millis(30),
        ..ServerLimits::default()
    };
    let running = Running::start(tester().limits(limits));
    let client = Client::udp(running.udp).expect("loopback");
    let hasty = Tester1Client(client.clone().with_timeout(Duration::from_millis(30)));
    assert!(matches!(hasty.hang().await, Err(CallError::TimedOut(_))));
    assert_eq!(Tester1Client(client).double(1).await.expect("a result"), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_closed_port_fails_a_call_without_a_timeout() {
    let running = Running::start(tester());
    let (udp, tcp) = (running.udp, running.tcp);
    running.stop().await;
    let failed = Client::udp(udp)
        .expect("a socket")
        .null(1.into(), 1.into())
        .await;
    assert!(
        matches!(failed, Err(CallError::Unreachable(_))),
        "{failed:?}"
    );
    assert!(Client::tcp(tcp, Duration::from_secs(3)).await.is_err());
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order_in_any_fragments() {
    let running = Running::start(tester());
    let mut bytes = Vec::new();
    for xid in 0..50 {
        let mut call = Vec::new();
        encoded(xid, 1, 1).encode(&mut call);
        xid.encode(&mut call);
        for (index, fragment) in call.chunks(7).enumerate() {
            let last = if (index + 1) * 7 >= call.len() {
                1 << 31
            } else {
                0
            };
            let length = u32::try_from(fragment.len()).expect("small");
            (last | length).encode(&mut bytes);
            bytes.extend_from_slice(fragment);
        }
    }
    let mut stream = tokio::net::TcpStream::connect(running.tcp)
        .await
        .expect("it listens");
    for piece in bytes.chunks(501) {
        stream.write_all(piece).await.expect("sent");
    }
    for xid in 0..50_u32 {
        let mut reply = [0; 36];
        stream.read_exact(&mut reply).await.expect("a reply");
        let reply = Reply::decode(&reply[4..]).expect("a reply");
        assert_eq!(reply.xid, xid);
        let doubled = (2 * u64::from(xid)).to_be_bytes();
        assert_eq!(reply.outcome, Ok(&doubled[..]));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_record_that_is_too_long_ends_the_connection() {
    let running = Running::start(tester());
    let mut stream = tokio::net::TcpStream::connect(running.tcp)
        .await
        .expect("it listens");
    stream
        .write_all(&hex::bytes("80010001"))
        .await
        .expect("sent");
    assert_eq!(stream.read(&mut [0; 8]).await.expect("an end"), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_delays_no_other_and_is_closed() {
    let limits = ServerLimits {
        write: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let running = Running::start(tester().limits(limits));
    let mut silent = tokio::net::TcpStream::connect(running.tcp)
        .await
        .expect("it listens");
    for xid in 0..40 {
        let mut record = Vec::new();
        crate::rpc::put_record(&mut record, |out| encoded(xid, 1, 6).encode(out));
        silent.write_all(&record).await.expect("sent");
    }
    let client = Client::tcp(running.tcp, Duration::from_secs(3))
        .await
        .expect("it listens");
    assert_eq!(Tester1Client(client).double(4).await.expect("a result"), 8);
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 16];
    tokio::time::sleep(Duration::from_millis(300)).await;
    while let Ok(count @ 1..) = silent.read(&mut buffer).await {
        taken += count;
    }
    assert!(taken < 40 * 1_000_000, "{taken}");
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_datagram_is_answered_again_but_carried_out_once() {
    for (cached, second) in [(true, 1), (false, 2)] {
        let builder = tester();
        let builder = if cached {
            builder.reply_cache(10)
        } else {
            builder
        };
        let running = Running::start(builder);
        let socket = tokio::net::UdpSocket::from_std(udp_socket()).expect("a socket");
        socket.connect(running.udp).await.expect("loopback");
        let mut call = Vec::new();
        encoded(7, 1, 5).encode(&mut call);
        let mut counts = Vec::new();
        for _ in 0..2 {
            socket.send(&call).await.expect("sent");
            let mut reply = [0; 28];
            assert_eq!(socket.recv(&mut reply).await.expect("a reply"), 28);
            counts.push(u32::from(reply[27]));
        }
        let another = Tester1Client(Client::udp(running.udp).expect("loopback"));
        assert_eq!(another.count().await.expect("a result"), second + 1);
        assert_eq!(counts, [1, second]);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_reply_that_fits_no_datagram_is_an_error() {
    let running = Running::start(tester());
    let client = Tester1Client(Client::udp(running.udp).expect("loopback"));
    let failed = client.much().await;
    assert!(
        matches!(failed, Err(CallError::Rpc(RpcError::SystemErr))),
        "{failed:?}"
    );
    running.stop().await;
}

/// A layer that records its calls and allows no reply longer than its request.
struct Gate(&'static str, Arc<std::sync::Mutex<Vec<String>>>);

impl Layer for Gate {
    fn before(&self, _: &Caller, request: &Request) -> Result<(), Rejection> {
        self.1
            .lock()
            .expect("sound")
            .push(format!("{} before", self.0));
        match (self.0, request.procedure.get()) {
            ("inner", 2) => Err(RpcError::SystemErr.into()),
            _ => Ok(()),
        }
    }

    fn after(&self, _: &Caller, _: &Request, outcome: Outcome) {
        let done = matches!(outcome, Outcome::Done { bytes: 8 });
        self.1
            .lock()
            .expect("sound")
            .push(format!("{} after {done}", self.0));
    }

    fn allows_reply(&self, _: &Caller, request: usize, reply: usize) -> bool {
        reply <= request
    }
}

#[tokio::test]
async fn layers_see_calls_from_the_outside_in_and_outcomes_from_the_inside_out() {
    let log = Arc::default();
    let gate = |name| Gate(name, Arc::clone(&log));
    let running = Running::start(tester().layer(gate("outer")).layer(gate("inner")));
    let client = Client::udp(running.udp).expect("loopback");
    let one = Tester1Client(client);
    one.double(1).await.expect("a result");
    assert!(one.nothing().await.is_err());
    let seen = log.lock().expect("sound").join(", ");
    let first = "outer before, inner before, inner after true, outer after true";
    assert_eq!(
        seen,
        format!("{first}, outer before, inner before, outer after false")
    );
    running.stop().await;
}

#[tokio::test]
async fn statistics_count_outcomes() {
    let statistics = Statistics::default();
    let running = Running::start(tester().layer(statistics.clone()).layer(Trace));
    let one = Tester1Client(Client::udp(running.udp).expect("loopback"));
    one.double(1).await.expect("a result");
    assert!(one.panic().await.is_err());
    let totals = statistics.totals();
    assert_eq!((totals.done, totals.failed, totals.silent), (1, 1, 0));
    assert_eq!((totals.received, totals.results), (44 + 40, 8));
    running.stop().await;
}

/// A layer that accepts every other datagram.
#[derive(Default)]
struct EveryOther(std::sync::atomic::AtomicBool);

impl Layer for EveryOther {
    fn accepts_datagram(&self, _: &Caller) -> bool {
        self.0.fetch_xor(true, std::sync::atomic::Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_datagram_that_a_layer_drops_is_not_answered_even_if_it_is_malformed() {
    let running = Running::start(tester().layer(EveryOther::default()));
    let socket = tokio::net::UdpSocket::from_std(udp_socket()).expect("a socket");
    socket.connect(running.udp).await.expect("loopback");
    for xid in 0..4_u32 {
        let mut bytes = xdr::to_bytes(&xid);
        bytes.extend([0; 4]);
        socket.send(&bytes).await.expect("sent");
    }
    for accepted in [1_u32, 3] {
        let mut reply = [0; 64];
        let length = socket.recv(&mut reply).await.expect("a reply");
        let reply = Reply::decode(&reply[..length]).expect("a reply");
        assert_eq!(
            (reply.xid, reply.outcome),
            (accepted, Err(RpcError::GarbageArgs))
        );
    }
    running.stop().await;
}

struct Slow(Arc<Notify>);

impl Tester3 for Slow {
    async fn triple(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
        self.0.notified().await;
        Ok(number.into())
    }
}

#[tokio::test]
async fn shutdown_lets_a_call_finish() {
    let release = Arc::new(Notify::new());
    let service = Tester3Server::new(Arc::new(Slow(Arc::clone(&release))));
    let running = Running::start(Server::builder().version(service));
    let client = Client::tcp(running.tcp, Duration::from_secs(3))
        .await
        .expect("it listens");
    let call = tokio::spawn(async move { Tester3Client(client).triple(5).await });
    tokio::task::yield_now().await;
    let other = Client::tcp(running.tcp, Duration::from_secs(3))
        .await
        .expect("it listens");
    other
        .null(0x2000_0001.into(), 3.into())
        .await
        .expect("answered while the other call waits");
    let stopping = tokio::spawn(running.stop());
    other.closed().await;
    release.notify_one();
    assert_eq!(call.await.expect("no panic").expect("a result"), 5);
    stopping.await.expect("no panic");
}

fn tester() -> ServerBuilder {
    let service = Arc::new(Service::default());
    Server::builder()
        .version(Tester1Server::new(Arc::clone(&service)))
        .version(Tester3Server::new(service))
}

fn encoded(xid: u32, version: u32, procedure: u32) -> Call<'static> {
    Call {
        xid,
        program: 0x2000_0001.into(),
        version: version.into(),
        procedure: procedure.into(),
        credential: Credential::None,
        args: &[],
    }
}

fn udp_socket() -> std::net::UdpSocket {
    let any = "127.0.0.1:0".parse().expect("an address");
    eport_core::bind::udp(any, &eport_core::bind::UdpOptions::default()).expect("free")
}

/// A server on loopback ports and a unix socket.
struct Running {
    udp: SocketAddr,
    tcp: SocketAddr,
    unix: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<io::Result<()>>,
    _directory: tempfile::TempDir,
}

impl Running {
    fn start(builder: ServerBuilder) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let unix = directory.path().join("sock").display().to_string();
        let mut listeners = Listeners::new();
        listeners
            .bind_ip("127.0.0.1:0".parse().expect("an address"))
            .expect("free");
        listeners.bind_unix(&unix).expect("free");
        let addresses: Vec<_> = listeners
            .addresses()
            .iter()
            .filter_map(|(_, address)| address.socket_addr())
            .collect();
        let (stop, stopped) = oneshot::channel();
        let serving = builder
            .build()
            .serve(listeners, async { drop(stopped.await) });
        let served = tokio::spawn(serving);
        Self {
            udp: addresses[1],
            tcp: addresses[0],
            unix,
            stop,
            served,
            _directory: directory,
        }
    }

    async fn clients(&self) -> [Client; 3] {
        [
            Client::udp(self.udp).expect("loopback"),
            Client::tcp(self.tcp, Duration::from_secs(3))
                .await
                .expect("it listens"),
            Client::unix(&self.unix).await.expect("it listens"),
        ]
    }

    async fn stop(self) {
        drop(self.stop);
        self.served.await.expect("no panic").expect("served");
    }
}
