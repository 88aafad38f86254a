//! RFC 2347, "TFTP Option Extension".

use tftpd::proto::{ErrorCode, OackError, Outcome, Stage};

use crate::conversation::{
    ack, bytes, client_of_read, client_of_write, data, error, oack, request_of, rrq, server, wrq,
};

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
    let request = b"\x00\x01f\x00octet\x00BlkSize\x00100\x00";
    server(request, b"x").expect(b"\x00\x06blksize\x00100\x00");
}

/// "Packet Formats": an option appears only once. Twice in a request it counts once, and so it
/// comes back; twice in an OACK it is refused.
#[test]
fn an_option_counts_once() {
    let request = rrq("blksize=1024 tsize=0 blksize=512");
    server(&request, b"x").expect(oack("blksize=1024 tsize=1"));
    let twice = client_of_read("blksize=1024", &oack("blksize=512 blksize=600"));
    assert_eq!(twice.err(), Some(OackError::Twice("blksize")));
}

/// "Packet Formats": a request has 512 bytes at most. A longer one that is well formed is read all
/// the same: the server has it already.
#[test]
fn a_request_of_more_than_512_bytes_keeps_its_options() {
    let mut request = b"\x00\x01".to_vec();
    request.extend(bytes(700).iter().map(|byte| byte | 1));
    request.extend_from_slice(b"\x00octet\x00blksize\x001024\x00");
    server(&request, b"x").expect(oack("blksize=1024"));
}

/// "OACK": it acknowledges the request and holds the accepted options, and nothing after the last
/// zero byte.
#[test]
fn the_oack_is_opcode_6_and_the_accepted_options() {
    let mut server = server(&rrq("tsize=0 blksize=1432"), &bytes(2000));
    server
        .expect(b"\x00\x06blksize\x001432\x00tsize\x002000\x00")
        .expect_nothing();
}

/// "Negotiation Protocol": options that the server does not know are left out of the OACK.
#[test]
fn an_unknown_option_is_left_out() {
    let request = b"\x00\x01f\x00octet\x00multicast\x00\x00tsize\x000\x00msftwindow\x0031416\x00";
    server(request, b"hello").expect(oack("tsize=5"));
}

/// "Negotiation Protocol": if none is acknowledged there is no OACK, and the answer is that of a
/// request without options.
#[test]
fn where_no_option_is_accepted_the_transfer_is_a_plain_one() {
    server(&rrq("shoesize=43"), b"hello").expect(data(1, b"hello"));
    server(&wrq("shoesize=43 blksize=3"), b"").expect(ack(0));
}

/// "Negotiation Protocol": the server never volunteers an option.
#[test]
fn what_was_not_asked_for_is_not_acknowledged() {
    server(&rrq("blksize=1432"), &bytes(9)).expect(oack("blksize=1432"));
    let unasked = client_of_read("blksize=1432", &oack("blksize=1432 tsize=9"));
    assert_eq!(unasked.err(), Some(OackError::Unknown));
}

/// "Negotiation Protocol", read: the client acknowledges the OACK with ACK 0, and only then block 1
/// is sent.
#[test]
fn a_reader_acknowledges_the_oack_with_ack_0() {
    let file = bytes(1500);
    let mut server = server(&rrq("blksize=1024"), &file);
    server.expect(oack("blksize=1024")).expect_nothing();
    let mut client = client_of_read("blksize=1024", &oack("blksize=1024")).expect("good");
    client.expect(ack(0));
    server
        .recv(ack(0))
        .expect(data(1, &file[..1024]))
        .expect_nothing();
    client.recv(data(1, &file[..1024])).expect(ack(1));
    server.recv(ack(1)).expect(data(2, &file[1024..]));
    client.recv(data(2, &file[1024..])).expect(ack(2));
    server.recv(ack(2)).expect_complete();
    assert_eq!(client.file(), file);
}

