//! Files with more blocks than block numbers.

use tests::lab::ONE_OF_EACH_FAMILY;
use tests::program::Program;

use crate::clients::{self, Client};
use crate::lab::{Lab, available};

/// More than 65,536 blocks of 512 bytes.
const WRAPS: usize = 34 << 20;

const HUNDRED_MEGABYTES: usize = 100_000_000;

#[test]
fn block_numbers_wrap_for_tftp_hpa() {
    reads(&clients::TFTP_HPA, WRAPS);
}

#[test]
fn block_numbers_wrap_for_atftp() {
    reads(&clients::ATFTP, WRAPS);
}

#[test]
fn block_numbers_wrap_for_curl() {
    reads(&clients::CURL, WRAPS);
}

#[test]
fn block_numbers_wrap_for_busybox() {
    reads(&clients::BUSYBOX, WRAPS);
}

#[test]
fn atftp_reads_a_hundred_megabytes_in_windows() {
    reads(&clients::ATFTP_WINDOWSIZE, HUNDRED_MEGABYTES);
}

#[test]
fn tftp_hpa_writes_a_hundred_megabytes() {
    let (program, client) = (Program::under_test(), &clients::TFTP_HPA);
    if available(program, client) {
        let [v4, _] = ONE_OF_EACH_FAMILY;
        let lab = Lab::writing(program);
        lab.send(client, v4, HUNDRED_MEGABYTES);
        lab.check_uploads(&[HUNDRED_MEGABYTES]);
        lab.server.stop();
    }
}

#[test]
fn our_client_reads_a_hundred_megabytes_from_atftpd_in_windows() {
    let (program, client) = (Program::Atftpd, &clients::OURS);
    if available(program, client) {
        let [v4, _] = ONE_OF_EACH_FAMILY;
        Lab::on(program, v4).fetch(client, v4, HUNDRED_MEGABYTES);
    }
}

#[test]
fn our_client_writes_a_hundred_megabytes_to_tftpd_hpa() {
    let (program, client) = (Program::Hpa, &clients::OURS);
    if available(program, client) {
        let [_, v6] = ONE_OF_EACH_FAMILY;
        Lab::on(program, v6).send(client, v6, HUNDRED_MEGABYTES);
    }
}

#[track_caller]
fn reads(client: &Client, size: usize) {
    let program = Program::under_test();
    if available(program, client) {
        let [_, v6] = ONE_OF_EACH_FAMILY;
        let lab = Lab::reading(program);
        lab.fetch(client, v6, size);
        lab.server.stop();
    }
}
