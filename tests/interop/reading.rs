//! Reads from our server by our client and the clients of other projects.

use std::net::SocketAddr;

use tests::lab::{self, SERVERS};
use tests::program::Program;

use crate::clients::{self, Client};
use crate::lab::{Lab, available, servers};
use crate::watched::{check_log, check_ports, check_ports_differ};

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
fn tftpy_reads_every_size() {
    every_size(&clients::TFTPY);
}

#[test]
fn our_client_reads_every_size_from_our_server() {
    every_size(&clients::OURS);
}

#[test]
fn the_answer_comes_from_the_requested_address() {
    let (client, program) = (&clients::ATFTP, Program::under_test());
    if !available(program, client) {
        return;
    }
    let lab = Lab::at(program, lab::Lab::new());
    let watch = lab.watch();
    for server in SERVERS {
        lab.fetch(client, server, 513);
    }
    let seen = watch.transfers();
    let asked: Vec<_> = seen.iter().map(|transfer| transfer.asked).collect();
    assert_eq!(asked, SERVERS.map(|server| SocketAddr::new(server, 69)));
    check_ports(&seen, seen.len());
    lab.server.stop();
}

#[test]
fn a_refusal_ends_every_client_within_seconds() {
    let program = Program::under_test();
    let all = clients::ALL
        .into_iter()
        .filter(|client| available(program, client));
    let clients: Vec<&Client> = all.collect();
    if clients.is_empty() {
        return;
    }
    let lab = Lab::reading(program);
    for client in clients {
        for server in servers(client) {
            lab.be_refused(client, server);
        }
    }
    lab.server.stop();
}

#[track_caller]
fn every_size(client: &Client) {
    let program = Program::under_test();
    if !available(program, client) {
        return;
    }
    let lab = Lab::reading(program);
    let watch = lab.watch();
    for server in servers(client) {
        for size in client.sizes() {
            lab.fetch(client, server, size);
        }
    }
    let seen = watch.transfers();
    check_ports(&seen, servers(client).len() * client.sizes().len());
    let log = lab.server.stop();
    if program == Program::Tftpd {
        check_ports_differ(&seen);
        check_log(&log, &seen);
    }
}