/// "Negotiation Protocol", write: the client acknowledges the OACK with block 1.
#[test]
fn a_writer_acknowledges_the_oack_with_block_1() {
    let file = bytes(1500);
    let mut server = server(&wrq("blksize=1024"), b"");
    server.expect(oack("blksize=1024"));
    let mut client = client_of_write("blksize=1024", &oack("blksize=1024"), &file).expect("good");
    client.expect(data(1, &file[..1024]));
    server.recv(data(1, &file[..1024])).expect(ack(1));
    client.recv(ack(1)).expect(data(2, &file[1024..]));
    server.recv(data(2, &file[1024..])).expect(ack(2));
    client.recv(ack(2)).expect_complete();
    assert_eq!(server.file(), file);
}

/// "Negotiation Protocol": a server without options answers as RFC 1350 says, and the client goes
/// on without them.
#[test]
fn a_client_goes_on_without_options_if_the_server_knows_none() {
    let mut reader = client_of_read("blksize=1024 tsize=0", &data(1, &bytes(512))).expect("plain");
    reader.expect(ack(1)).recv(data(2, b"end")).expect(ack(2));
    let mut writer = client_of_write("blksize=1024", &ack(0), &bytes(600)).expect("plain");
    writer.expect(data(1, &bytes(512)));
}

/// "Negotiation Protocol": an OACK that is lost is repeated like a block.
#[test]
fn a_lost_oack_is_repeated() {
    let mut reading = server(&rrq("tsize=0"), b"hello");
    reading
        .expect(oack("tsize=5"))
        .silence()
        .expect(oack("tsize=5"));
    reading.recv(ack(0)).expect(data(1, b"hello"));
    let mut writing = server(&wrq("tsize=5"), b"");
    writing
        .expect(oack("tsize=5"))
        .silence()
        .expect(oack("tsize=5"));
    writing.recv(data(1, b"hello")).expect(ack(1));
}

/// The same from the other side: an OACK that comes again finds its ACK 0 lost.
#[test]
fn a_repeated_oack_is_acknowledged_again() {
    let mut client = client_of_read("tsize=0", &oack("tsize=5")).expect("good");
    client
        .expect(ack(0))
        .after(1000)
        .recv(oack("tsize=5"))
        .expect(ack(0));
    client
        .recv(data(1, b"hello"))
        .expect(ack(1))
        .recv(oack("tsize=5"))
        .expect_nothing();
}

/// RFC 1123 §4.2.3.1 holds for ACK 0 too.
#[test]
fn a_repeated_ack_0_does_not_release_block_1_twice() {
    let mut server = server(&rrq("blksize=512"), &bytes(600));
    server
        .expect(oack("blksize=512"))
        .after(5)
        .recv(ack(0))
        .expect_blocks(1, 1);
    server
        .after(5)
        .recv(ack(0))
        .after(50)
        .recv(ack(0))
        .expect_nothing();
}

/// "Negotiation Protocol": a client that cannot live with the OACK sends ERROR 8, and the server is
/// quiet from then on. Firmware asks for a size so.
#[test]
fn error_8_after_the_oack_ends_the_transfer_quietly() {
    let mut server = server(&rrq("tsize=0 blksize=1468 windowsize=4"), &bytes(9000));
    server.expect(oack("blksize=1468 tsize=9000 windowsize=4"));
    server
        .recv(error(ErrorCode::OptionNegotiation))
        .expect_end(&Outcome::Probed);
}

/// The price of a forged request: three OACKs, each no larger than what asked for it.
#[test]
fn an_oack_that_nobody_answers_is_sent_three_times() {
    for request in [rrq("tsize=0"), wrq("tsize=1")] {
        let mut server = server(&request, b"x");
        for _ in 0..3 {
            server.expect(oack("tsize=1")).silence();
        }
        server.expect_end(&Outcome::TimedOut(Stage::FirstReply));
        assert!(oack("tsize=1").len() <= request.len());
    }
}

/// Without options the first answer to a write request is an ACK, and it costs no more.
#[test]
fn an_ack_0_that_nobody_answers_is_sent_three_times() {
    let mut server = server(&wrq(""), b"");
    for _ in 0..3 {
        server.expect(ack(0)).silence();
    }
    server.expect_end(&Outcome::TimedOut(Stage::FirstReply));
}
