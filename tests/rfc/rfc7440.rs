//! RFC 7440, "TFTP Windowsize Option".

use tftpd::proto::{OackError, Outcome};

use crate::conversation::{Conversation, ack, bytes, client_of_read, data, oack, rrq, server, wrq};

/// §3: 1 to 65535 blocks; the server may answer with less. Less is what it grants here.
#[test]
fn the_server_answers_with_the_same_or_fewer_blocks() {
    server(&rrq("windowsize=1"), b"").expect(oack("windowsize=1"));
    server(&rrq("windowsize=16"), b"").expect(oack("windowsize=16"));
    server(&rrq("windowsize=65535"), b"").expect(oack("windowsize=64"));
    // A window is bounded in bytes as well.
    server(&rrq("blksize=65464 windowsize=64"), b"").expect(oack("blksize=65464 windowsize=2"));
}

/// §3: what is out of bounds is treated as not asked.
#[test]
fn a_window_of_no_blocks_or_of_too_many_is_ignored() {
    for option in ["windowsize=0", "windowsize=65536", "windowsize=x"] {
        server(&rrq(option), b"x").expect(data(1, b"x"));
    }
}

/// §3: a client must not accept more than it asked for.
#[test]
fn a_client_takes_fewer_blocks_and_never_more() {
    let mut client = client_of_read("windowsize=8", &oack("windowsize=2")).expect("fewer");
    client
        .expect(ack(0))
        .recv(data(1, &bytes(512)))
        .expect_nothing();
    client.recv(data(2, &bytes(512))).expect(ack(2));
    let more = client_of_read("windowsize=8", &oack("windowsize=9"));
    assert_eq!(more.err(), Some(OackError::Raised("windowsize")));
}

/// §3, example: a read with windows of 4 blocks.
#[test]
fn a_read_goes_window_by_window() {
    let file = bytes(9 * 512 + 100);
    let mut server = reading(4, &file);
    server.expect_blocks(1, 4).expect_nothing();
    server
        .after(10)
        .recv(ack(4))
        .expect_blocks(5, 4)
        .expect_nothing();
    server
        .after(10)
        .recv(ack(8))
        .expect_blocks(9, 2)
        .expect_nothing();
    server.after(10).recv(ack(10)).expect_complete();
}

/// §4: the receiver acknowledges the last block of a window, or of the file, and no other.
#[test]
fn the_receiver_acknowledges_once_a_window_and_the_last_block_at_once() {
    let mut server = writing(3);
    for number in 1..=6 {
        server.recv(data(number, &bytes(512)));
        if number % 3 == 0 {
            server.expect(ack(number));
        }
        server.expect_nothing();
    }
    server.recv(data(7, b"end")).expect(ack(7));
}

/// §4: an ACK inside the window says what is missing; the sender goes on there with a full window.
#[test]
fn after_a_gap_a_full_window_begins_at_the_missing_block() {
    let mut server = reading(4, &bytes(20_000));
    server.expect_blocks(1, 4);
    server
        .after(10)
        .recv(ack(2))
        .expect_blocks(3, 4)
        .expect_nothing();
    server.after(10).recv(ack(6)).expect_blocks(7, 4);
}

/// §4: the receiver acknowledges the last block in order when it sees a gap, and takes nothing that
/// lies behind it.
#[test]
fn the_receiver_reports_a_gap_once_and_stores_nothing_beyond_it() {
    let file = bytes(6 * 512);
    let block = |number: usize| &file[(number - 1) * 512..number * 512];
    let mut server = writing(4);
    server
        .recv(data(1, block(1)))
        .recv(data(3, block(3)))
        .expect(ack(1));
    server.recv(data(4, block(4))).expect_nothing();
    for number in 2..=5_u16 {
        server.recv(data(number, block(number.into())));
    }
    server.expect(ack(5)).recv(data(6, b"")).expect(ack(6));
    assert_eq!(server.file(), &file[..5 * 512]);
}

