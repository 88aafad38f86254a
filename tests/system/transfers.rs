//! Repeated requests, requests from invalid ports, packets from foreign ports, clients that vanish, and
//! option negotiation.

use std::net::SocketAddr;

use nix::sys::signal::{Signal, kill};
use tests::client::Client;
use tests::lab::{CLIENTS, Lab, SERVERS};
use tests::peers;

#[test]
fn a_repeated_write_request_is_answered_by_the_same_transfer() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    let server = lab.serve("--writable");
    for (address, name) in [(SERVERS[0], "four"), (SERVERS[3], "six")] {
        let mut client = lab.client(address);
        let request = format!("WRQ {name} octet blksize=600");
        assert_eq!(client.ask(&request), "OACK blksize=600");
        let transfer = client.transfer();
        assert_eq!(client.ask(&request), "OACK blksize=600");
        assert_eq!(client.transfer(), transfer, "there are two transfers");
        assert_eq!(client.ask("DATA 1 len 600"), "ACK 1");
        // A late copy neither restarts the file nor is answered.
        client.send(&request);
        assert_eq!(client.ask("DATA 2 len 7"), "ACK 2");
        assert_eq!(client.transfer(), transfer);
        let stored = tests::host::read(&lab.root().join(name));
        assert_eq!(stored.len(), 607, "{}", server.output());
    }
    server.stop();
}

#[test]
fn requests_from_port_69_are_served_and_those_from_port_0_dropped() {
    if !peers::available(&["ip", "nft"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let listen = "--listen :69 --listen 10.99.0.1:6969";
    let server = lab.serve(listen);
    let [v4, _] = CLIENTS;
    for port in [69, 6969] {
        let asked = SocketAddr::new(SERVERS[0], port);
        // lwIP's client sends from port 69; no program can receive on port 0.
        let mut from_69 = Client::new(&lab.here, SocketAddr::new(v4, 69), asked);
        assert_eq!(from_69.fetch("x"), [7; 600]);
        let from_0 = lab.client_of(asked);
        let bound = from_0.socket().local_addr().expect("bound").port();
        lab.here
            .firewall("out", &format!("udp sport {bound} udp sport set 0"));
        from_0.send("RRQ x octet");
        lab.here.no_firewall();
        let mut honest = lab.client_of(asked);
        assert!(honest.ask("RRQ absent octet").starts_with("ERROR 1"));
    }
    let log = server.stop();
    assert_eq!(
        log.matches("path=").count(),
        4,
        "all but those from port 0: {log}"
    );
}

#[test]
fn signals_that_do_not_stop_the_server_leave_its_transfers_alone() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 1600]);
    let server = lab.serve("");
    let mut client = lab.client(SERVERS[0]);
    assert_eq!(client.ask("RRQ x octet"), "DATA 1 len 512");
    lab.there
        .sysctl("net.ipv4.ip_local_reserved_ports", "61003-61004");
    for (block, signal) in [
        (1, Signal::SIGHUP),
        (2, Signal::SIGUSR1),
        (3, Signal::SIGUSR2),
    ] {
        kill(server.process().pid(), signal).expect("the server runs");
        let last = if block == 3 { 64 } else { 512 };
        assert_eq!(
            client.ask(&format!("ACK {block}")),
            format!("DATA {} len {last}", block + 1),
            "{signal}: {}",
            server.output()
        );
    }
    client.send("ACK 4");
    server.wait_for_line("read the reserved ports again withheld=2");
    server.stop();
}

#[test]
fn foreign_packets_do_not_reach_a_transfer_and_are_answered_by_icmp() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 1100]);
    let server = lab.serve("");
    for address in [SERVERS[0], SERVERS[3]] {
        let mut client = lab.client(address);
        assert_eq!(client.ask("RRQ x octet"), "DATA 1 len 512");
        for packet in ["ERROR 0 \"go away\"", "ACK 1", "DATA 1 len 3", "ACK 2"] {
            let foreign = lab.client_of(client.transfer());
            // A connected socket receives ICMP "port unreachable" as an error.
            foreign
                .socket()
                .connect(client.transfer())
                .expect("a route");
            foreign.send(packet);
            let answer = foreign.socket().recv(&mut [0; 100]);
            let answer = answer.map_err(|error| error.kind());
            assert_eq!(
                answer,
                Err(std::io::ErrorKind::ConnectionRefused),
                "{packet}"
            );
        }
        assert_eq!(client.ask("ACK 1"), "DATA 2 len 512");
        assert_eq!(client.ask("ACK 2"), "DATA 3 len 76");
        client.send("ACK 3");
    }
    let log = server.stop();
    assert_eq!(log.matches("sent client=").count(), 2, "{log}");
}

