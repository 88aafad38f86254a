//! A server inside a test, behind a link that loses, duplicates and delays packets by a script.

use std::{net::UdpSocket, time::Duration};

use eport_core::{
    Allocator,
    bind::{self, UdpOptions},
};
use tftpd::{
    Client, Server,
    backend::Memory,
    proto::{Blksize, Options, Windowsize},
    server::{Cause, Ending, Record},
    testing::{Datagram, Delivery, Destination, Link, PacketId, Script, TestServer},
};

const BLKSIZE: usize = 512;

/// Fetches five blocks, the last one short, `window` at a time.
async fn fetch(window: u16, link: impl Link, single_port: bool) -> Vec<Record> {
    let content: Vec<u8> = (0..=250).cycle().take(4 * BLKSIZE + 100).collect();
    let ports = Allocator::builder().build().expect("ports");
    let server = Server::builder()
        .backend(Memory::new().with("kernel", content.clone()))
        .allocator(ports.clone())
        .single_port(single_port);
    let server = TestServer::start_with_link(server, link).expect("a server");
    let options = Options::default()
        .with_blksize(Blksize::new(512))
        .with_windowsize(Windowsize::new(window));
    let client = Client::new().expect("ports").options(options);
    let file = client.get_bytes(server.address(), "kernel").await;
    assert!(file.expect("a file") == content);
    let records = server.stop().expect("served");
    assert_eq!(ports.stats().leased, 0);
    records
}

#[tokio::test]
async fn a_file_arrives_when_any_of_its_packets_is_lost() {
    let data = (1..=5).map(PacketId::Data);
    let packets = data.chain([PacketId::Ack(1), PacketId::Ack(4)]);
    for lost in packets {
        for single_port in [false, true] {
            let records = fetch(1, Script::new().lose(lost), single_port).await;
            assert_eq!(records.len(), 1);
            assert!(matches!(records[0].ending, Ending::Sent { .. }));
            // Of an ACK it may be the client that notices first.
            let again = matches!(lost, PacketId::Data(_));
            assert!(!again || records[0].resent >= 1, "{lost:?}");
        }
    }
}

#[tokio::test]
async fn a_file_arrives_when_packets_are_repeated_or_late() {
    let script = Script::new()
        .repeat(PacketId::Data(1))
        .delay(PacketId::Data(2))
        .repeat(PacketId::Ack(4))
        .delay(PacketId::Ack(0));
    for window in [1, 4] {
        for single_port in [false, true] {
            let records = fetch(window, script.clone(), single_port).await;
            assert!(matches!(records[0].ending, Ending::Sent { .. }));
        }
    }
}

#[tokio::test]
async fn a_closure_decides_on_every_datagram_of_a_transfer_in_both_directions() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let link = move |datagram: &Datagram<'_>| {
        let which = PacketId::decode(datagram.bytes).filter(|_| datagram.copy == 0);
        let seen = (datagram.to, datagram.number, which);
        sender.send(seen).expect("it is awaited");
        Delivery::Once
    };
    fetch(4, link, false).await;
    let seen: Vec<_> = receiver.iter().collect();
    let data = (1..=5).map(PacketId::Data);
    for (to, expected) in [
        (
            Destination::Client,
            [PacketId::Oack].into_iter().chain(data).collect(),
        ),
        (Destination::Server, [0, 4, 5].map(PacketId::Ack).to_vec()),
    ] {
        let these = seen.iter().filter(|(destination, ..)| *destination == to);
        let numbers = these.clone().map(|&(_, number, _)| number);
        assert!(
            numbers
                .zip(1..)
                .all(|(number, expected)| number == expected)
        );
        // A busy machine may need one of them again.
        let first: Vec<_> = these.filter_map(|&(.., which)| which).collect();
        let expected: Vec<PacketId> = expected;
        assert!(
            expected.iter().all(|which| first.contains(which)),
            "{seen:?}"
        );
    }
}

