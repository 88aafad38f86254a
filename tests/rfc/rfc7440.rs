//! RFC 7440, "TFTP Windowsize Option".

use tests::trace::Trace;
use tftpd::proto::{OackError, Outcome};

use crate::side::{Side, client, refusal, server};

const COMPLETE: Outcome = Outcome::Completed { last_ack: true };

/// §3: 1 to 65535 blocks; the server may answer with less. These are its default limits.
#[test]
fn the_server_answers_with_the_same_or_fewer_blocks() {
    for (requested, granted) in [
        ("windowsize=1", "windowsize=1"),
        ("windowsize=16", "windowsize=16"),
        ("windowsize=65535", "windowsize=64"),
        // A window is bounded in bytes as well.
        ("blksize=65464 windowsize=64", "blksize=65464 windowsize=2"),
    ] {
        server(
            0,
            &format!(
                "+0 > RRQ file octet {requested}
                 +0 < OACK {granted}"
            ),
        );
    }
}

/// §3: a value out of bounds is ignored.
#[test]
fn a_window_of_no_blocks_or_of_too_many_is_ignored() {
    for option in ["windowsize=0", "windowsize=65536", "windowsize=x"] {
        server(
            1,
            &format!(
                "+0 > RRQ file octet {option}
                 +0 < DATA 1 len 1"
            ),
        );
    }
}

/// §3: a client must not accept more than it requested.
#[test]
fn a_client_accepts_fewer_blocks_and_never_more() {
    client(
        0,
        r#"
        +0  > RRQ "file" octet windowsize=8
        +0  < OACK windowsize=2
        +0  > ACK 0
        +0  < DATA 1 len 512
        +0  < DATA 2 len 512
        +0  > ACK 2
        "#,
    );
    let more = refusal(
        r#"
        +0  > RRQ "file" octet windowsize=8
        +0  < OACK windowsize=9
        "#,
    );
    assert_eq!(more, Some(OackError::Raised("windowsize")));
}

/// §3, example: a read with windows of 4 blocks.
#[test]
fn a_read_goes_window_by_window() {
    read(
        4,
        9 * 512 + 100,
        "+0    < DATA 1 len 512
             +0    < DATA 2 len 512
             +0    < DATA 3 len 512
             +0    < DATA 4 len 512
             +10ms > ACK 4
             +0    < DATA 5 len 512
             +0    < DATA 6 len 512
             +0    < DATA 7 len 512
             +0    < DATA 8 len 512
             +10ms > ACK 8
             +0    < DATA 9 len 512
             +0    < DATA 10 len 100
             +10ms > ACK 10",
    )
    .assert_ended(&COMPLETE);
}

/// §4: the receiver acknowledges the last block of a window, or of the file, and no other.
#[test]
fn the_receiver_acknowledges_the_last_block_of_a_window_and_of_the_file() {
    writing(3).run(
        "+0 > DATA 1 len 512
         +0 > DATA 2 len 512
         +0 > DATA 3 len 512
         +0 < ACK 3
         +0 > DATA 4 len 512
         +0 > DATA 5 len 512
         +0 > DATA 6 len 512
         +0 < ACK 6
         +0 > DATA 7 len 3
         +0 < ACK 7",
    );
}

/// §4: an ACK inside the window reports a gap; the sender goes on there with a full window.
#[test]
fn after_a_gap_a_full_window_begins_at_the_missing_block() {
    read(
        4,
        20_000,
        &format!(
            "{}+10ms > ACK 2\n{}+10ms > ACK 6\n{}",
            window(1, 4),
            window(3, 4),
            window(7, 4)
        ),
    );
}

/// §4: at a gap the receiver acknowledges the last block in order, and stores no block that follows
/// the gap.
#[test]
fn the_receiver_reports_a_gap_once_and_stores_nothing_beyond_it() {
    let mut server = writing(4);
    server.run(
        "+0 > DATA 1 len 512
         +0 > DATA 3 len 512
         +0 < ACK 1
         +0 > DATA 4 len 512
         +0 > DATA 2 len 512
         +0 > DATA 3 len 512
         +0 > DATA 4 len 512
         +0 > DATA 5 len 512
         +0 < ACK 5
         +0 > DATA 6 len 0
         +0 < ACK 6",
    );
    assert_eq!(server.stored().len(), 5 * 512);
}

