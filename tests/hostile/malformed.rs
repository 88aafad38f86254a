//! Malformed packets against the running program: it does not end, its memory and descriptors do not
//! grow, and other clients are served.

use std::cell::RefCell;
use std::time::Duration;

use tests::lab::{Lab, SERVERS};
use tests::server::Server;
use tests::{host, peers};

use crate::packets;

const ROUNDS: usize = 6;

/// The variation of an allocator's heap, in bytes.
const SLACK: u64 = 1 << 20;

#[test]
fn malformed_requests_leave_no_trace() {
    if !peers::available(&["ip"]) {
        return;
    }
    for arguments in ["--writable --existing replace", "--single-port"] {
        let packets = packets::first();
        assert!(packets.len() >= 145, "{}", packets.len());
        let lab = lab();
        let server = lab.serve(arguments);
        check_steady(&lab, &server, |address| {
            let client = lab.client(address);
            for packet in &packets {
                client.send_bytes(packet, (address, 69).into());
            }
        });
        assert_eq!(
            host::files_in(&lab.root()),
            ["x", "y"].map(|name| lab.root().join(name)),
            "a malformed request has written"
        );
        server.stop();
    }
}

#[test]
fn malformed_packets_do_not_disturb_the_transfer_they_reach() {
    if !peers::available(&["ip"]) {
        return;
    }
    let packets = packets::mid();
    assert!(packets.len() >= 145, "{}", packets.len());
    let lab = lab();
    let server = lab.serve("--writable --existing replace");
    check_steady(&lab, &server, |address| {
        let mut reader = lab.client(address);
        assert_eq!(reader.ask("RRQ x octet"), "DATA 1 len 512");
        let mut writer = lab.client(address);
        assert_eq!(writer.ask("WRQ y octet"), "ACK 0");
        for packet in &packets {
            reader.send_bytes(packet, reader.transfer());
            // A test of its own covers DATA out of order.
            if packet.get(..2) != Some(&[0, 3]) {
                writer.send_bytes(packet, writer.transfer());
            }
        }
        reader.send("ACK 1");
        assert_eq!(reader.rest(2), [7; 88], "{}", server.output());
        let answer = writer.ask_until_changed("DATA 1 len 3", "ACK 0");
        assert_eq!(answer, "ACK 1", "{}", server.output());
        assert_eq!(host::read(&lab.root().join("y")), [1; 3]);
    });
    server.stop();
}

#[test]
fn malformed_blocks_never_become_part_of_a_file() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = lab();
    let server = lab.serve("--writable --existing replace");
    // Their ports stay bound: an equal request from an equal port shortly afterwards would be a late
    // copy, which is not answered.
    let writers = RefCell::new(Vec::new());
    check_steady(&lab, &server, |address| {
        let too_long = [513, 600, 65_503].map(|length| {
            let mut block = vec![0, 3, 0, 1];
            block.resize(4 + length, b'!');
            block
        });
        let blocks = packets::mid().into_iter().chain(too_long);
        for block in blocks.filter(|packet| packet.starts_with(&[0, 3])) {
            let mut writer = lab.client(address);
            assert_eq!(writer.ask("WRQ y octet"), "ACK 0");
            writer.send_bytes(&block, writer.transfer());
            let answer = writer.ask_until_changed("DATA 1 len 3", "ACK 0");
            assert!(
                answer == "ACK 1" || answer.starts_with("ERROR 4"),
                "{}: {answer}",
                block.escape_ascii()
            );
            assert_eq!(host::read(&lab.root().join("y")).len(), 3);
            writers.borrow_mut().push(writer);
        }
    });
    server.stop();
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    lab.file("y", [1; 3]);
    lab
}

/// Repeats an attack over IPv4 and IPv6; after each round an honest client is served, all sockets are
/// closed again, and after the first the memory does not grow.
#[track_caller]
fn check_steady(lab: &Lab, server: &Server, attack: impl Fn(std::net::IpAddr)) {
    assert_eq!(lab.client(SERVERS[0]).fetch("x"), [7; 600]);
    let descriptors = server.process().descriptors();
    let mut memory = 0;
    for round in 0..ROUNDS {
        attack(SERVERS[0]);
        attack(SERVERS[3]);
        assert_eq!(lab.client(SERVERS[0]).fetch("x"), [7; 600]);
        let closed = || server.process().descriptors() <= descriptors;
        assert!(
            host::wait_until(Duration::from_secs(20), closed),
            "{} descriptors, {descriptors} at first\n{}",
            server.process().descriptors(),
            server.output()
        );
        let now = server.process().memory();
        if round == 1 {
            memory = now;
        }
        assert!(
            round < 2 || now <= memory + SLACK,
            "memory has grown from {memory} to {now} bytes"
        );
    }
}