#[test]
fn a_plain_socket_receives_exactly_the_datagrams_that_the_script_delivers() {
    let script = Script::new()
        .repeat(PacketId::Oack)
        .lose(PacketId::Data(1))
        .delay(PacketId::Data(2));
    let server = Server::builder().backend(Memory::new().with("kernel", vec![7; 5000]));
    let server = TestServer::start_with_link(server, script).expect("a server");
    let client = socket();
    client
        .send_to(
            b"\x00\x01kernel\x00octet\x00windowsize\x004\x00",
            server.address(),
        )
        .expect("sent");
    let mut buffer = [0; 1000];
    let mut receive = || {
        let (length, from) = client.recv_from(&mut buffer).expect("an answer");
        (PacketId::decode(&buffer[..length]), from)
    };
    let (_, port) = receive();
    assert_eq!(receive(), (Some(PacketId::Oack), port));
    client.send_to(&[0, 4, 0, 0], port).expect("sent");
    let window = [3, 2, 4, 1].map(|block| (Some(PacketId::Data(block)), port));
    assert_eq!([receive(), receive(), receive(), receive()], window);
}

#[test]
fn behind_a_link_each_side_sees_the_closed_port_of_the_other() {
    let server = Server::builder().backend(Memory::new().with("kernel", vec![7; 1300]));
    let server = TestServer::start_with_link(server, Script::new()).expect("a server");
    let request = b"\x00\x01kernel\x00octet\x00";
    let mut buffer = [0; 1000];

    let gone = socket();
    let address = gone.local_addr().expect("bound");
    gone.send_to(request, server.address()).expect("sent");
    let (_, port) = gone.recv_from(&mut buffer).expect("DATA 1");
    gone.send_to(&[0, 4, 0, 1], port).expect("sent");
    gone.recv_from(&mut buffer).expect("DATA 2");
    drop(gone);

    let client = socket();
    client.send_to(request, server.address()).expect("sent");
    let (_, port) = client.recv_from(&mut buffer).expect("DATA 1");
    client.connect(port).expect("connected");
    for block in 1..=3 {
        client.send(&[0, 4, 0, block]).expect("sent");
    }
    client
        .set_read_timeout(Some(Duration::from_millis(5)))
        .expect("set");
    let errors = std::iter::repeat_with(|| {
        let sent = client.send(&[0, 4, 0, 3]);
        sent.and(client.recv(&mut buffer)).err()
    });
    let refused = std::io::ErrorKind::ConnectionRefused;
    let mut errors = errors.take(2000).flatten();
    let closed = errors.any(|error| error.kind() == refused);
    assert!(closed, "the port of the transfer is still open");

    let records = server.stop().expect("served");
    let ending = |address| {
        let record = records.iter().find(|record| record.client == address);
        &record.expect("named by its own address").ending
    };
    assert_eq!(*ending(address), Ending::Failed(Cause::ClientGone));
    let client = client.local_addr().expect("bound");
    assert_eq!(*ending(client), Ending::Sent { confirmed: true });
}

#[test]
fn a_server_that_is_dropped_ends_its_transfers_and_gives_their_ports_back() {
    let ports = Allocator::builder().build().expect("ports");
    let server = Server::builder()
        .backend(Memory::new().with("kernel", vec![7; 5000]))
        .allocator(ports.clone());
    let server = TestServer::start(server).expect("a server");
    let client = socket();
    client
        .send_to(b"\x00\x01kernel\x00octet\x00", server.address())
        .expect("sent");
    let mut buffer = [0; 1000];
    let (length, _) = client.recv_from(&mut buffer).expect("DATA 1");
    assert_eq!((length, ports.stats().leased), (516, 1));
    drop(server);
    assert_eq!(ports.stats().leased, 0);
}

/// A socket that belongs to no allocator and waits ten seconds for an answer.
fn socket() -> UdpSocket {
    let any = "127.0.0.1:0".parse().expect("an address");
    let socket = bind::udp(any, &UdpOptions::default().blocking(true)).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set");
    socket
}
