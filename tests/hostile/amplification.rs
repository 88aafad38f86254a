//! What one forged packet makes the server send to somebody who never asked, in packets and in bytes
//! of IPv4. Servers that repeat until they lose patience send 80 to 1400 bytes for each.

use tests::lab::Lab;
use tests::packet::Packet;
use tests::peers;

use crate::bill::{Victim, run_up};

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
        // What is forged, the first word of each answer, and how many bytes may come for one.
        let bills: [(&[u8], &str, f64); 5] = [
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
        let mut victims = bills.map(|(forged, _, _)| Victim::of(&lab, forged));
        run_up(&server, &mut victims);
        for (victim, (forged, answer, bound)) in victims.iter().zip(bills) {
            let what = format!(
                "{}: {:?}, {:.1} bytes for one",
                forged.escape_ascii(),
                victim.packets,
                victim.factor()
            );
            assert_eq!(victim.packets.len(), 3, "{what}");
            let all = |packet: &Packet| packet.to_string().starts_with(answer);
            assert!(victim.packets.iter().all(all), "{what}");
            assert!(victim.factor() <= bound, "{what}");
        }
        server.stop();
    }
}

#[test]
fn a_refusal_is_sent_once_and_what_makes_no_sense_is_not_worth_more() {
    if !peers::available(&["ip"]) {
        return;
    }
    for (arguments, answers_to_strays) in [("", 0), ("--single-port", 1)] {
        let lab = Lab::new();
        let server = lab.serve(arguments);
        let bills: [(&[u8], usize); 9] = [
            (b"\0\x01no\0octet\0", 1),
            (b"\0\x02no\0octet\0", 1),
            (b"\0\x01no\0mail\0", 1),
            (b"\0\x01no", 1),
            (b"\0\x09", 1),
            (b"\0\x03\0\x01x", answers_to_strays),
            (b"\0\x04\0\x01", answers_to_strays),
            (b"\0\x05\0\x01\0", 0),
            (b"\0\x06", 0),
        ];
        let mut victims = bills.map(|(forged, _)| Victim::of(&lab, forged));
        // The last word: all the others were heard before it, and answered if at all.
        let mut last = [Victim::of(&lab, b"\0\x01last\0octet\0")];
        run_up(&server, &mut last);
        victims.iter_mut().for_each(Victim::take);
        for (victim, (forged, expected)) in victims.iter().zip(bills) {
            let what = format!("{}: {:?}", forged.escape_ascii(), victim.packets);
            assert_eq!(victim.packets.len(), expected, "{what}");
            assert!(victim.factor() < 2.0, "{what}: {:.1}", victim.factor());
        }
        server.stop();
    }
}

#[test]
fn an_options_acknowledgement_that_is_forged_too_buys_two_windows_and_single_blocks() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("abc", vec![7; 4 << 20]);
    let server = lab.serve("");
    let wishes = [
        b"\0\x01abc\0octet\0blksize\x001468\0windowsize\x0064\0".as_slice(),
        b"\0\x01abc\0octet\0blksize\x0065464\0windowsize\x0065535\0",
        b"\0\x01abc\0octet\0blksize\x008\0windowsize\x0065535\0",
    ];
    let mut victims = wishes.map(|forged| Victim::of(&lab, forged).and_then("ACK 0"));
    run_up(&server, &mut victims);
    for victim in &victims {
        let blocks: Vec<u16> = victim.packets.iter().filter_map(number).collect();
        let what = format!("{} bytes: {blocks:?}", victim.received);
        let (windows, singles) = blocks.split_at_checked(128).expect(&what);
        let window: Vec<u16> = (1..=64).collect();
        assert_eq!(windows, [window.as_slice(), &window].concat(), "{what}");
        assert!(singles.iter().all(|block| *block == 1), "{what}");
        assert!((3..=16).contains(&singles.len()), "{what}");
        let bound = 2 * WINDOW + 16 * (1468 + 4 + 8 + 20) + 100;
        assert!(victim.received <= bound, "{what}");
    }
    server.stop();
}

fn number(packet: &Packet) -> Option<u16> {
    match packet {
        Packet::Data { block, .. } => Some(*block),
        _ => None,
    }
}