/// §4: a lost window or a lost ACK ends in a timeout, and the window begins anew at the last block
/// acknowledged.
#[test]
fn a_timeout_repeats_the_window() {
    read(
        4,
        20_000,
        &format!(
            "{}+10ms > ACK 4\n{}{}",
            window(1, 4),
            window(5, 4),
            window(5, 4).replacen("+0", "+timeout", 1)
        ),
    );
}

/// §4: a receiver without further blocks acknowledges again the last one it has.
#[test]
fn a_receiver_in_mid_window_acknowledges_after_a_timeout() {
    writing(4).run(
        "+0       > DATA 1 len 512
         +0       > DATA 2 len 512
         +timeout < ACK 2",
    );
}

/// §4: equal ACKs for one loss bring one window, not one each.
#[test]
fn one_gap_reported_three_times_brings_one_window() {
    read(
        4,
        20_000,
        &format!(
            "{}+10ms > ACK 4\n{}+10ms > ACK 4\n{}+0 > ACK 4\n+0 > ACK 4",
            window(1, 4),
            window(5, 4),
            window(5, 4)
        ),
    );
}

/// §4: a window of one block is RFC 1350.
#[test]
fn a_window_of_one_is_lock_step_and_keeps_its_rule_on_duplicate_acks() {
    read(
        1,
        2000,
        "+0    < DATA 1 len 512
         +10ms > ACK 1
         +0    < DATA 2 len 512
         +10ms > ACK 1",
    );
}

/// §4: a file that ends in the first window is acknowledged there.
#[test]
fn a_file_shorter_than_a_window_is_one_window() {
    for (size, blocks) in [(0, 1), (100, 1), (512, 2), (1000, 2)] {
        let last = size % 512;
        let full = window(1, blocks - 1);
        read(
            64,
            size,
            &format!("{full}+0 < DATA {blocks} len {last}\n+10ms > ACK {blocks}"),
        )
        .assert_ended(&COMPLETE);
    }
}

/// Numbers that wrap inside a window are no gap, for either side.
#[test]
fn a_window_may_span_the_wrap_of_the_block_numbers() {
    let size = 65_539 * 8;
    let mut script = String::from(
        "+0 > RRQ file octet blksize=8 windowsize=3
         +0 < OACK blksize=8 windowsize=3
         +0 > ACK 0\n",
    );
    for number in 1..=65_540 {
        let (wire, length) = (number % 65_536, if number == 65_540 { 0 } else { 8 });
        let block = format!("+0 < DATA {wire} len {length}\n");
        script.push_str(&block);
        if number % 3 == 0 || number == 65_540 {
            let ack = format!("+0 > ACK {wire}\n");
            script.push_str(&ack);
        }
    }
    let client = client(0, &script);
    assert_eq!(client.stored().len(), size);
    let with_round_trips = script.replace("+0 >", "+10ms >");
    server(size, &with_round_trips).assert_ended(&COMPLETE);
}

/// Runs a script against a server that sends a file of `size` bytes in windows of `blocks` blocks, and
/// was sent ACK 0 after 10 ms.
#[track_caller]
fn read(blocks: u16, size: usize, script: &str) -> Trace<Side> {
    server(
        size,
        &format!(
            "+0    > RRQ file octet windowsize={blocks}
             +0    < OACK windowsize={blocks}
             +10ms > ACK 0
             {script}"
        ),
    )
}

/// A server that waits for block 1 of windows of `blocks` blocks.
#[track_caller]
fn writing(blocks: u16) -> Trace<Side> {
    server(
        0,
        &format!(
            "+0 > WRQ file octet windowsize={blocks}
             +0 < OACK windowsize={blocks}"
        ),
    )
}

/// The lines with `count` full blocks from `first` on, sent by a server.
fn window(first: u64, count: u64) -> String {
    let lines = (first..first + count).map(|number| format!("+0 < DATA {number} len 512\n"));
    lines.collect::<Vec<_>>().concat()
}
