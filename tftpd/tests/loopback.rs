//! Server and client in one process, over real sockets.

#![expect(clippy::disallowed_methods, reason = "tests use the system directly")]

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use eport_core::{Allocator, PortSpec};
use tftpd::{
    Client, Listener, Server,
    backend::Memory,
    client::TransferError,
    proto::{Blksize, ErrorCode, Options, Windowsize},
    server::{Caps, Cause, Ending, Record, Rejection, Summary},
};
use tokio::sync::oneshot;

type Records = Arc<Mutex<Vec<Record>>>;

/// Runs `test` against a server on `address` and returns the server's records.
async fn with_server<F: Future>(
    address: &str,
    files: Memory,
    allocator: &Allocator,
    test: impl FnOnce(SocketAddr) -> F,
) -> (F::Output, Vec<Record>, Summary) {
    let listener = Listener::bind(address.parse().expect("an address")).expect("bound");
    let address = listener.local_addr().expect("bound");
    let records = Records::default();
    let seen = records.clone();
    let server = Server::builder()
        .backend(files)
        .allocator(allocator.clone())
        .drain(Duration::from_secs(5))
        .caps(no_waiting())
        .on_record(move |record| seen.lock().expect("not poisoned").push(record.clone()))
        .build()
        .expect("a server");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
    let output = test(address).await;
    drop(stop);
    let summary = serving.await.expect("no panic").expect("served");
    let records = std::mem::take(&mut *records.lock().expect("not poisoned"));
    (output, records, summary)
}

/// Returns limits under which requests that cannot be served are refused immediately.
fn no_waiting() -> Caps {
    let mut caps = Caps::default();
    caps.hold = Duration::ZERO;
    caps
}

fn allocator() -> Allocator {
    Allocator::builder().build().expect("ports")
}

/// Returns bytes in which each position is recognisable.
fn content(size: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(size)
        .collect()
}

fn options(blksize: u16, windowsize: u16) -> Options {
    Options::default()
        .with_blksize(Blksize::new(blksize))
        .with_windowsize(Windowsize::new(windowsize))
        .with_tsize(0)
}

#[tokio::test]
async fn files_around_every_boundary_arrive_over_both_families() {
    let sizes = [0, 1, 511, 512, 513, 1024, 8 * 1428, 8 * 1428 + 1, 1 << 20];
    let files = sizes.iter().fold(Memory::new(), |files, size| {
        files.with(size.to_string(), content(*size))
    });
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let ports = allocator();
        let ((), records, summary) = with_server(address, files.clone(), &ports, async |server| {
            for asked in [
                Options::default(),
                options(512, 1),
                options(1428, 8),
                options(65_464, 3),
                options(8, 64),
            ] {
                let client = Client::with_allocator(ports.clone()).options(asked);
                for size in sizes
                    .into_iter()
                    .filter(|size| asked != options(8, 64) || *size < 20_000)
                {
                    let bytes = client
                        .get_bytes(server, size.to_string())
                        .await
                        .expect("a file");
                    assert!(bytes == content(size), "{size} bytes with {asked}");
                }
            }
        })
        .await;
        assert_eq!((summary.sent, summary.failed, summary.rejected), (44, 0, 0));
        let stats = ports.stats();
        assert_eq!(stats.leased, 0, "every port came back");
        for record in records {
            assert!(
                ports.plan().ports().contains(record.local.port()),
                "{} is one of ours",
                record.local
            );
        }
    }
}

#[tokio::test]
async fn transfers_run_side_by_side_on_ports_of_their_own() {
    let ports = allocator();
    let files = Memory::new().with("image", content(300_000));
    let ((), records, summary) = with_server("127.0.0.1:0", files, &ports, async |server| {
        let client = Client::with_allocator(ports.clone());
        let gets = (0..50).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_bytes(server, "image").await })
        });
        for get in gets.collect::<Vec<_>>() {
            assert!(get.await.expect("no panic").expect("a file") == content(300_000));
        }
    })
    .await;
    assert_eq!(summary.sent, 50);
    let distinct: std::collections::HashSet<_> =
        records.iter().map(|record| record.local.port()).collect();
    assert!(
        distinct.len() > 40,
        "{} ports for 50 transfers",
        distinct.len()
    );
}

