//! The cost of floods: no memory for requested windows, and no log line for each packet.

use tests::client::Client;
use tests::lab::{Lab, SERVERS};
use tests::peers;

const CLIENTS: usize = 200;

const PACKETS: usize = 3000;

/// The most lines of a flood: a burst of a thousand, and a hundred more each second.
const LINES: usize = 2200;

#[test]
fn transfers_allocate_no_memory_for_the_windows_they_request() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", vec![7; 4 << 20]);
    let server = lab.serve("--max-windowsize 32767");
    assert_eq!(lab.client(SERVERS[0]).fetch("x").len(), 4 << 20);
    let before = server.process().memory();
    let clients: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut client = lab.client(SERVERS[0]);
            let granted = client.ask("RRQ x octet blksize=65464 windowsize=65535");
            assert!(granted.starts_with("OACK blksize="), "{granted}");
            client.send("ACK 0");
            client.block(1);
            client
        })
        .collect();
    let each = server.process().memory().saturating_sub(before) / CLIENTS as u64;
    assert!(each < 16 << 10, "{each} bytes for each transfer");
    drop(clients);
    server.stop();
}

#[test]
fn a_flood_from_one_port_does_not_fill_the_log() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    lab.file("y", [7; 600]);
    for [even, odd] in [["x", "y"], ["absent", "absent too"], ["x", "absent"]] {
        let server = lab.serve("");
        let mut client = lab.client(SERVERS[0]);
        for _ in 0..PACKETS / 2 {
            for name in [even, odd] {
                // The client waits for the answer, so that no packet is lost in a full buffer.
                let answer = client.ask(&format!("RRQ \"{name}\" octet"));
                assert_ne!(answer, "silence");
            }
        }
        let log = server.stop();
        let lines = log.lines().count();
        assert!(
            lines <= LINES,
            "{lines} lines for {PACKETS} packets of {even} and {odd}"
        );
        assert!(log.contains("suppressed="), "{log}");
    }
}
