//! Limits of concurrent transfers, and transfers on the listening port.

#![expect(clippy::disallowed_methods, reason = "tests use time directly")]

mod common;

use std::{
    net::{SocketAddr, UdpSocket},
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use common::{allocator, receive, serve, socket, socket_at};
use tftpd::{
    Server,
    backend::Memory,
    policy::{RequestPolicy, Rule, Rules},
    server::{Builder, Caps, Cause, Ending, Record, Rejection},
};

const REQUEST: &[u8] = b"\x00\x01x\x00octet\x00";

#[test]
fn at_the_limit_a_request_waits_and_need_not_be_repeated() {
    let mut caps = Caps::default();
    caps.transfers = NonZeroUsize::MIN;
    let (records, summary) = serve(files().caps(caps), &allocator(), |server| {
        let (first, second) = (socket(), socket());
        first.send_to(REQUEST, server).expect("sent");
        let (_, transfer) = receive(&first);
        second.send_to(REQUEST, server).expect("sent");
        assert_silent(&second);
        finish(&first, transfer);
        let (_, transfer) = receive(&second);
        finish(&second, transfer);
    });
    assert_eq!((summary.sent, summary.rejected), (2, 0), "{records:?}");
}

#[test]
fn a_request_that_has_waited_too_long_is_recorded_and_not_answered() {
    let mut caps = Caps::default();
    (caps.transfers, caps.hold) = (NonZeroUsize::MIN, Duration::from_millis(50));
    let (records, _) = serve(files().caps(caps), &allocator(), |server| {
        let (first, second) = (socket(), socket());
        first.send_to(REQUEST, server).expect("sent");
        let (_, transfer) = receive(&first);
        second.send_to(REQUEST, server).expect("sent");
        assert_silent(&second);
        finish(&first, transfer);
    });
    assert_eq!(
        endings(&records),
        [
            &Ending::Rejected(Rejection::Overload),
            &Ending::Sent { confirmed: true }
        ]
    );
}

#[test]
fn each_address_has_its_own_limit() {
    let mut caps = Caps::default();
    caps.per_client = NonZeroU32::new(2).expect("not zero");
    let (records, _) = serve(files().caps(caps), &allocator(), |server| {
        let greedy = [socket(), socket(), socket()];
        for socket in &greedy[..2] {
            socket.send_to(REQUEST, server).expect("sent");
            receive(socket);
        }
        greedy[2].send_to(REQUEST, server).expect("sent");
        assert_silent(&greedy[2]);
        let other = socket_at("127.0.0.2");
        other.send_to(REQUEST, server).expect("sent");
        let (_, transfer) = receive(&other);
        finish(&other, transfer);
    });
    assert!(
        endings(&records).contains(&&Ending::Rejected(Rejection::TooMany)),
        "{records:?}"
    );
}

#[test]
fn a_flood_of_forged_requests_evicts_the_oldest_and_no_transfer_with_an_answer() {
    let mut caps = Caps::default();
    caps.half_open.total = NonZeroU32::new(8).expect("not zero");
    let ports = allocator();
    let (records, _) = serve(
        files()
            .caps(caps)
            .threads(NonZeroUsize::MIN)
            .drain(Duration::ZERO),
        &ports,
        |server| {
            let honest = socket();
            honest.send_to(REQUEST, server).expect("sent");
            let (_, transfer) = receive(&honest);
            honest.send_to(&ack(1), transfer).expect("sent");
            receive(&honest);
            let forged: Vec<_> = (0..50)
                .map(|host| socket_at(&format!("127.0.{host}.9")))
                .collect();
            for socket in &forged {
                socket.send_to(REQUEST, server).expect("sent");
                receive(socket);
            }
            assert_eq!(
                ports.stats().leased,
                9,
                "eight half open, and the honest one"
            );
            honest.send_to(&ack(2), transfer).expect("sent");
            honest.send_to(&ack(3), transfer).expect("sent");
            // On a busy machine block 2 is repeated in between.
            let mut blocks = std::iter::repeat_with(|| receive(&honest).0);
            let next = blocks.find(|data| data.get(..4) != Some(&[0, 3, 0, 2][..]));
            assert_eq!(next.unwrap_or_default().get(..4), Some(&[0, 3, 0, 3][..]));
        },
    );
    let evicted = endings(&records)
        .into_iter()
        .filter(|ending| **ending == Ending::Failed(Cause::Evicted));
    assert_eq!(evicted.count(), 42);
    assert!(endings(&records).contains(&&Ending::Sent { confirmed: true }));
}

#[test]
fn with_a_single_port_everything_goes_through_it_and_transfers_stay_apart() {
    let ports = allocator();
    let files = Memory::new()
        .with("a", vec![1; 1300])
        .with("b", vec![2; 1300]);
    let server = Server::builder().backend(files).single_port(true);
    let (records, summary) = serve(server, &ports, |server| {
        let (a, b) = (socket(), socket());
        a.send_to(b"\x00\x01a\x00octet\x00", server).expect("sent");
        b.send_to(
            b"\x00\x01b\x00octet\x00blksize\x00512\x00windowsize\x008\x00",
            server,
        )
        .expect("sent");
        assert_eq!(
            receive(&b),
            (
                b"\x00\x06blksize\x00512\x00windowsize\x008\x00".to_vec(),
                server
            )
        );
        b.send_to(&ack(0), server).expect("sent");
        for block in 1..=3 {
            let (data, from) = receive(&a);
            assert_eq!(
                (from, data.get(..5)),
                (server, Some(&[0, 3, 0, block, 1][..]))
            );
            a.send_to(&ack(block), server).expect("sent");
            let (data, from) = receive(&b);
            assert_eq!(
                (from, data.get(..5)),
                (server, Some(&[0, 3, 0, block, 2][..]))
            );
        }
        b.send_to(&ack(3), server).expect("sent");
        assert_eq!(ports.stats().peak_leased, 0, "no port was leased");
    });
    assert_eq!((summary.sent, summary.failed), (2, 0), "{records:?}");
}

#[test]
fn with_a_single_port_files_are_written_and_unknown_clients_get_error_5() {
    let files = Memory::new().writable(1 << 20);
    let kept = files.clone();
    let server = Server::builder().backend(files).single_port(true);
    let (_, summary) = serve(server, &allocator(), |server| {
        let writer = socket();
        writer
            .send_to(b"\x00\x02c\x00octet\x00", server)
            .expect("sent");
        assert_eq!(receive(&writer), (ack(0), server));
        writer
            .send_to(b"\x00\x03\x00\x01hello", server)
            .expect("sent");
        assert_eq!(receive(&writer), (ack(1), server));
        // A client without a transfer gets ERROR 5 (RFC 1350 §4), but an ERROR is never answered.
        let other = socket();
        other
            .send_to(b"\x00\x05\x00\x00\x00", server)
            .expect("sent");
        other.send_to(&ack(1), server).expect("sent");
        assert_eq!(
            receive(&other),
            (b"\x00\x05\x00\x05Unknown transfer ID\x00".to_vec(), server)
        );
    });
    assert_eq!((summary.received, summary.failed), (1, 0));
    assert_eq!(kept.read("c"), Some(b"hello".to_vec()));
}

#[test]
fn with_a_single_port_the_error_of_another_client_ends_nothing() {
    let (records, _) = serve(files().single_port(true), &allocator(), |server| {
        let (client, other) = (socket(), socket_at("127.0.0.2"));
        client.send_to(REQUEST, server).expect("sent");
        receive(&client);
        for packet in [&b"\x00\x05\x00\x00\x00"[..], &ack(1)] {
            other.send_to(packet, server).expect("sent");
        }
        // The answer to its ACK shows that the packet before it was received too.
        assert_eq!(receive(&other).0.get(..4), Some(&[0, 5, 0, 5][..]));
        finish(&client, server);
    });
    assert_eq!(endings(&records), [&Ending::Sent { confirmed: true }]);
}

#[test]
fn with_a_single_port_too_a_shutdown_lets_transfers_finish() {
    let server = Server::builder()
        .backend(Memory::new().with("x", vec![1; 600]))
        .single_port(true);
    let late = socket();
    let running = socket();
    let finishing = running.try_clone().expect("cloned");
    let mut finished = None;
    let (_, summary) = serve(server, &allocator(), |server| {
        running.send_to(REQUEST, server).expect("sent");
        receive(&running);
        finished = Some(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            late.send_to(REQUEST, server).expect("sent");
            finishing.send_to(&ack(1), server).expect("sent");
            receive(&finishing);
            finishing.send_to(&ack(2), server).expect("sent");
            assert_silent(&late);
        }));
    });
    finished.expect("started").join().expect("no panic");
    assert_eq!((summary.sent, summary.failed), (1, 0));
}

