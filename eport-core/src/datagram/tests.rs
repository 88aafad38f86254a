//! Datagrams over the loopback interface.

use std::net::Ipv4Addr;

use super::*;
use crate::bind::{self, UdpOptions};

/// The wildcard sockets of both families, with destinations reported.
fn wildcards() -> Vec<UdpSocket> {
    ["[::]:0", "0.0.0.0:0"].map(bound).into()
}

fn bound(address: &str) -> UdpSocket {
    let address = address.parse().expect("an address");
    let socket = bind::udp(address, &UdpOptions::default().only_v6(true)).expect("free");
    report_destination(&socket).expect("a UDP socket");
    socket
}

fn client_of(server: SocketAddr) -> UdpSocket {
    bound(if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    })
}

fn address(ip: &str, socket: &UdpSocket) -> SocketAddr {
    let port = socket.local_addr().expect("bound").port();
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// Sends "ping" to `asked`, and returns what the sockets received, with destinations.
fn received(
    inbox: &mut Inbox,
    sockets: &[UdpSocket],
    asked: SocketAddr,
) -> Vec<(Vec<u8>, SocketAddr, bool)> {
    let client = client_of(asked);
    client.send_to(b"ping", asked).expect("sent");
    let mut received = Vec::new();
    for (index, socket) in sockets.iter().enumerate() {
        match inbox.receive(index, socket, |arrival| {
            assert_eq!(Some(arrival.client), client.local_addr().ok());
            received.push((arrival.bytes.to_vec(), arrival.local, arrival.unicast));
        }) {
            Ok(more) => assert!(!more, "a single datagram was sent"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    received
}

#[test]
fn an_inbox_reports_the_address_that_was_asked() {
    let sockets = wildcards();
    let mut inbox = Inbox::new(&sockets, 512).expect("bound");
    // IPv6 after IPv4: the lengths of the one must not bind the other.
    for (asked, socket) in [
        ("127.0.0.1", 1),
        ("127.0.0.77", 1),
        ("::1", 0),
        ("127.0.0.1", 1),
    ] {
        let asked = address(asked, &sockets[socket]);
        assert_eq!(
            received(&mut inbox, &sockets, asked),
            [(b"ping".to_vec(), asked, true)]
        );
    }
}

#[test]
fn a_datagram_longer_than_its_room_is_dropped() {
    let server = bound("127.0.0.1:0");
    let to = server.local_addr().expect("bound");
    let client = client_of(to);
    let mut inbox = Inbox::new([&server], 4).expect("bound");
    let mut buffer = Buffer::new(&server, 4).expect("bound");
    for datagram in [b"12345".as_slice(), b"1234"] {
        client.send_to(datagram, to).expect("sent");
    }
    let mut lengths = Vec::new();
    let more = inbox.receive(0, &server, |arrival| lengths.push(arrival.bytes.len()));
    assert!(!more.expect("two datagrams"));
    assert_eq!(lengths, [4]);
    client.send_to(b"12345", to).expect("sent");
    assert!(buffer.receive(&server).expect("one datagram").is_none());
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    for (any, asked) in [("0.0.0.0:0", "127.0.0.77"), ("[::]:0", "::1")] {
        let server = bound(any);
        let asked = address(asked, &server);
        let client = client_of(asked);
        let mut buffer = Buffer::new(&server, 512).expect("a socket");
        client.send_to(b"ping", asked).expect("sent");
        let arrival = buffer
            .receive(&server)
            .expect("it is there")
            .expect("complete");
        assert_eq!(arrival.bytes, b"ping");
        assert_eq!(arrival.local, asked);
        reply(&server, b"pong", arrival.source(), arrival.client).expect("sent");
        let mut answer = [0; 8];
        assert_eq!(client.recv_from(&mut answer).expect("arrived"), (4, asked));
    }
}

#[test]
fn a_multicast_group_is_not_a_source() {
    let to = |local: &str| {
        let arrival = Arrival {
            bytes: b"",
            client: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1),
            local: local.parse().expect("an address"),
            unicast: false,
        };
        arrival.source().to_string()
    };
    assert_eq!(to("[ff02::202%3]:111"), "[::%3]:111");
    assert_eq!(to("[fe80::1%3]:111"), "[fe80::1%3]:111");
    assert_eq!(to("10.0.0.1:111"), "10.0.0.1:111");
}
