//! A server inside a test, over a link that loses, repeats and exchanges what a script says.

use std::{net::UdpSocket, time::Duration};

use eport_core::{
    Allocator,
    bind::{self, UdpOptions},
};
use tftpd::{
    Client, Server,
    backend::Memory,
    proto::{Blksize, Options, Windowsize},
    server::{Ending, Record},
    testing::{Datagram, Fate, Link, Script, TestServer, Way, Which},
};

const BLKSIZE: usize = 512;

/// Fetches five blocks, the last one short, `window` at a time.
async fn fetch(window: u16, link: impl Link, single_port: bool) -> Vec<Record> {
    let content: Vec<u8> = (0..=250).cycle().take(4 * BLKSIZE + 100).collect();
    let ports = Allocator::builder().build().expect("ports");
    let server = Server::builder()
        .backend(Memory::new().with("kernel", content.clone()))
        .allocator(ports.clone())
        .single_port(single_port)
        .link(link);
    let server = TestServer::start(server).expect("a server");
    let client = Client::new().expect("ports").options(Options {
        blksize: Blksize::new(512),
        windowsize: Windowsize::new(window),
        ..Options::default()
    });
    let file = client.get_bytes(server.address(), "kernel").await;
    assert!(file.expect("a file") == content);
    let records = server.stop().expect("served");
    assert_eq!(ports.stats().leased, 0);
    records
}

#[tokio::test]
async fn a_file_arrives_whichever_of_its_packets_is_lost() {
    let data = (1..=5).map(Which::Data);
    let packets = data.chain([Which::Ack(1), Which::Ack(4)]);
    for lost in packets {
        for single_port in [false, true] {
            let records = fetch(1, Script::new().lose(lost), single_port).await;
            assert_eq!(records.len(), 1);
            assert!(matches!(records[0].ending, Ending::Sent { .. }));
            // Of an ACK it may be the client that notices first.
            let again = matches!(lost, Which::Data(_));
            assert!(!again || records[0].resent >= 1, "{lost:?}");
        }
    }
}

#[tokio::test]
async fn a_file_arrives_whatever_is_repeated_or_late() {
    let script = Script::new()
        .repeat(Which::Data(1))
        .delay(Which::Data(2))
        .repeat(Which::Ack(4))
        .delay(Which::Ack(0));
    for window in [1, 4] {
        for single_port in [false, true] {
            let records = fetch(window, script.clone(), single_port).await;
            assert!(matches!(records[0].ending, Ending::Sent { .. }));
        }
    }
}

#[tokio::test]
async fn a_closure_sees_every_datagram_of_a_transfer_both_ways() {
    let (tell, told) = std::sync::mpsc::channel();
    let link = move |datagram: &Datagram<'_>| {
        let which = Which::of(datagram.bytes).filter(|_| datagram.copy == 0);
        let seen = (datagram.way, datagram.number, which);
        tell.send(seen).expect("it is awaited");
        Fate::Arrives
    };
    fetch(4, link, false).await;
    let seen: Vec<_> = told.iter().collect();
    let data = (1..=5).map(Which::Data);
    for (way, expected) in [
        (
            Way::ToClient,
            [Which::Oack].into_iter().chain(data).collect(),
        ),
        (Way::ToServer, [0, 4, 5].map(Which::Ack).to_vec()),
    ] {
        let these = seen.iter().filter(|(theirs, ..)| *theirs == way);
        let numbers = these.clone().map(|&(_, number, _)| number);
        assert!(
            numbers
                .zip(1..)
                .all(|(number, expected)| number == expected)
        );
        // A busy machine may need one of them again.
        let first: Vec<_> = these.filter_map(|&(.., which)| which).collect();
        let expected: Vec<Which> = expected;
        assert!(
            expected.iter().all(|which| first.contains(which)),
            "{seen:?}"
        );
    }
}

#[test]
fn a_plain_socket_gets_exactly_what_the_script_lets_arrive() {
    let script = Script::new()
        .repeat(Which::Oack)
        .lose(Which::Data(1))
        .delay(Which::Data(2));
    let server = Server::builder()
        .backend(Memory::new().with("kernel", vec![7; 5000]))
        .link(script);
    let server = TestServer::start(server).expect("a server");
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
        (Which::of(&buffer[..length]), from)
    };
    let (_, port) = receive();
    assert_eq!(receive(), (Some(Which::Oack), port));
    client.send_to(&[0, 4, 0, 0], port).expect("sent");
    let window = [3, 2, 4, 1].map(|block| (Some(Which::Data(block)), port));
    assert_eq!([receive(), receive(), receive(), receive()], window);
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
