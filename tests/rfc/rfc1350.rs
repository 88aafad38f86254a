//! RFC 1350, "The TFTP Protocol (Revision 2)".

use std::time::Duration;

use tftpd::proto::{DecodeError, Direction, ErrorCode, Mode, Opcode, Outcome, Packet, Stage};

use crate::conversation::{
    ack, bytes, client_of_read, client_of_write, data, error, request_of, rrq, server, wrq,
};

/// §1: three modes; mail is obsolete and must be known to be refused.
#[test]
fn there_are_three_modes_and_no_other() {
    let mode = |name: &[u8]| {
        let datagram = [b"\x00\x01file\x00", name, b"\x00"].concat();
        Packet::decode(&datagram).map(|_| request_of(&datagram).mode)
    };
    assert_eq!(mode(b"octet"), Ok(Mode::Octet));
    assert_eq!(mode(b"netascii"), Ok(Mode::Netascii));
    assert_eq!(mode(b"mail"), Ok(Mode::Mail));
    assert_eq!(mode(b"image"), Err(DecodeError::UnknownMode));
}

/// §2: blocks of 512 bytes, each acknowledged before the next is sent; a shorter one ends it.
#[test]
fn a_file_is_read_in_blocks_of_512_bytes_one_at_a_time() {
    let file = bytes(1025);
    let mut server = server(&rrq(""), &file);
    server.expect(data(1, &file[..512])).expect_nothing();
    server
        .recv(ack(1))
        .expect(data(2, &file[512..1024]))
        .expect_nothing();
    server
        .recv(ack(2))
        .expect(data(3, &file[1024..]))
        .expect_nothing();
    server.recv(ack(3)).expect_complete();
}

/// §2: a lost packet makes the recipient time out and repeat its last packet, data or ACK, which
/// makes the sender of the lost packet repeat it.
#[test]
fn either_side_repeats_its_last_packet_when_the_other_falls_silent() {
    let file = bytes(600);
    let mut sender = server(&rrq(""), &file);
    sender.expect_blocks(1, 1).recv(ack(1)).expect_blocks(2, 1);
    sender
        .silence()
        .expect_blocks(2, 1)
        .recv(ack(2))
        .expect_complete();

    let mut receiver = server(&wrq(""), b"");
    receiver
        .expect(ack(0))
        .recv(data(1, &file[..512]))
        .expect(ack(1));
    receiver
        .silence()
        .expect(ack(1))
        .recv(data(2, &file[512..]))
        .expect(ack(2));
    assert_eq!(receiver.file(), file);
}

/// §2: all packets but duplicate ACKs and those that end the transfer are acknowledged, so a lost
/// ACK is replaced when the block comes again; the block is stored once.
#[test]
fn a_block_that_comes_again_is_acknowledged_again_and_stored_once() {
    let file = bytes(700);
    let mut receiver = server(&wrq(""), b"");
    receiver
        .expect(ack(0))
        .after(10)
        .recv(data(1, &file[..512]))
        .expect(ack(1));
    receiver
        .after(1000)
        .recv(data(1, &file[..512]))
        .expect(ack(1));
    receiver.recv(data(2, &file[512..])).expect(ack(2));
    assert_eq!(receiver.file(), file);
}

/// §4: the positive answer to a read request is the first block.
#[test]
fn a_read_request_is_answered_with_block_1() {
    server(&rrq(""), b"hello").expect(b"\x00\x03\x00\x01hello");
}

/// §4: the positive answer to a write request is an ACK of block zero.
#[test]
fn a_write_request_is_answered_with_ack_0() {
    server(&wrq(""), b"")
        .expect(b"\x00\x04\x00\x00")
        .recv(data(1, b"hello"))
        .expect(ack(1));
}

/// §4: the client sends block 1 when the ACK of its write request has come.
#[test]
fn a_client_that_writes_sends_block_1_after_ack_0() {
    let mut client = client_of_write("", &ack(0), b"hello").expect("accepted");
    client
        .expect(b"\x00\x03\x00\x01hello")
        .recv(ack(1))
        .expect_complete();
}

