//! Ports below 1024, and an exhausted range.

use eport_core::system::Host;
use tests::lab::{Lab, SERVERS};
use tests::process::Process;
use tests::server::Server;
use tests::{built, host, peers};

use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn port_69_needs_no_capability_where_the_kernel_requires_none() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let mut denied = Process::start(&mut without_privileges(&lab, "--ports 900-909"));
    let status = denied.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(77), "{}", denied.output());
    assert!(
        denied.output().contains("CAP_NET_BIND_SERVICE"),
        "{}",
        denied.output()
    );

    lab.there
        .sysctl("net.ipv4.ip_unprivileged_port_start", "69");
    let server = Server::launch(&mut without_privileges(&lab, "--ports 900-909"));
    for address in SERVERS {
        let mut client = lab.client(address);
        assert_eq!(client.fetch("x"), [7; 600], "{}", server.output());
        assert!((900..=909).contains(&client.transfer().port()));
    }
    server.stop();
}

/// Returns the command of our server without capabilities, as the owner of the files.
fn without_privileges(lab: &Lab, arguments: &str) -> Command {
    let mut command = lab.there.command("setpriv");
    command
        .args([
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--pdeathsig=KILL",
            "--",
        ])
        .arg(built::binary("tftpd"))
        .arg(lab.root())
        .args(arguments.split_whitespace());
    command
}

#[test]
fn when_all_ports_are_leased_the_next_client_waits_for_a_free_one() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--ports 61000-61003 --hold 30");
    let mut clients: Vec<_> = (0..5).map(|_| lab.client(SERVERS[0])).collect();
    let (fifth, four) = clients.split_last_mut().expect("five");
    for client in &mut *four {
        assert_eq!(client.ask("RRQ x octet"), "DATA 1 len 512");
        assert_eq!(client.ask("ACK 1"), "DATA 2 len 88");
    }
    fifth.send("RRQ x octet");
    // The refusal shows that the request before it was processed: the fifth client is waiting.
    let mut refused = lab.client(SERVERS[0]);
    assert!(refused.ask("RRQ absent octet").starts_with("ERROR 1"));
    let free = four.first().expect("four");
    free.send("ACK 2");
    assert_eq!(
        fifth.receive_text(),
        "DATA 1 len 512",
        "{}",
        server.output()
    );
    assert_eq!(fifth.transfer().port(), free.transfer().port());
    for client in four.iter().skip(1) {
        client.send("ACK 2");
    }
    assert_eq!(fifth.ask("ACK 1"), "DATA 2 len 88");
    fifth.send("ACK 2");
    let log = server.stop();
    assert_eq!(log.matches("sent client=").count(), 5, "{log}");
    assert!(!log.contains("no-port"), "{log}");
}

#[test]
fn when_all_ports_are_leased_the_last_one_is_shared() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--ports 61000-61015 --max-per-client 40");
    let mut clients: Vec<_> = (0..40).map(|_| lab.client(SERVERS[0])).collect();
    for client in &mut clients {
        assert_eq!(client.ask("RRQ x octet"), "DATA 1 len 512");
    }
    let ports: Vec<u16> = clients
        .iter()
        .map(|client| client.transfer().port())
        .collect();
    let most = ports
        .iter()
        .map(|port| ports.iter().filter(|other| *other == port).count());
    assert_eq!(most.max(), Some(40 - 15), "{ports:?}");
    // Each ACK reaches the client's own transfer, also on a shared port.
    for client in clients.iter_mut().rev() {
        assert_eq!(client.ask("ACK 1"), "DATA 2 len 88");
        client.send("ACK 2");
    }
    let log = server.stop();
    assert_eq!(log.matches("sent client=").count(), 40, "{log}");
}

#[test]
fn a_request_that_waited_too_long_is_not_answered_and_the_log_has_the_cause() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    let server = lab.serve("--ports 61000 --hold 1");
    let [mut first, mut second] = [0, 1].map(|_| lab.client(SERVERS[0]));
    assert_eq!(first.ask("RRQ x octet"), "DATA 1 len 512");
    second.send("RRQ x octet");
    let line = server.wait_for_line("no-port");
    assert!(line.contains("give more ports"), "{line}");
    assert_eq!(first.ask("ACK 1"), "DATA 2 len 88");
    first.send("ACK 2");
    assert_eq!(second.ask("RRQ x octet"), "DATA 1 len 512");
    assert_eq!(second.ask("ACK 1"), "DATA 2 len 88");
    second.send("ACK 2");
    server.stop();
}

#[test]
fn a_reserved_list_of_any_length_is_read_whole() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    let reserved = Path::new("/proc/sys/net/ipv4/ip_local_reserved_ports");
    // Every other port, so that no two make a range: lists of 59, 5,999 and 71,999 characters.
    for count in [10, 1_000, 12_000] {
        let ports: Vec<u16> = (0..count).map(|index| 40_001 + 2 * index).collect();
        let list: Vec<_> = ports.iter().map(u16::to_string).collect();
        let read = lab.there.enter(|| {
            host::write(reserved, list.join(","));
            Host::new().reserved_ports()
        });
        let read = read.expect("the list is valid");
        let missing = ports.iter().find(|port| !read.contains(**port));
        assert_eq!((missing, read.len()), (None, ports.len()), "of {count}");
    }
}