#[tokio::test]
async fn a_refused_request_takes_no_port_and_is_answered_with_the_reason() {
    let ports = allocator();
    let ((), records, summary) =
        with_server("127.0.0.1:0", Memory::new(), &ports, async |server| {
            let client = Client::with_allocator(ports.clone());
            let missing = client
                .get_bytes(server, "missing")
                .await
                .expect_err("there is none");
            assert!(missing.is_not_found(), "{missing}");
            let directory = client
                .get_bytes(server, "sub/")
                .await
                .expect_err("not a file");
            assert!(directory.is_not_found(), "{directory}");
        })
        .await;
    assert_eq!(summary.rejected, 2);
    let endings: Vec<_> = records.iter().map(|record| record.ending.clone()).collect();
    assert_eq!(
        endings,
        [
            Ending::Rejected(Rejection::NotFound),
            Ending::Rejected(Rejection::BadName)
        ]
    );
    assert_eq!(
        ports.stats().peak_leased,
        1,
        "the client's own port and no other"
    );
}

#[tokio::test]
async fn a_size_probe_is_neither_success_nor_failure_and_frees_its_port() {
    let ports = allocator();
    let ((), records, _) = with_server(
        "127.0.0.1:0",
        Memory::new().with("x", content(5000)),
        &ports,
        async |server| {
            let socket = tokio::net::UdpSocket::from_std(foreign_socket()).expect("registered");
            socket
                .send_to(b"\x00\x01x\x00octet\x00tsize\x000\x00", server)
                .await
                .expect("sent");
            let mut buffer = [0; 600];
            let (length, transfer) = socket.recv_from(&mut buffer).await.expect("an OACK");
            assert_eq!(&buffer[..length], b"\x00\x06tsize\x005000\x00");
            assert_eq!(ports.stats().leased, 1);
            socket
                .send_to(b"\x00\x05\x00\x08\x00", transfer)
                .await
                .expect("sent");
            until(|| ports.stats().leased == 0).await;
        },
    )
    .await;
    assert_eq!(
        records
            .iter()
            .map(|record| &record.ending)
            .collect::<Vec<_>>(),
        [&Ending::Probed]
    );
}

#[tokio::test]
async fn the_same_request_again_is_answered_by_the_same_transfer_and_another_one_replaces_it() {
    let ports = allocator();
    let files = Memory::new()
        .with("a", content(5000))
        .with("b", content(5000));
    let ((), records, _) = with_server("127.0.0.1:0", files, &ports, async |server| {
        let socket = tokio::net::UdpSocket::from_std(foreign_socket()).expect("registered");
        let mut buffer = [0; 600];
        let mut ask = async |request: &[u8]| {
            socket.send_to(request, server).await.expect("sent");
            let (length, from) = socket.recv_from(&mut buffer).await.expect("DATA 1");
            assert_eq!((length, &buffer[..4]), (516, &[0, 3, 0, 1][..]));
            from
        };
        let first = ask(b"\x00\x01a\x00octet\x00").await;
        assert_eq!(ask(b"\x00\x01a\x00octet\x00").await, first, "one transfer");
        assert_ne!(
            ask(b"\x00\x01b\x00octet\x00").await,
            first,
            "another transfer"
        );
        assert_eq!(ports.stats().leased, 1);
    })
    .await;
    assert_eq!(
        records.first().map(|record| &record.ending),
        Some(&Ending::Failed(Cause::Replaced))
    );
}

#[tokio::test]
async fn icmp_port_unreachable_frees_the_port() {
    let ports = allocator();
    let ((), records, _) = with_server(
        "127.0.0.1:0",
        Memory::new().with("x", content(5000)),
        &ports,
        async |server| {
            let socket = foreign_socket();
            socket
                .send_to(b"\x00\x01x\x00octet\x00", server)
                .expect("sent");
            until(|| ports.stats().leased == 1).await;
            drop(socket);
            until(|| ports.stats().leased == 0).await;
        },
    )
    .await;
    let ended = records.first().expect("one record");
    assert_eq!(ended.ending, Ending::Failed(Cause::ClientGone));
    assert!(
        ended.elapsed < Duration::from_secs(2),
        "took {:?}",
        ended.elapsed
    );
}

#[tokio::test]
async fn a_request_gets_no_answer_when_no_port_is_free() {
    let spec: PortSpec = "61007".parse().expect("a range");
    let ports = Allocator::builder().ports(spec).build().expect("one port");
    let held = ports
        .udp(std::net::Ipv4Addr::LOCALHOST)
        .lease()
        .expect("the only port");
    let ((), records, _) = with_server(
        "127.0.0.1:0",
        Memory::new().with("x", "1"),
        &ports,
        async |server| {
            let client = Client::new()
                .expect("ports of its own")
                .answer_within(Duration::from_millis(300));
            let error = client.get_bytes(server, "x").await.expect_err("silence");
            assert!(matches!(error, TransferError::NoAnswer { .. }), "{error}");
            drop(held);
            assert_eq!(
                client.get_bytes(server, "x").await.expect("a port is free"),
                b"1"
            );
        },
    )
    .await;
    assert_eq!(
        records.first().map(|record| &record.ending),
        Some(&Ending::Rejected(Rejection::NoPort))
    );
}