#[test]
fn transfers_that_outlast_the_drain_time_end_with_error_0() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 1100]);
    let server = lab.serve("--drain 1 --writable");
    let mut reader = lab.client(SERVERS[0]);
    assert_eq!(reader.ask("RRQ x octet"), "DATA 1 len 512");
    assert_eq!(reader.ask("ACK 1"), "DATA 2 len 512");
    let mut writer = lab.client(SERVERS[3]);
    assert_eq!(writer.ask("WRQ half octet"), "ACK 0");
    assert_eq!(writer.ask("DATA 1 len 512"), "ACK 1");
    server.interrupt();
    for client in [&mut reader, &mut writer] {
        let repeated = ["DATA 2 len 512", "ACK 1"];
        let last = loop {
            let answer = client.receive_text();
            if !repeated.contains(&answer.as_str()) {
                break answer;
            }
        };
        assert!(last.starts_with("ERROR 0 "), "{last}\n{}", server.output());
    }
    let log = server.stop();
    assert_eq!(log.matches("cause=shutdown").count(), 2, "{log}");
    let left = tests::host::files_in(&lab.root());
    assert_eq!(left, [lab.root().join("x")], "half a file was left");
}

#[test]
fn block_numbers_wrap_to_the_requested_rollover() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    // 65 537 blocks of 8 bytes and a rest.
    let file = tests::host::patternless(8 * 65_537 + 3);
    lab.file("x", &file);
    let server = lab.serve("");
    for (option, granted, after_the_last) in [
        ("", "", 0),
        (" rollover=0", " rollover=0", 0),
        (" rollover=1", " rollover=1", 1),
    ] {
        let mut client = lab.client(SERVERS[0]);
        let answer = client.ask(&format!("RRQ x octet blksize=8 windowsize=64{option}"));
        assert_eq!(answer, format!("OACK blksize=8 windowsize=64{granted}"));
        assert!(
            read_across_the_wrap(&mut client, after_the_last) == file,
            "{option}: {}",
            server.output()
        );
    }
    server.stop();
}

/// Reads a file in windows of 64 blocks of 8 bytes.
#[track_caller]
fn read_across_the_wrap(client: &mut Client, after_the_last: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut number = 0_u16;
    client.send("ACK 0");
    for count in 1.. {
        number = number.checked_add(1).unwrap_or(after_the_last);
        let payload = client.block(number);
        file.extend(&payload);
        if count % 64 == 0 || payload.len() < 8 {
            client.send(&format!("ACK {number}"));
        }
        if payload.len() < 8 {
            break;
        }
    }
    file
}

#[test]
fn tsize_and_blksize_are_acknowledged_also_with_narrow_limits() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", "line\n".repeat(120));
    let server = lab.serve("--max-blksize 512 --max-windowsize 1 --single-port --max-transfers 9");
    // The requests of GRUB, of EDK2, and of clients with defaults.
    for (request, answer) in [
        (
            "RRQ x octet blksize=1024 tsize=0",
            "OACK blksize=512 tsize=600",
        ),
        (
            "RRQ x octet tsize=0 blksize=1468 windowsize=4",
            "OACK tsize=600 blksize=512 windowsize=1",
        ),
        ("RRQ x octet blksize=512", "OACK blksize=512"),
        ("RRQ x octet tsize=0", "OACK tsize=600"),
    ] {
        let mut client = lab.client(SERVERS[0]);
        let received = client.ask(request);
        assert_eq!(in_order(&received), in_order(answer), "{request}");
        client.send("ERROR 8 \"\"");
    }
    // In netascii the file has another size, which is unknown before the encoding.
    let mut text = lab.client(SERVERS[0]);
    assert_eq!(text.ask("RRQ x netascii tsize=0"), "DATA 1 len 512");
    assert_eq!(text.ask("ACK 1"), "DATA 2 len 208");
    text.send("ACK 2");
    let mut text = lab.client(SERVERS[0]);
    let answer = text.ask("RRQ x netascii tsize=0 blksize=100");
    assert_eq!(answer, "OACK blksize=100");
    text.send("ERROR 8 \"\"");
    server.stop();
}

/// The sorted words of an answer: a server may choose the order of options.
fn in_order(answer: &str) -> Vec<&str> {
    let mut words: Vec<_> = answer.split(' ').collect();
    words.sort_unstable();
    words
}
