//! Blocks without IP fragmentation: much firmware cannot reassemble fragments.

use std::net::IpAddr;

use tests::capture::Capture;
use tests::lab::{CABLE, Lab, SERVERS};
use tests::{host, peers};

#[test]
fn no_block_exceeds_the_mtu() {
    if !peers::available(&["ip", "tcpdump"]) {
        return;
    }
    let lab = Lab::new();
    let file = host::patternless(50_000);
    lab.file("x", &file);
    let server = lab.serve("");
    // Headers: IPv4 20, IPv6 40, UDP 8, DATA 4.
    for (address, mtu, blksize) in [(SERVERS[0], 1400, 1368), (SERVERS[3], 1300, 1248)] {
        for end in [&lab.there, &lab.here] {
            end.ip(&format!("link set dev {CABLE} mtu {mtu}"));
        }
        let fragments = Capture::fragments(&lab.here, CABLE, lab.beside());
        let read = read_in_windows(&lab, address, blksize);
        assert!(read == file, "{} bytes\n{}", read.len(), server.output());
        assert_eq!(fragments.frames(), 0, "fragments of {address} passed");
    }
    server.stop();
}

/// Requests the largest block size, and reads the file with the granted one.
#[track_caller]
fn read_in_windows(lab: &Lab, address: IpAddr, blksize: usize) -> Vec<u8> {
    let mut client = lab.client(address);
    let granted = client.ask("RRQ x octet blksize=65464 windowsize=8");
    assert_eq!(granted, format!("OACK blksize={blksize} windowsize=8"));
    client.send("ACK 0");
    let mut file = Vec::new();
    for block in 1_u16.. {
        let payload = client.block(block);
        file.extend(&payload);
        if block % 8 == 0 || payload.len() < blksize {
            client.send(&format!("ACK {block}"));
        }
        if payload.len() < blksize {
            break;
        }
    }
    file
}
