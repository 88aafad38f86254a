//! Netascii: line ends are encoded for the transfer, and decoded again.

use std::path::PathBuf;

use tests::host;
use tests::lab::ONE_OF_EACH_FAMILY;
use tests::program::Program;

use crate::clients::{self, Client};
use crate::lab::{Lab, available};

#[test]
fn tftp_hpa_reads_and_writes_text() {
    reads_and_writes_text(Program::under_test(), &clients::TFTP_HPA_ASCII);
}

#[test]
fn our_client_reads_text_from_tftpd_hpa_and_writes_it() {
    reads_and_writes_text(Program::Hpa, &clients::OURS_ASCII);
}

#[track_caller]
fn reads_and_writes_text(program: Program, client: &Client) {
    if !available(program, client) {
        return;
    }
    let lab = Lab::writing(program);
    let watch = lab.watch();
    for server in ONE_OF_EACH_FAMILY {
        let remote = lab.cable.file("remote.txt", text());
        lab.fetch_file(client, server, &remote);
        let local: PathBuf = lab.cable.beside().join("local.txt");
        host::write(&local, text());
        lab.send_file(client, server, &local);
    }
    let seen = watch.transfers();
    let modes: Vec<_> = seen.iter().map(|transfer| &*transfer.mode).collect();
    assert_eq!(modes, ["netascii"; 4], "no request is refused: {seen:#?}");
    lab.server.stop();
}

/// Lines of every length with every kind of line end, so that some encoded pairs are split by the end
/// of a block.
fn text() -> Vec<u8> {
    let ends = ["\n", "\r\n", "\r", "\r\0", "\n\r", "\r\r\n"];
    let lines = (0..3000).zip(ends.iter().cycle());
    lines
        .flat_map(|(number, end)| ["x".repeat(number % 5).as_bytes(), end.as_bytes()].concat())
        .collect()
}
