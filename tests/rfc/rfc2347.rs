//! RFC 2347, "TFTP Option Extension".

use tftpd::proto::{OackError, Outcome, Stage};

use crate::side::{both, bytes, client, refusal, request_of, server};

const COMPLETE: Outcome = Outcome::Completed { last_ack: true };

/// "Packet Formats": option and value, each ended by a zero byte, after the mode, in any order.
#[test]
fn options_follow_the_mode_in_any_order() {
    let one = request_of(b"\x00\x01f\x00octet\x00blksize\x00512\x00tsize\x000\x00").options;
    let other = request_of(b"\x00\x01f\x00octet\x00tsize\x000\x00blksize\x00512\x00").options;
    assert_eq!(one, other);
    assert_eq!(one.to_string(), "blksize=512 tsize=0");
}

/// "Packet Formats": option names are case-insensitive.
#[test]
fn option_names_are_read_in_any_case() {
    server(
        1,
        r#"
        +0  > RRQ "f" octet BlkSize=100
        +0  < OACK blksize=100
        "#,
    );
}

/// "Packet Formats": an option appears only once. Twice in a request it counts once, and is
/// acknowledged once; twice in an OACK it is refused.
#[test]
fn an_option_counts_once() {
    server(
        1,
        r#"
        +0  > RRQ "file" octet blksize=1024 tsize=0 blksize=512
        +0  < OACK blksize=1024 tsize=1
        "#,
    );
    let twice = refusal(
        r#"
        +0  > RRQ "file" octet blksize=1024
        +0  < OACK blksize=512 blksize=600
        "#,
    );
    assert_eq!(twice, Some(OackError::Twice("blksize")));
}

/// "Packet Formats": a request has 512 bytes at most. A longer one that is well formed is decoded
/// nevertheless: it has been received already.
#[test]
fn a_request_of_more_than_512_bytes_keeps_its_options() {
    let name = "x".repeat(700);
    server(
        1,
        &format!(
            r#"
            +0  > RRQ "{name}" octet blksize=1024
            +0  < OACK blksize=1024
            "#
        ),
    );
}

/// "OACK": it acknowledges the request and holds the accepted options, and nothing after the last
/// zero byte.
#[test]
fn the_oack_is_opcode_6_and_the_accepted_options() {
    assert_eq!(
        bytes("OACK blksize=1432 tsize=2000"),
        b"\x00\x06blksize\x001432\x00tsize\x002000\x00"
    );
    server(
        2000,
        r#"
        +0  > RRQ "file" octet tsize=0 blksize=1432
        +0  < OACK blksize=1432 tsize=2000
        "#,
    );
}

/// "Negotiation Protocol": options that the server does not support are left out of the OACK.
#[test]
fn an_unknown_option_is_left_out() {
    server(
        5,
        r#"
        +0  > RRQ "f" octet multicast= tsize=0 msftwindow=31416
        +0  < OACK tsize=5
        "#,
    );
}

/// "Negotiation Protocol": if none is acknowledged there is no OACK, and the answer is that to a
/// request without options.
#[test]
fn without_an_accepted_option_there_is_no_oack() {
    server(
        5,
        r#"
        +0  > RRQ "file" octet shoesize=43
        +0  < DATA 1 len 5
        "#,
    );
    server(
        0,
        r#"
        +0  > WRQ "file" octet shoesize=43 blksize=3
        +0  < ACK 0
        "#,
    );
}

/// "Negotiation Protocol": the server never volunteers an option.
#[test]
fn an_option_that_was_not_requested_is_not_acknowledged() {
    server(
        9,
        r#"
        +0  > RRQ "file" octet blksize=1432
        +0  < OACK blksize=1432
        "#,
    );
    let volunteered = refusal(
        r#"
        +0  > RRQ "file" octet blksize=1432
        +0  < OACK blksize=1432 tsize=9
        "#,
    );
    assert_eq!(volunteered, Some(OackError::Unknown));
}

/// "Negotiation Protocol", read: the client acknowledges the OACK with ACK 0, and only then block 1
/// is sent.
#[test]
fn a_reader_acknowledges_the_oack_with_ack_0() {
    let [mut server, client] = both(
        1500,
        r#"
        +0  > RRQ "file" octet blksize=1024
        +0  < OACK blksize=1024
        +0  > ACK 0
        +0  < DATA 1 len 1024
        +0  > ACK 1
        +0  < DATA 2 len 476
        +0  > ACK 2
        "#,
    );
    server.assert_ended(&COMPLETE);
    assert_eq!(client.stored().len(), 1500);
}

