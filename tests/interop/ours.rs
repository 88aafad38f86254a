//! Our client with the servers of other projects.

use std::net::IpAddr;

use tests::host;
use tests::lab::ONE_OF_EACH_FAMILY;
use tests::program::Program;

use crate::clients::{self, Client};
use crate::lab::{Lab, available, name};

/// With its default options, and with the options of RFC 1350 only.
const OURS: [&Client; 2] = [&clients::OURS, &clients::OURS_LOCKSTEP];

#[test]
fn our_client_reads_from_tftpd_hpa_and_writes_to_it() {
    for address in ONE_OF_EACH_FAMILY {
        moves_every_size(Program::Hpa, address);
    }
}

#[test]
fn our_client_reads_from_atftpd_and_writes_to_it() {
    for address in ONE_OF_EACH_FAMILY {
        moves_every_size(Program::Atftpd, address);
    }
}

#[test]
fn our_client_reads_from_dnsmasq() {
    for address in ONE_OF_EACH_FAMILY {
        moves_every_size(Program::Dnsmasq, address);
    }
}

#[test]
fn a_probe_prints_the_options_that_each_server_grants() {
    for (program, granted) in [
        (Program::Tftpd, "blksize=1428 tsize=513 windowsize=16"),
        (Program::Hpa, "blksize=1428 tsize=513"),
        (Program::Atftpd, "blksize=1428 tsize=513 windowsize=16"),
        (Program::Dnsmasq, "blksize=1428 tsize=513"),
    ] {
        for address in ONE_OF_EACH_FAMILY {
            probe(program, address, granted);
        }
    }
}

#[track_caller]
fn moves_every_size(program: Program, address: IpAddr) {
    if !available(program, &clients::OURS) {
        return;
    }
    let lab = Lab::on(program, address);
    for client in OURS {
        for size in client.sizes() {
            lab.fetch(client, address, size);
            if program != Program::Dnsmasq {
                host::append(&lab.cable.root().join(name(size)), b"previous content");
                lab.send(client, address, size);
            }
        }
    }
}

#[track_caller]
fn probe(program: Program, address: IpAddr, granted: &str) {
    if !available(program, &clients::OURS) {
        return;
    }
    let lab = Lab::on(program, address);
    lab.cable.file("x", [7; 513]);
    let url = if address.is_ipv6() {
        format!("tftp://[{address}]")
    } else {
        format!("tftp://{address}")
    };
    let (found, status) = lab.tftp(&format!("probe {url}/x"));
    assert!(status.success(), "{program:?}: {found}");
    let has = |expected: &str| found.lines().any(|line| line == expected);
    assert!(has(&format!("accepts {granted}")), "{program:?}: {found}");
    assert!(has("size    513"), "{program:?}: {found}");
    let (missing, status) = lab.tftp(&format!("probe {url}/absent"));
    assert_eq!(status.code(), Some(66), "{program:?}: {missing}");
    let (answer, status) = lab.tftp(&format!("probe {url}"));
    assert!(status.success(), "{program:?}: {answer}");
    assert!(answer.starts_with("answer "), "{program:?}: {answer}");
}