#[tokio::test]
async fn a_closed_server_port_is_reported_without_waiting() {
    let closed = foreign_socket().local_addr().expect("bound");
    let started = tokio::time::Instant::now();
    let error = Client::new()
        .expect("ports")
        .get_bytes(closed, "x")
        .await
        .expect_err("nothing listens");
    assert!(
        matches!(error, TransferError::NothingListens(address) if address == closed),
        "{error}"
    );
    assert!(
        started.elapsed() < Duration::from_millis(100),
        "took {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_shutdown_finishes_running_transfers_and_accepts_no_new_ones() {
    let ports = allocator();
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.local_addr().expect("bound");
    let server = Server::builder()
        .backend(Memory::new().with("x", content(1000)))
        .allocator(ports.clone());
    let server = server.on_record(|_| ()).build().expect("a server");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));

    let socket = tokio::net::UdpSocket::from_std(foreign_socket()).expect("registered");
    socket
        .send_to(b"\x00\x01x\x00octet\x00", address)
        .await
        .expect("sent");
    let mut buffer = [0; 600];
    let (_, transfer) = socket.recv_from(&mut buffer).await.expect("DATA 1");
    drop(stop);
    // Nothing else binds this port now; a closed port shows that the server accepts no requests.
    let late = Client::with_allocator(ports.clone()).answer_within(Duration::from_secs(1));
    loop {
        match late.get_bytes(address, "missing").await {
            Err(TransferError::NothingListens(_)) => break,
            other => assert!(other.expect_err("no such file").is_not_found()),
        }
    }
    socket
        .send_to(b"\x00\x04\x00\x01", transfer)
        .await
        .expect("sent");
    let (length, _) = socket.recv_from(&mut buffer).await.expect("DATA 2");
    assert_eq!(length, 4 + 488);
    socket
        .send_to(b"\x00\x04\x00\x02", transfer)
        .await
        .expect("sent");
    let summary = serving.await.expect("no panic").expect("drained");
    assert_eq!((summary.sent, summary.failed), (1, 0));
}

#[tokio::test]
async fn malformed_requests_are_answered_and_other_packets_are_not() {
    let ports = allocator();
    let ((), _, summary) = with_server(
        "127.0.0.1:0",
        Memory::new().with("x", "1"),
        &ports,
        async |server| {
            let socket = tokio::net::UdpSocket::from_std(foreign_socket()).expect("registered");
            let mut buffer = [0; 600];
            for (request, code) in [
                (&b"\x00\x01x\x00binary\x00"[..], ErrorCode::IllegalOperation),
                (b"\x00\x01x\x00mail\x00", ErrorCode::IllegalOperation),
                (b"\x00\x01x", ErrorCode::IllegalOperation),
                (b"\x00\x01\x00octet\x00", ErrorCode::IllegalOperation),
                (b"\x00\x09x", ErrorCode::IllegalOperation),
                (b"\x00\x02x\x00octet\x00", ErrorCode::AccessViolation),
            ] {
                socket.send_to(request, server).await.expect("sent");
                let (length, from) = socket.recv_from(&mut buffer).await.expect("an ERROR");
                let answer = buffer.get(..length).unwrap_or_default();
                assert_eq!(
                    (from, &answer[..4]),
                    (server, &[0, 5, 0, code.to_wire().to_be_bytes()[1]][..])
                );
            }
            for stray in [
                &b""[..],
                b"\x00",
                b"\x00\x03\x00\x01x",
                b"\x00\x04\x00\x00",
                b"\x00\x05\x00\x00x\x00",
                b"\x00\x06",
            ] {
                socket.send_to(stray, server).await.expect("sent");
            }
            // The next answer is to the next request: other packets were not answered.
            socket
                .send_to(b"\x00\x01missing\x00octet\x00", server)
                .await
                .expect("sent");
            let (length, _) = socket.recv_from(&mut buffer).await.expect("an ERROR");
            assert_eq!(&buffer[..length], b"\x00\x05\x00\x01File not found\x00");
        },
    )
    .await;
    assert_eq!(summary.sent, 0);
}

/// Returns a socket outside of the allocator.
fn foreign_socket() -> std::net::UdpSocket {
    let any = "127.0.0.1:0".parse().expect("an address");
    eport_core::bind::udp(any, &eport_core::bind::UdpOptions::default()).expect("a socket")
}

/// Waits until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition never came true");
}
