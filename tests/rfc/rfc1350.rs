//! RFC 1350, "The TFTP Protocol (Revision 2)".

use std::time::Duration;

use tftpd::proto::{DecodeError, Direction, ErrorCode, Mode, Opcode, Outcome, Packet, Stage};

use crate::{
    ends::error,
    side::{both, bytes, client, request_of, server},
};

const COMPLETE: Outcome = Outcome::Completed { last_ack: true };

/// §1: three modes; mail is obsolete and must be decoded to be refused.
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
    server(
        1025,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ACK 1
        +0  < DATA 2 len 512
        +0  > ACK 2
        +0  < DATA 3 len 1
        +0  > ACK 3
        "#,
    )
    .assert_ended(&COMPLETE);
}

/// §2: a lost packet makes the recipient time out and repeat its last packet, data or ACK, which
/// makes the sender of the lost packet repeat it.
#[test]
fn either_side_repeats_its_last_packet_after_a_timeout() {
    server(
        600,
        r#"
        +0        > RRQ "file" octet
        +0        < DATA 1 len 512
        +0        > ACK 1
        +0        < DATA 2 len 88
        +timeout  < DATA 2 len 88
        +0        > ACK 2
        "#,
    )
    .assert_ended(&COMPLETE);
    let receiver = server(
        0,
        r#"
        +0        > WRQ "file" octet
        +0        < ACK 0
        +0        > DATA 1 len 512
        +0        < ACK 1
        +timeout  < ACK 1
        +0        > DATA 2 len 88
        +0        < ACK 2
        "#,
    );
    assert_eq!(receiver.stored().len(), 600);
}

/// §2: all packets but duplicate ACKs and those that end the transfer are acknowledged, so a lost
/// ACK is replaced when the block is repeated; the block is stored once.
#[test]
fn a_repeated_block_is_acknowledged_again_and_stored_once() {
    let receiver = server(
        0,
        r#"
        +0       > WRQ "file" octet
        +0       < ACK 0
        +10ms    > DATA 1 len 512
        +0       < ACK 1
        +1000ms  > DATA 1 len 512
        +0       < ACK 1
        +0       > DATA 2 len 188
        +0       < ACK 2
        "#,
    );
    assert_eq!(receiver.stored().len(), 700);
}

/// §4: the positive answer to a read request is the first block.
#[test]
fn a_read_request_is_answered_with_block_1() {
    server(
        5,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 5
        "#,
    );
}

/// §4: the positive answer to a write request is an ACK of block zero.
#[test]
fn a_write_request_is_answered_with_ack_0() {
    server(
        0,
        r#"
        +0  > WRQ "file" octet
        +0  < ACK 0
        +0  > DATA 1 len 5
        +0  < ACK 1
        "#,
    );
}

