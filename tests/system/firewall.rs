//! The log line of a transfer that a firewall blocks: its cause and remedy.

use std::net::IpAddr;

use tests::lab::{Lab, SERVERS};
use tests::{host, peers};

const RANGE: &str = "61000-61999";

#[test]
fn a_rule_of_this_host_that_blocks_the_transfer_ports_is_named() {
    if !peers::available(&["ip", "nft"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve(&format!("--ports {RANGE}"));
    for (verdict, address) in [("reject", SERVERS[0]), ("drop", SERVERS[3])] {
        lab.there
            .firewall("out", &format!("udp sport {RANGE} {verdict}"));
        let client = lab.client(address);
        client.send("RRQ x octet");
        let from = client.socket().local_addr().expect("bound").to_string();
        let line = server.wait_for_line(&from);
        for words in [
            "failed",
            "cause=local-firewall",
            "a rule for outgoing packets on this host",
        ] {
            assert!(line.contains(words), "{verdict}: {line}");
        }
        let only_the_listeners = || lab.there.udp_ports().iter().all(|port| *port == 69);
        assert!(host::wait_until(
            std::time::Duration::from_secs(5),
            only_the_listeners
        ));
        assert_eq!(server.lines_with(&from).len(), 1);
    }
    server.stop();
}

#[test]
fn a_client_behind_a_blocking_firewall_is_logged_with_no_ack_as_cause() {
    if !peers::available(&["ip", "nft"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve(&format!("--ports {RANGE}"));
    lab.here.firewall("in", &format!("udp sport {RANGE} drop"));
    let clients = [SERVERS[0], SERVERS[3]].map(|address: IpAddr| lab.client(address));
    for client in &clients {
        client.send("RRQ x octet");
    }
    for client in &clients {
        let from = client.socket().local_addr().expect("bound").to_string();
        let line = server.wait_for_line(&from);
        for words in ["failed", "cause=no-ack", "a firewall or NAT between"] {
            assert!(line.contains(words), "{line}");
        }
        assert_eq!(server.lines_with(&from).len(), 1);
    }
    // Packets from the listening port pass.
    let mut refused = lab.client(SERVERS[0]);
    assert!(refused.ask("RRQ absent octet").starts_with("ERROR 1"));
    server.stop();
}