#[test]
fn a_record_names_the_file_that_the_rules_lead_to() {
    let rule = Rule::matching("^hosts/default$").rewrite("hosts/${client}");
    let rules = Rules::new([rule.build().expect("a rule")]);
    let policy = RequestPolicy::default().with_rules(rules);
    let server = files().policy(policy);
    let (records, _) = serve(server, &allocator(), |server| {
        for name in ["hosts/default", "/x", "./x", "absent"] {
            let socket = socket();
            let request = format!("\0\x01{name}\0octet\0");
            socket.send_to(request.as_bytes(), server).expect("sent");
            let (answer, transfer) = receive(&socket);
            if answer.get(1) == Some(&3) {
                finish(&socket, transfer);
            }
        }
    });
    let file = |path: &[u8]| {
        let record = records.iter().find(|record| *record.path == *path);
        let file = record.expect("each request has a record").file.as_deref();
        file.map(|file| file.escape_ascii().to_string())
    };
    assert_eq!(file(b"hosts/default").as_deref(), Some("hosts/127.0.0.1"));
    assert_eq!(file(b"./x").as_deref(), Some("x"));
    assert_eq!(
        (file(b"/x"), file(b"absent")),
        (None, None),
        "as it was sent"
    );
}

fn files() -> Builder {
    Server::builder().backend(Memory::new().with("x", vec![1; 1300]))
}