/// §4: a lost window or a lost ACK ends in a time-out, and the window begins anew at the last block
/// acknowledged.
#[test]
fn silence_repeats_the_window() {
    let mut server = reading(4, &bytes(20_000));
    server
        .expect_blocks(1, 4)
        .after(10)
        .recv(ack(4))
        .expect_blocks(5, 4);
    server.silence().expect_blocks(5, 4).expect_nothing();
}

/// §4: a receiver that hears nothing more repeats the ACK of what it has.
#[test]
fn a_receiver_in_mid_window_acknowledges_what_it_has_after_a_silence() {
    let mut server = writing(4);
    server
        .recv(data(1, &bytes(512)))
        .recv(data(2, &bytes(512)))
        .expect_nothing();
    server.silence().expect(ack(2));
}

/// §4: equal ACKs for one loss bring one window, not one each.
#[test]
fn one_gap_reported_three_times_brings_one_window() {
    let mut server = reading(4, &bytes(20_000));
    server
        .expect_blocks(1, 4)
        .after(10)
        .recv(ack(4))
        .expect_blocks(5, 4);
    server.after(10).recv(ack(4)).expect_blocks(5, 4);
    server.recv(ack(4)).recv(ack(4)).expect_nothing();
}

/// §4: a window of one block is RFC 1350.
#[test]
fn a_window_of_one_is_lock_step_and_keeps_its_rule_on_duplicate_acks() {
    let mut server = reading(1, &bytes(2000));
    server
        .expect_blocks(1, 1)
        .after(10)
        .recv(ack(1))
        .expect_blocks(2, 1);
    server.after(10).recv(ack(1)).expect_nothing();
}

/// §4: a file that ends in the first window is acknowledged there.
#[test]
fn a_file_shorter_than_a_window_is_one_window() {
    for (size, blocks) in [(0, 1), (100, 1), (512, 2), (1000, 2)] {
        let mut server = reading(64, &bytes(size));
        server.expect_blocks(1, blocks).expect_nothing();
        server
            .after(10)
            .recv(ack(u16::try_from(blocks).expect("few")))
            .expect_complete();
    }
}

/// Numbers that begin again inside a window are no gap, for either side.
#[test]
fn a_window_may_lie_across_the_wrap() {
    let file = bytes(65_539 * 8);
    let option = "blksize=8 windowsize=3";
    let mut server = server(&rrq(option), &file);
    server.expect(oack(option)).after(10).recv(ack(0));
    let mut client = client_of_read(option, &oack(option)).expect("good");
    client.expect(ack(0));
    for first in (1..=65_540_u64).step_by(3) {
        let last = (first + 2).min(65_540);
        for number in first..=last {
            let wire = u16::try_from(number % 65_536).expect("16 bits");
            let at = usize::try_from(number - 1).expect("small") * 8;
            client.recv(data(wire, file.get(at..at + 8).unwrap_or_default()));
        }
        let acknowledged = ack(u16::try_from(last % 65_536).expect("16 bits"));
        client.expect(&acknowledged).after(10);
        server
            .expect_blocks(first, last - first + 1)
            .after(10)
            .recv(acknowledged);
    }
    server.expect_end(&Outcome::Completed { last_ack: true });
    assert_eq!(client.file(), file);
}

/// A server that sends `file` in windows of `window`, and has been sent ACK 0 after 10 ms.
#[track_caller]
fn reading(window: u16, file: &[u8]) -> Conversation {
    let option = format!("windowsize={window}");
    let mut server = server(&rrq(&option), file);
    server.expect(oack(&option)).after(10).recv(ack(0));
    server
}

/// A server that waits for block 1 of windows of `window`.
#[track_caller]
fn writing(window: u16) -> Conversation {
    let option = format!("windowsize={window}");
    let mut server = server(&wrq(&option), b"");
    server.expect(oack(&option));
    server
}