/// §5, figure 5-1, and the mode in any case.
#[test]
fn a_request_names_a_file_and_a_mode_in_any_case() {
    let read = request_of(b"\x00\x01dir/boot.img\x00OcTeT\x00");
    assert_eq!((read.direction, read.mode), (Direction::Read, Mode::Octet));
    assert_eq!(read.filename, b"dir/boot.img");
    let write = request_of(b"\x00\x02log\x00NETASCII\x00");
    assert_eq!(
        (write.direction, write.mode),
        (Direction::Write, Mode::Netascii)
    );
}

/// §5: opcodes 1 to 5, and 6 by RFC 2347; anything else is no packet.
#[test]
fn the_opcodes_are_those_of_the_table() {
    for (number, opcode) in [
        (1, Opcode::Rrq),
        (2, Opcode::Wrq),
        (3, Opcode::Data),
        (4, Opcode::Ack),
        (5, Opcode::Error),
        (6, Opcode::Oack),
    ] {
        assert_eq!(Opcode::from_wire(number), Some(opcode));
    }
    for number in [0_u8, 7, 255] {
        let datagram = [number, 9, 0, 0];
        let opcode = u16::from_be_bytes([number, 9]);
        assert_eq!(
            Packet::decode(&datagram),
            Err(DecodeError::UnknownOpcode(opcode))
        );
    }
}

/// §5: block numbers begin with one and increase by one. What follows 65535 it does not say; 0
/// does, with everybody.
#[test]
fn block_numbers_begin_with_1_and_go_on_with_0_after_65535() {
    let file = bytes(65_537 * 512 + 7);
    let mut server = server(&rrq(""), &file);
    for number in 1..=65_537_u64 {
        let wire = u16::try_from(number % 65_536).expect("16 bits");
        server.expect_blocks(number, 1).recv(ack(wire));
    }
    server
        .expect(data(2, &file[65_537 * 512..]))
        .recv(ack(2))
        .expect_complete();
}

/// §5, figure 5-4: an ERROR is opcode, code, text and a zero byte.
#[test]
fn an_error_is_a_code_and_a_text_that_ends_in_zero() {
    let mut server = server(&rrq(""), b"hello");
    server.expect_blocks(1, 1).abort(ErrorCode::NotDefined);
    server.expect(b"\x00\x05\x00\x00not defined\x00");
}

/// §6: a file whose size is a multiple of 512 ends with a block of no bytes.
#[test]
fn an_exact_multiple_ends_with_an_empty_block() {
    let file = bytes(1024);
    let mut server = server(&rrq(""), &file);
    server.expect_blocks(1, 1).recv(ack(1)).expect_blocks(2, 1);
    server
        .recv(ack(2))
        .expect(b"\x00\x03\x00\x03")
        .recv(ack(3))
        .expect_complete();
}

/// §6: so does a file of no bytes at all.
#[test]
fn an_empty_file_is_one_empty_block() {
    server(&rrq(""), b"")
        .expect(b"\x00\x03\x00\x01")
        .recv(ack(1))
        .expect_complete();
    let mut client = client_of_read("", b"\x00\x03\x00\x01").expect("no options");
    client.expect(ack(1)).silence().expect_complete();
    assert_eq!(client.file(), b"");
}

/// §6, dallying: who acknowledged the last block stays for a while, and acknowledges it again if it
/// comes again.
#[test]
fn the_receiver_stays_to_acknowledge_the_last_block_again() {
    let mut server = server(&wrq(""), b"");
    server.expect(ack(0)).recv(data(1, b"all")).expect(ack(1));
    server.after(1500).recv(data(1, b"all")).expect(ack(1));
    assert_eq!(server.outcome(), None, "still there");
    server.silence().expect_complete();
    assert_eq!(server.file(), b"all");
}

/// §6: who sent the last block repeats it until it is acknowledged or a time-out says that this
/// makes no sense; then the transfer is taken for complete.
#[test]
fn the_sender_of_the_last_block_repeats_it_for_a_while_and_then_counts_it_as_received() {
    let file = bytes(600);
    let mut server = server(&rrq(""), &file);
    server
        .expect_blocks(1, 1)
        .after(3)
        .recv(ack(1))
        .expect_blocks(2, 1);
    for _ in 1..6 {
        server.silence().expect_blocks(2, 1);
    }
    server
        .silence()
        .expect_end(&Outcome::Completed { last_ack: false });
}

