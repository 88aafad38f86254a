//! Writes to our server by our client and the clients of other projects.

use tests::host;
use tests::program::Program;

use crate::clients::{self, Client};
use crate::lab::{Lab, available, servers};
use crate::watched::{check_log, check_ports, check_ports_differ};

#[test]
fn tftp_hpa_writes_every_size() {
    every_size(&clients::TFTP_HPA);
}

#[test]
fn atftp_writes_every_size() {
    every_size(&clients::ATFTP);
}

#[test]
fn atftp_writes_every_size_in_windows() {
    every_size(&clients::ATFTP_WINDOWSIZE);
}

#[test]
fn curl_writes_every_size() {
    every_size(&clients::CURL);
}

#[test]
fn curl_writes_every_size_in_larger_blocks() {
    every_size(&clients::CURL_BLKSIZE);
}

#[test]
fn busybox_writes_every_size() {
    every_size(&clients::BUSYBOX);
}

#[test]
fn busybox_writes_every_size_in_larger_blocks() {
    every_size(&clients::BUSYBOX_BLKSIZE);
}

#[test]
fn tftpy_writes_every_size() {
    every_size(&clients::TFTPY);
}

#[test]
fn our_client_writes_every_size_to_our_server() {
    every_size(&clients::OURS);
}

/// Writes every file twice, the second time over another file, and over the other address family if the
/// client supports both.
#[track_caller]
fn every_size(client: &Client) {
    let program = Program::under_test();
    if !available(program, client) {
        return;
    }
    let lab = Lab::writing(program);
    let watch = lab.watch();
    for (round, server) in servers(client).into_iter().cycle().take(2).enumerate() {
        if round == 1 {
            for file in host::files_in(&lab.cable.root()) {
                host::append(&file, b"previous content");
            }
        }
        for size in client.sizes() {
            lab.send(client, server, size);
        }
        lab.check_uploads(&client.sizes());
    }
    let seen = watch.transfers();
    check_ports(&seen, 2 * client.sizes().len());
    let log = lab.server.stop();
    if program == Program::Tftpd {
        check_ports_differ(&seen);
        check_log(&log, &seen);
    }
}
