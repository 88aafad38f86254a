//! The amplification of one forged packet, in packets and in bytes of IPv4. Servers that retransmit
//! until their limit send 80 to 1400 bytes for each byte.

use tests::lab::Lab;
use tests::packet::Packet;
use tests::peers;

use crate::victim::{Victim, receive_all};

/// A window of 64 blocks of 1468 bytes, with all headers.
const WINDOW: usize = 64 * (1468 + 4 + 8 + 20);

#[test]
fn a_forged_request_brings_three_packets_at_most() {
    if !peers::available(&["ip"]) {
        return;
    }
    for arguments in ["--writable", "--writable --single-port"] {
        let lab = Lab::new();
        lab.file("abc", [7; 600]);
        let server = lab.serve(arguments);
        // The forged request, the kind of each answer, and the most bytes for one byte.
        let cases: [(&[u8], &str, f64); 5] = [
            (b"\0\x01abc\0octet\0", "DATA", 41.0),
            (b"\0\x01abc\0octet\0tsize\x000\0", "OACK", 6.0),
            (
                b"\0\x01abc\0octet\0blksize\x001468\0windowsize\x0064\0",
                "OACK",
                6.0,
            ),
            (b"\0\x02new\0octet\0", "ACK", 6.0),
            (b"\0\x02new\0octet\0blksize\x001468\0", "OACK", 6.0),
        ];
        let mut victims = cases.map(|(forged, _, _)| Victim::after(&lab, forged));
        receive_all(&server, &mut victims);
        for (victim, (forged, answer, bound)) in victims.iter().zip(cases) {
            let context = format!(
                "{}: {:?}, {:.1} bytes for one",
                forged.escape_ascii(),
                victim.packets,
                victim.factor()
            );
            assert_eq!(victim.packets.len(), 3, "{context}");
            let all = |packet: &Packet| packet.to_string().starts_with(answer);
            assert!(victim.packets.iter().all(all), "{context}");
            assert!(victim.factor() <= bound, "{context}");
        }
        server.stop();
    }
}

#[test]
fn a_refusal_is_sent_once_and_a_malformed_packet_is_answered_at_most_once() {
    if !peers::available(&["ip"]) {
        return;
    }
    for (arguments, answers_outside_transfers) in [("", 0), ("--single-port", 1)] {
        let lab = Lab::new();
        let server = lab.serve(arguments);
        let cases: [(&[u8], usize); 9] = [
            (b"\0\x01no\0octet\0", 1),
            (b"\0\x02no\0octet\0", 1),
            (b"\0\x01no\0mail\0", 1),
            (b"\0\x01no", 1),
            (b"\0\x09", 1),
            (b"\0\x03\0\x01x", answers_outside_transfers),
            (b"\0\x04\0\x01", answers_outside_transfers),
            (b"\0\x05\0\x01\0", 0),
            (b"\0\x06", 0),
        ];
        let mut victims = cases.map(|(forged, _)| Victim::after(&lab, forged));
        // The last request: all the others were processed before it, and answered if at all.
        let mut last = [Victim::after(&lab, b"\0\x01last\0octet\0")];
        receive_all(&server, &mut last);
        victims.iter_mut().for_each(Victim::take);
        for (victim, (forged, expected)) in victims.iter().zip(cases) {
            let context = format!("{}: {:?}", forged.escape_ascii(), victim.packets);
            assert_eq!(victim.packets.len(), expected, "{context}");
            assert!(victim.factor() < 2.0, "{context}: {:.1}", victim.factor());
        }
        server.stop();
    }
}

#[test]
fn a_forged_ack_of_the_oack_brings_two_windows_and_single_blocks() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("abc", vec![7; 4 << 20]);
    let server = lab.serve("");
    let requests = [
        b"\0\x01abc\0octet\0blksize\x001468\0windowsize\x0064\0".as_slice(),
        b"\0\x01abc\0octet\0blksize\x0065464\0windowsize\x0065535\0",
        b"\0\x01abc\0octet\0blksize\x008\0windowsize\x0065535\0",
    ];
    let mut victims = requests.map(|forged| Victim::after(&lab, forged).and_then("ACK 0"));
    receive_all(&server, &mut victims);
    for victim in &victims {
        let blocks: Vec<u16> = victim.packets.iter().filter_map(number).collect();
        let context = format!("{} bytes: {blocks:?}", victim.received);
        let (windows, singles) = blocks.split_at_checked(128).expect(&context);
        let window: Vec<u16> = (1..=64).collect();
        assert_eq!(windows, [window.as_slice(), &window].concat(), "{context}");
        assert!(singles.iter().all(|block| *block == 1), "{context}");
        assert!((3..=16).contains(&singles.len()), "{context}");
        let bound = 2 * WINDOW + 16 * (1468 + 4 + 8 + 20) + 100;
        assert!(victim.received <= bound, "{context}");
    }
    server.stop();
}

fn number(packet: &Packet) -> Option<u16> {
    match packet {
        Packet::Data { block, .. } => Some(*block),
        _ => None,
    }
}