/// §4: the client sends block 1 when the ACK of its write request has arrived.
#[test]
fn a_client_that_writes_sends_block_1_after_ack_0() {
    client(
        5,
        r#"
        +0  > WRQ "file" octet
        +0  < ACK 0
        +0  > DATA 1 len 5
        +0  < ACK 1
        "#,
    )
    .assert_ended(&COMPLETE);
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

/// §5: opcodes 1 to 5, and 6 by RFC 2347; no other value is a packet.
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

/// §5: block numbers begin with one and increase by one. The RFC does not define the successor of
/// 65535; in all implementations it is 0.
#[test]
fn block_numbers_begin_with_1_and_continue_with_0_after_65535() {
    let size = 65_537 * 512 + 7;
    let mut server = server(
        size,
        r#"
        +0 > RRQ "file" octet
        +0 < DATA 1 len 512
        "#,
    );
    for number in 1..=65_537_u64 {
        let (wire, next) = (number % 65_536, (number + 1) % 65_536);
        let length = if number == 65_537 { 7 } else { 512 };
        server.run(&format!(
            "+0 > ACK {wire}
             +0 < DATA {next} len {length}"
        ));
    }
    server.run("+0 > ACK 2").assert_ended(&COMPLETE);
}

/// §5, figure 5-4: an ERROR is opcode, code, text and a zero byte.
#[test]
fn an_error_is_a_code_and_a_text_that_ends_in_zero() {
    assert_eq!(
        bytes(r#"ERROR 0 "not defined""#),
        b"\x00\x05\x00\x00not defined\x00"
    );
    server(
        5,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 5
        "#,
    )
    .act(|server, now| server.abort(ErrorCode::NotDefined, now))
    .run(r#"+0 < ERROR 0 "not defined""#);
}

/// §6: a file whose size is a multiple of 512 ends with a block of no bytes.
#[test]
fn an_exact_multiple_ends_with_an_empty_block() {
    server(
        1024,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ACK 1
        +0  < DATA 2 len 512
        +0  > ACK 2
        +0  < DATA 3 len 0
        +0  > ACK 3
        "#,
    )
    .assert_ended(&COMPLETE);
}

/// §6: so does a file of no bytes at all.
#[test]
fn an_empty_file_is_one_empty_block() {
    let [mut server, mut client] = both(
        0,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 0
        +0  > ACK 1
        "#,
    );
    server.assert_ended(&COMPLETE);
    client.idle();
    client.assert_ended(&COMPLETE);
    assert_eq!(client.stored(), b"");
}

/// §6, dallying: the receiver waits after its last ACK, and repeats that ACK if the last block is
/// repeated.
#[test]
fn the_receiver_dallies_to_acknowledge_the_last_block_again() {
    let mut server = server(
        0,
        r#"
        +0       > WRQ "file" octet
        +0       < ACK 0
        +0       > DATA 1 len 3
        +0       < ACK 1
        +1500ms  > DATA 1 len 3
        +0       < ACK 1
        "#,
    );
    assert_eq!(server.outcome(), None, "still dallying");
    server.idle();
    server.assert_ended(&COMPLETE);
    assert_eq!(server.stored().len(), 3);
}

/// §6: the sender of the last block repeats it until it is acknowledged or further repetitions make
/// no sense; then the transfer counts as complete.
#[test]
fn a_last_block_without_ack_is_sent_six_times_and_then_counts_as_received() {
    let mut server = server(
        600,
        r#"
        +0        > RRQ "file" octet
        +0        < DATA 1 len 512
        +3ms      > ACK 1
        +0        < DATA 2 len 88
        +timeout  < DATA 2 len 88
        +timeout  < DATA 2 len 88
        +timeout  < DATA 2 len 88
        +timeout  < DATA 2 len 88
        +timeout  < DATA 2 len 88
        "#,
    );
    server.idle();
    server.assert_ended(&Outcome::Completed { last_ack: false });
}

/// §7: an ERROR ends the transfer on both sides; it is neither acknowledged nor answered.
#[test]
fn a_received_error_ends_the_transfer_without_an_answer() {
    let ended = Outcome::PeerError {
        code: ErrorCode::DiskFull,
        text: b"Disk full or allocation exceeded".as_slice().into(),
    };
    for script in [
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ERROR 3 "Disk full or allocation exceeded"
        "#,
        r#"
        +0  > WRQ "file" octet
        +0  < ACK 0
        +0  > ERROR 3 "Disk full or allocation exceeded"
        "#,
    ] {
        server(600, script).assert_ended(&ended);
    }
}

/// §7: nor is it repeated; its sender has ended the transfer.
#[test]
fn an_error_is_sent_once() {
    server(
        0,
        r#"
        +0  > WRQ "file" octet
        +0  < ACK 0
        "#,
    )
    .act(|server, now| server.abort(ErrorCode::DiskFull, now))
    .run(
        r#"
        +0  < ERROR 3 "Disk full or allocation exceeded"
        +0  > DATA 1 len 4
        "#,
    )
    .assert_ended(&Outcome::Aborted(ErrorCode::DiskFull));
}

/// §7: errors can be lost, so that a transfer without answers must end too.
#[test]
fn a_transfer_without_answers_times_out() {
    let mut sender = server(
        5000,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ACK 1
        +0  < DATA 2 len 512
        "#,
    );
    loop {
        sender.idle();
        if sender.outcome().is_some() {
            break;
        }
        sender.run("+timeout < DATA 2 len 512");
    }
    let elapsed = sender.elapsed();
    assert!((30..60).contains(&elapsed.as_secs()), "{elapsed:?}");
    sender.assert_ended(&Outcome::TimedOut(Stage::Data));
}

/// Appendix, steps of a read: the server waits for exactly the packets that the client sends.
#[test]
fn a_read_from_end_to_end() {
    let [mut server, client] = both(
        1200,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ACK 1
        +0  < DATA 2 len 512
        +0  > ACK 2
        +0  < DATA 3 len 176
        +0  > ACK 3
        "#,
    );
    server.assert_ended(&COMPLETE);
    assert_eq!(client.stored().len(), 1200);
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
            panic!("{code} is not decoded");
        };
        assert_eq!(read.code, code);
    }
}

/// §2, lock step: a block or an ACK with a number ahead of the transfer changes nothing.
#[test]
fn a_number_ahead_of_the_transfer_is_ignored() {
    server(
        5000,
        r#"
        +0  > RRQ "file" octet
        +0  < DATA 1 len 512
        +0  > ACK 2
        +0  > ACK 9
        "#,
    );
    let receiver = server(
        0,
        r#"
        +0  > WRQ "file" octet
        +0  < ACK 0
        +0  > DATA 3 len 5
        "#,
    );
    assert_eq!(receiver.stored(), b"");
    assert!(receiver.elapsed() < Duration::from_secs(1));
}