/// "Negotiation Protocol", write: the client acknowledges the OACK with block 1.
#[test]
fn a_writer_acknowledges_the_oack_with_block_1() {
    let [server, mut client] = both(
        1500,
        r#"
        +0  > WRQ "file" octet blksize=1024
        +0  < OACK blksize=1024
        +0  > DATA 1 len 1024
        +0  < ACK 1
        +0  > DATA 2 len 476
        +0  < ACK 2
        "#,
    );
    client.assert_ended(&COMPLETE);
    assert_eq!(server.stored().len(), 1500);
}

/// "Negotiation Protocol": a server without options answers as in RFC 1350, and the client goes on
/// without them.
#[test]
fn a_client_goes_on_without_options_if_the_server_supports_none() {
    client(
        0,
        r#"
        +0  > RRQ "file" octet blksize=1024 tsize=0
        +0  < DATA 1 len 512
        +0  > ACK 1
        +0  < DATA 2 len 3
        +0  > ACK 2
        "#,
    );
    client(
        600,
        r#"
        +0  > WRQ "file" octet blksize=1024
        +0  < ACK 0
        +0  > DATA 1 len 512
        "#,
    );
}

/// "Negotiation Protocol": an OACK that is lost is repeated like a block.
#[test]
fn a_lost_oack_is_repeated() {
    server(
        5,
        r#"
        +0        > RRQ "file" octet tsize=0
        +0        < OACK tsize=5
        +timeout  < OACK tsize=5
        +0        > ACK 0
        +0        < DATA 1 len 5
        "#,
    );
    server(
        0,
        r#"
        +0        > WRQ "file" octet tsize=5
        +0        < OACK tsize=5
        +timeout  < OACK tsize=5
        +0        > DATA 1 len 5
        +0        < ACK 1
        "#,
    );
}

/// The same from the other side: an OACK is repeated if its ACK 0 was lost.
#[test]
fn a_repeated_oack_is_acknowledged_again() {
    client(
        0,
        r#"
        +0       > RRQ "file" octet tsize=0
        +0       < OACK tsize=5
        +0       > ACK 0
        +1000ms  < OACK tsize=5
        +0       > ACK 0
        +0       < DATA 1 len 5
        +0       > ACK 1
        +0       < OACK tsize=5
        "#,
    );
}

/// RFC 1123 §4.2.3.1 holds for ACK 0 too.
#[test]
fn a_repeated_ack_0_does_not_release_block_1_twice() {
    server(
        600,
        r#"
        +0     > RRQ "file" octet blksize=512
        +0     < OACK blksize=512
        +5ms   > ACK 0
        +0     < DATA 1 len 512
        +5ms   > ACK 0
        +50ms  > ACK 0
        "#,
    );
}

/// "Negotiation Protocol": a client that does not accept the OACK sends ERROR 8, and the server sends
/// nothing more. Firmware asks for a size in this way.
#[test]
fn error_8_after_the_oack_ends_the_transfer_as_a_probe() {
    server(
        9000,
        r#"
        +0  > RRQ "file" octet tsize=0 blksize=1468 windowsize=4
        +0  < OACK blksize=1468 tsize=9000 windowsize=4
        +0  > ERROR 8 "option negotiation failed"
        "#,
    )
    .assert_ended(&Outcome::Probed);
}

/// The cost of a forged request: three OACKs, none larger than the request.
#[test]
fn an_unanswered_oack_is_sent_three_times() {
    for request in [r#"RRQ "file" octet tsize=0"#, r#"WRQ "file" octet tsize=1"#] {
        let mut server = server(
            1,
            &format!(
                "+0       > {request}
                 +0       < OACK tsize=1
                 +timeout < OACK tsize=1
                 +timeout < OACK tsize=1"
            ),
        );
        server.idle();
        server.assert_ended(&Outcome::TimedOut(Stage::FirstReply));
        assert!(bytes("OACK tsize=1").len() <= bytes(request).len());
    }
}

/// Without options the first answer to a write request is an ACK, and it costs no more.
#[test]
fn an_unanswered_ack_0_is_sent_three_times() {
    let mut server = server(
        0,
        r#"
        +0        > WRQ "file" octet
        +0        < ACK 0
        +timeout  < ACK 0
        +timeout  < ACK 0
        "#,
    );
    server.idle();
    server.assert_ended(&Outcome::TimedOut(Stage::FirstReply));
}