#[test]
fn packets_of_no_known_kind_are_answered_but_not_without_limit() {
    serve(files(), &allocator(), |server| {
        let (flood, other) = (socket(), socket_at("127.0.9.1"));
        for _ in 0..500 {
            flood.send_to(b"\x00\x09x", server).expect("sent");
        }
        // Each thread of the server answers in the order of arrival, and the kernel assigns a client
        // to one of them.
        flood
            .send_to(b"\x00\x01missing\x00octet\x00", server)
            .expect("sent");
        let answers = std::iter::repeat_with(|| receive(&flood).0);
        let illegal = answers.take_while(|answer| answer.get(3) == Some(&4));
        let count = illegal.count();
        assert!((1..100).contains(&count), "{count} answers to 500 packets");
        other.send_to(b"\x00\x09x", server).expect("sent");
        assert_eq!(receive(&other).0.get(..4), Some(&[0, 5, 0, 4][..]));
    });
}

#[test]
fn an_answer_longer_than_a_block_leaves_in_one_piece() {
    let (_, summary) = serve(files(), &allocator(), |server| {
        let socket = socket();
        socket
            .send_to(
                b"\x00\x01x\x00octet\x00blksize\x008\x00windowsize\x004\x00",
                server,
            )
            .expect("sent");
        let (oack, transfer) = receive(&socket);
        assert_eq!(oack, b"\x00\x06blksize\x008\x00windowsize\x004\x00");
        socket.send_to(&ack(0), transfer).expect("sent");
        for block in 1..=4 {
            assert_eq!(
                receive(&socket).0,
                [&[0, 3, 0, block][..], &[1; 8]].concat()
            );
        }
        socket
            .send_to(b"\x00\x05\x00\x00enough\x00", transfer)
            .expect("sent");
    });
    assert_eq!(summary.failed, 1);
}

/// Takes the rest of a file of three blocks, of which the first is here.
fn finish(socket: &UdpSocket, transfer: SocketAddr) {
    for block in 1..=2 {
        socket.send_to(&ack(block), transfer).expect("sent");
        assert_eq!(receive(socket).0.get(..4), Some(&[0, 3, 0, block + 1][..]));
    }
    socket.send_to(&ack(3), transfer).expect("sent");
}

fn ack(block: u8) -> Vec<u8> {
    vec![0, 4, 0, block]
}

fn endings(records: &[Record]) -> Vec<&Ending> {
    records.iter().map(|record| &record.ending).collect()
}

#[track_caller]
fn assert_silent(socket: &UdpSocket) {
    socket
        .set_read_timeout(Some(Duration::from_millis(150)))
        .expect("set");
    assert!(socket.recv_from(&mut [0; 10]).is_err(), "an answer came");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set");
}
