//! Recordings of real clients and firmware, replayed to our server: every read request, and the exchanges
//! that are complete.
//!
//! `TESTS_SERVER=hpa` runs the same against tftpd-hpa, which fails both: it does not support `windowsize`, and
//! refuses `tsize` together with netascii.

mod lab;

use tests::exchange::{Exchange, Side, Step};
use tests::packet::Packet;
use tests::{fixtures, host};

use lab::Lab;

#[test]
fn every_recorded_read_request_is_answered_with_requested_options_only() {
    if !lab::available() {
        return;
    }
    let lab = Lab::new();
    for file in host::files_in(&fixtures::folder().join("requests")) {
        for (note, bytes) in fixtures::parse_requests(&host::read_text(&file)) {
            let Some(Packet::Request {
                write: false,
                name,
                options,
                ..
            }) = Packet::from_bytes(&bytes, bytes.len())
            else {
                continue;
            };
            lab.serve(&name, 600);
            let mut client = lab.client();
            client.send_request(&bytes);
            let answer = client.receive();
            // Ends the transfer, so that the server does not wait for ACKs.
            client.send(&Packet::Error {
                code: 0,
                message: "enough".to_owned(),
            });
            match answer {
                Some(Packet::Oack(granted)) => check_granted(&note, &options, &granted),
                Some(Packet::Data {
                    block: 1,
                    length: 512 | 600,
                }) => {}
                other => panic!("{note}: answered with {other:?}\n{}", lab.server.output()),
            }
        }
    }
    lab.server.stop();
}

#[test]
fn complete_exchanges_are_answered_as_recorded() {
    if !lab::available() {
        return;
    }
    let lab = Lab::new();
    let mut count = 0;
    for file in host::files_in(&fixtures::folder().join("exchanges")) {
        let exchange = Exchange::parse(&host::read_text(&file)).expect("a script");
        if is_complete_read(&exchange) {
            lab.replay(
                &exchange,
                &file.file_name().unwrap_or_default().to_string_lossy(),
            );
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} complete exchanges");
    lab.server.stop();
}

/// RFC 2347: an option that was not requested is not granted; names keep the client's spelling.
#[track_caller]
fn check_granted(note: &str, asked: &[(String, String)], granted: &[(String, String)]) {
    assert!(!granted.is_empty(), "{note}: an OACK without options");
    for (name, value) in granted {
        let Some((_, requested)) = asked.iter().find(|(asked, _)| asked == name) else {
            panic!("{note}: granted {name}={value}, which was not requested");
        };
        match name.as_str() {
            "tsize" => assert_eq!(value, "600", "{note}"),
            "timeout" => assert_eq!(value, requested, "{note}"),
            "blksize" | "windowsize" => {
                let [value, requested] =
                    [value, requested].map(|number| number.parse::<u32>().expect("a number"));
                assert!(value <= requested, "{note}: granted {name}={value}");
            }
            other => panic!("{note}: granted {other}={value}"),
        }
    }
}

/// Returns true for a read of one file without missing packets.
fn is_complete_read(exchange: &Exchange) -> bool {
    let requests = exchange
        .packets()
        .filter(|(_, packet)| matches!(packet, Packet::Request { .. }))
        .count();
    let first = exchange.packets().next();
    let reads = matches!(
        first,
        Some((Side::Client, Packet::Request { write: false, .. }))
    );
    reads && requests == 1 && !exchange.steps.contains(&Step::Gap)
}
