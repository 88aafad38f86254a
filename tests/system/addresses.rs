//! The source address of answers: the requested one, on a server with several addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use tests::client::Client;
use tests::lab::{BROADCAST, CABLE, Lab, SERVERS};
use tests::peers;

#[test]
fn every_answer_comes_from_the_requested_address() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--writable --existing replace --ports 61000-61999");
    for address in SERVERS {
        check_answers(
            &lab,
            address,
            |port| (61_000..=61_999).contains(&port),
            &server.output(),
        );
    }
    server.stop();
}

#[test]
fn with_a_single_port_every_answer_comes_from_the_requested_address() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--writable --existing replace --single-port");
    for address in SERVERS {
        check_answers(&lab, address, |port| port == 69, &server.output());
    }
    server.stop();
}

/// Asserts that a read, a write and two refusals are answered from this address.
#[track_caller]
fn check_answers(lab: &Lab, address: IpAddr, expected: impl Fn(u16) -> bool, log: &str) {
    let transfer = |client: &Client, step: &str| {
        let from = client.transfer();
        assert!(
            from.ip() == address && expected(from.port()),
            "{step} from {address} was answered from {from}\n{log}"
        );
    };
    let mut reader = lab.client(address);
    assert_eq!(reader.fetch("x"), [7; 600]);
    transfer(&reader, "a read");
    let mut writer = lab.client(address);
    assert_eq!(writer.ask("WRQ up octet"), "ACK 0");
    transfer(&writer, "a write");
    assert_eq!(writer.ask("DATA 1 len 5"), "ACK 1");
    transfer(&writer, "its end");
    for (request, answer) in [
        ("RRQ absent octet", "ERROR 1 \"File not found\""),
        ("WRQ x mail", "ERROR 4 \"Illegal TFTP operation\""),
    ] {
        let mut refused = lab.client(address);
        assert_eq!(refused.ask(request), answer);
        assert_eq!(
            refused.transfer(),
            SocketAddr::new(address, 69),
            "a refusal comes from the listening port"
        );
    }
}

#[test]
fn it_listens_on_the_given_addresses_only() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let listen = ["10.99.0.1:69", "10.99.0.3:6969", "[fd99::2]:69"];
    let flags = listen.map(|address| format!("--listen {address}"));
    let server = lab.serve(&flags.join(" "));
    for address in listen.map(|address| address.parse::<SocketAddr>().expect("an address")) {
        server.wait_for_line(&format!("listening on {address}"));
        let mut client = lab.client_of(address);
        assert_eq!(client.fetch("x"), [7; 600]);
        assert_eq!(client.transfer().ip(), address.ip());
    }
    for closed in [
        "10.99.0.2:69",
        "10.99.0.1:6969",
        "10.99.0.3:69",
        "[fd99::1]:69",
    ] {
        let closed = closed.parse().expect("an address");
        let mut client = lab.client_of(closed);
        // A connected socket receives ICMP "port unreachable" as an error.
        client.socket().connect(closed).expect("a route");
        assert_eq!(client.ask("RRQ x octet"), "silence", "{closed}");
    }
    server.stop();
}

#[test]
fn a_broadcast_is_not_answered() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("");
    let mut client = lab.client(SERVERS[0]);
    for destination in [BROADCAST, Ipv4Addr::BROADCAST.into()] {
        broadcast(&lab, &client, destination);
    }
    // Only the request after the broadcasts is answered.
    assert!(client.ask("RRQ absent octet").starts_with("ERROR 1"));
    let log = server.stop();
    assert!(!log.contains("path=x"), "{log}");
}

#[test]
fn with_broadcast_a_broadcast_is_answered_from_an_address_of_the_server() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    for arguments in ["--broadcast", "--broadcast --single-port"] {
        let server = lab.serve(arguments);
        for destination in [BROADCAST, Ipv4Addr::BROADCAST.into()] {
            let mut client = lab.client(SERVERS[0]);
            broadcast(&lab, &client, destination);
            assert_eq!(
                client.receive_text(),
                "DATA 1 len 512",
                "{}",
                server.output()
            );
            assert!(
                SERVERS.contains(&client.transfer().ip()),
                "{}",
                client.transfer()
            );
            assert_eq!(client.ask("ACK 1"), "DATA 2 len 88");
            client.send("ACK 2");
        }
        let log = server.stop();
        assert_eq!(log.matches("path=x").count(), 2, "once each: {log}");
    }
}

#[test]
fn a_multicast_is_never_answered() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--broadcast");
    let mut client = Client::new(
        &lab.here,
        lab.here.link_local(CABLE).into(),
        SocketAddr::new(SERVERS[3], 69),
    );
    let all_nodes = SocketAddrV6::new(
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        69,
        0,
        lab.here.link_local(CABLE).scope_id(),
    );
    client.send_bytes(b"\0\x01x\0octet\0", all_nodes.into());
    let mut server_address = lab.there.link_local(CABLE);
    server_address.set_port(69);
    server_address.set_scope_id(all_nodes.scope_id());
    client.send_bytes(b"\0\x01absent\0octet\0", server_address.into());
    assert!(
        client.receive_text().starts_with("ERROR 1"),
        "{}",
        server.output()
    );
    let log = server.stop();
    assert!(!log.contains("path=x"), "{log}");
}

/// Requests `x` by a broadcast on the cable.
#[track_caller]
fn broadcast(lab: &Lab, client: &Client, destination: IpAddr) {
    if destination == Ipv4Addr::BROADCAST {
        lab.here
            .ip(&format!("route replace {destination}/32 dev {CABLE}"));
    }
    client
        .socket()
        .set_broadcast(true)
        .expect("a socket of IPv4");
    client.send_bytes(b"\0\x01x\0octet\0", SocketAddr::new(destination, 69));
}

#[test]
fn link_local_addresses_are_answered_on_their_link() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    for arguments in [
        "--writable --existing replace",
        "--writable --existing replace --single-port",
    ] {
        let server = lab.serve(arguments);
        let from = lab.here.link_local(CABLE);
        let mut server_address = lab.there.link_local(CABLE);
        // The scope ID has to be that of the client's end of the cable.
        server_address.set_scope_id(from.scope_id());
        server_address.set_port(69);
        let client = || Client::new(&lab.here, from.into(), server_address.into());
        let mut reader = client();
        assert_eq!(reader.fetch("x"), [7; 600], "{}", server.output());
        assert_eq!(reader.transfer().ip(), IpAddr::V6(*server_address.ip()));
        let mut writer = client();
        assert_eq!(writer.ask("WRQ up octet"), "ACK 0");
        assert_eq!(writer.ask("DATA 1 len 0"), "ACK 1");
        assert!(client().ask("RRQ absent octet").starts_with("ERROR 1"));
        server.stop();
    }
}