/// §7: an ERROR ends the transfer on both sides; it is neither acknowledged nor answered.
#[test]
fn an_error_is_not_answered_whoever_gets_it() {
    let refusal = error(ErrorCode::DiskFull);
    let ended = Outcome::PeerError {
        code: ErrorCode::DiskFull,
        text: b"Disk full or allocation exceeded".as_slice().into(),
    };
    let mut sender = server(&rrq(""), &bytes(600));
    sender.expect_blocks(1, 1).recv(&refusal).expect_end(&ended);
    let mut receiver = server(&wrq(""), b"");
    receiver.expect(ack(0)).recv(&refusal).expect_end(&ended);
}

/// §7: nor is it repeated; whoever sent it is done.
#[test]
fn an_error_is_sent_once() {
    let mut server = server(&wrq(""), b"");
    server
        .expect(ack(0))
        .abort(ErrorCode::DiskFull)
        .expect(error(ErrorCode::DiskFull));
    server
        .recv(data(1, b"more"))
        .expect_end(&Outcome::Aborted(ErrorCode::DiskFull));
}

/// §7: errors can be lost, so that silence must end a transfer too.
#[test]
fn silence_ends_a_transfer_in_the_end() {
    let mut sender = server(&rrq(""), &bytes(5000));
    sender.expect_blocks(1, 1).recv(ack(1)).expect_blocks(2, 1);
    while sender.silence().outcome().is_none() {
        sender.expect_blocks(2, 1);
    }
    let elapsed = sender.elapsed();
    assert!((30..60).contains(&elapsed.as_secs()), "{elapsed:?}");
    sender.expect_end(&Outcome::TimedOut(Stage::Data));
}

/// Appendix, steps of a read: whatever the client sends is what the server waits for.
#[test]
fn a_read_from_end_to_end() {
    let file = bytes(1200);
    let mut server = server(&rrq(""), &file);
    let first = data(1, &file[..512]);
    server.expect(&first);
    let mut client = client_of_read("", &first).expect("no options");
    client.expect(ack(1));
    server.recv(ack(1)).expect_blocks(2, 1);
    client.recv(data(2, &file[512..1024])).expect(ack(2));
    server.recv(ack(2)).expect_blocks(3, 1);
    client.recv(data(3, &file[1024..])).expect(ack(3));
    server.recv(ack(3)).expect_complete();
    assert_eq!(client.file(), file);
}

/// Appendix, error codes: the eight of the table with its words.
#[test]
fn the_error_codes_are_those_of_the_table() {
    for (code, datagram) in [
        (
            ErrorCode::FileNotFound,
            &b"\x00\x05\x00\x01File not found\x00"[..],
        ),
        (
            ErrorCode::AccessViolation,
            b"\x00\x05\x00\x02Access violation\x00",
        ),
        (
            ErrorCode::DiskFull,
            b"\x00\x05\x00\x03Disk full or allocation exceeded\x00",
        ),
        (
            ErrorCode::IllegalOperation,
            b"\x00\x05\x00\x04Illegal TFTP operation\x00",
        ),
        (
            ErrorCode::UnknownTransferId,
            b"\x00\x05\x00\x05Unknown transfer ID\x00",
        ),
        (
            ErrorCode::FileExists,
            b"\x00\x05\x00\x06File already exists\x00",
        ),
        (ErrorCode::NoSuchUser, b"\x00\x05\x00\x07No such user\x00"),
    ] {
        assert_eq!(error(code), datagram);
        let Ok(Packet::Error(read)) = Packet::decode(datagram) else {
            panic!("{code} is not read back");
        };
        assert_eq!(read.code, code);
    }
}

/// §2, lock step: a block or an ACK that is ahead of what was sent moves nothing.
#[test]
fn a_number_that_was_not_reached_yet_is_ignored() {
    let mut sender = server(&rrq(""), &bytes(5000));
    sender
        .expect_blocks(1, 1)
        .recv(ack(2))
        .recv(ack(9))
        .expect_nothing();
    let mut receiver = server(&wrq(""), b"");
    receiver
        .expect(ack(0))
        .recv(data(3, b"later"))
        .expect_nothing();
    assert_eq!(receiver.file(), b"");
    assert!(receiver.elapsed() < Duration::from_secs(1));
}
