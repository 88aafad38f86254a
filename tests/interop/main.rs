//! Our server read by other people's clients, and other people's server read by ours, on a cable
//! between two network namespaces.
//!
//! `TESTS_SERVER=hpa` runs the same against tftpd-hpa, which fails one test: over IPv6 it answers from
//! an address of its own choice.

mod clients;
mod lab;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tests::capture::Transfer;
use tests::peers;
use tests::server::Program;

use clients::Client;
use lab::{Lab, PORTS, SIZES};

#[test]
fn tftp_hpa_reads_every_size() {
    every_size(&clients::TFTP_HPA);
}

#[test]
fn atftp_reads_every_size() {
    every_size(&clients::ATFTP);
}

#[test]
fn atftp_reads_every_size_in_larger_blocks() {
    every_size(&clients::ATFTP_BLKSIZE);
}

#[test]
fn atftp_reads_every_size_in_windows() {
    every_size(&clients::ATFTP_WINDOWSIZE);
}

#[test]
fn curl_reads_every_size() {
    every_size(&clients::CURL);
}

#[test]
fn curl_reads_every_size_in_larger_blocks() {
    every_size(&clients::CURL_BLKSIZE);
}

#[test]
fn busybox_reads_every_size() {
    every_size(&clients::BUSYBOX);
}

#[test]
fn busybox_reads_every_size_in_larger_blocks() {
    every_size(&clients::BUSYBOX_BLKSIZE);
}

#[test]
fn our_client_reads_every_size_from_our_server() {
    every_size(&clients::OURS);
}

#[test]
fn our_client_reads_every_size_from_tftpd_hpa() {
    if peers::available(&["ip", "tcpdump", "in.tftpd"]) {
        every_size_from(Program::Hpa, &clients::OURS);
    }
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let client = &clients::ATFTP;
    if !lab::available(client) {
        return;
    }
    let lab = Lab::new(Program::under_test());
    lab.add_addresses();
    let watch = lab.watch();
    for server in lab::SERVERS {
        lab.fetch(client, server, 513);
    }
    let seen = watch.transfers();
    let asked: Vec<_> = seen.iter().map(|transfer| transfer.asked).collect();
    assert_eq!(
        asked,
        lab::SERVERS.map(|server| SocketAddr::new(server, 69))
    );
    check_ports(&seen, seen.len());
    lab.server.stop();
}

#[test]
fn a_missing_file_ends_every_client_at_once() {
    for client in clients::ALL {
        if !lab::available(client) {
            continue;
        }
        let lab = Lab::new(Program::under_test());
        for server in lab::one_of_each_family() {
            lab.fetch_missing(client, server);
        }
        lab.server.stop();
    }
}

fn every_size(client: &Client) {
    if lab::available(client) {
        every_size_from(Program::under_test(), client);
    }
}

#[track_caller]
fn every_size_from(program: Program, client: &Client) {
    let lab = Lab::new(program);
    let watch = lab.watch();
    for server in lab::one_of_each_family() {
        for size in SIZES {
            lab.fetch(client, server, size);
        }
    }
    let seen = watch.transfers();
    check_ports(&seen, 2 * SIZES.len());
    let log = lab.server.stop();
    if program == Program::Ours {
        check_ports_differ(&seen);
        check_log(&log, &seen);
    }
}

/// Every transfer was answered from the address that was asked, from a single port of the range.
#[track_caller]
fn check_ports(seen: &[Transfer], count: usize) {
    assert_eq!(seen.len(), count, "{seen:#?}");
    for transfer in seen {
        let from = answered_from(transfer);
        assert_eq!(from.ip(), transfer.asked.ip(), "{transfer:?}");
        assert!(
            PORTS.contains(&from.port()),
            "not in {PORTS:?}: {transfer:?}"
        );
    }
}

/// A port is drawn anew for each transfer; a thousand to draw from make a repetition rare.
#[track_caller]
fn check_ports_differ(seen: &[Transfer]) {
    let ports: BTreeSet<_> = seen
        .iter()
        .map(|transfer| answered_from(transfer).port())
        .collect();
    assert!(
        ports.len() > seen.len() / 2,
        "the same ports again and again: {ports:?}"
    );
}

#[track_caller]
fn answered_from(transfer: &Transfer) -> SocketAddr {
    let answered: Vec<_> = transfer.answered.iter().copied().collect();
    let [from] = answered.as_slice() else {
        panic!("not answered from one address: {transfer:?}")
    };
    *from
}

/// Each transfer left a line with its client, its file and its port.
#[track_caller]
fn check_log(log: &str, seen: &[Transfer]) {
    for transfer in seen {
        let words = [
            transfer.client.to_string(),
            transfer.name.clone(),
            answered_from(transfer).port().to_string(),
        ];
        let tells = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(log.lines().any(tells), "no line tells of {words:?}:\n{log}");
    }
}
