//! RFC 1123, "Requirements for Internet Hosts", §4.2: what it corrects in TFTP.

use std::time::Duration;

use tftpd::proto::Mode;

use crate::conversation::{ack, bytes, data, request_of, rrq, server, wrq};

/// §4.2.2.1: mode `mail` SHOULD NOT be supported; it is told apart so that it can be refused.
#[test]
fn mail_is_recognised_as_what_it_is() {
    let request = request_of(b"\x00\x02someone@host\x00mail\x00");
    assert_eq!(request.mode, Mode::Mail);
}

/// §4.2.3.1, the Sorcerer's Apprentice: the sender never sends a block for a duplicate ACK.
#[test]
fn a_delayed_block_does_not_double_all_that_follow() {
    let file = bytes(8 * 512);
    let mut server = server(&rrq(""), &file);
    server
        .expect_blocks(1, 1)
        .after(100)
        .recv(ack(1))
        .expect_blocks(2, 1);
    // Block 2 is late, not lost: its copy brings a second ACK 2, and so would each that follows.
    server.silence().expect_blocks(2, 1);
    for number in 2..=8_u16 {
        server
            .after(5)
            .recv(ack(number))
            .expect_blocks(u64::from(number) + 1, 1);
        server.after(40).recv(ack(number)).expect_nothing();
    }
}

/// §4.2.3.1: the receiver may acknowledge a duplicate block, for its ACK may be lost, and its own
/// duplicate ACKs do no harm.
#[test]
fn a_duplicate_block_moves_the_receiver_no_further() {
    let mut server = server(&wrq(""), b"");
    server
        .expect(ack(0))
        .after(10)
        .recv(data(1, &bytes(512)))
        .expect(ack(1));
    server.after(50).recv(data(1, &bytes(512))).expect(ack(1));
    server.recv(data(2, b"end")).expect(ack(2));
    assert_eq!(server.file().len(), 515);
}

/// §4.2.3.2: the time-out MUST be adaptive, and at the least back off exponentially.
#[test]
fn the_time_out_follows_the_path_and_backs_off() {
    let first_wait = |round_trip_ms| {
        let mut server = server(&rrq(""), &bytes(50_000));
        server.expect_blocks(1, 1);
        for number in 1..=20_u16 {
            server.after(round_trip_ms).recv(ack(number));
            server.expect_blocks(u64::from(number) + 1, 1);
        }
        let first = server.length_of_silence();
        server.expect_blocks(21, 1);
        let second = server.length_of_silence();
        assert!(second > first.mul_f32(1.7), "{second:?} after {first:?}");
        first
    };
    let near = first_wait(5);
    let far = first_wait(400);
    assert!(near < Duration::from_millis(30), "{near:?}");
    assert!(
        far > Duration::from_millis(400) && far < Duration::from_secs(2),
        "{far:?}"
    );
}
