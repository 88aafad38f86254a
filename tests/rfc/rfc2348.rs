//! RFC 2348, "TFTP Blocksize Option".

use tftpd::proto::{Blksize, OackError, Outcome};

use crate::side::{both, client, refusal, server};

const COMPLETE: Outcome = Outcome::Completed { last_ack: true };

/// "Blocksize Option Specification": 8 to 65464, as decimal digits.
#[test]
fn block_sizes_go_from_8_to_65464() {
    for blksize in ["8", "512", "1428", "65464"] {
        server(
            0,
            &format!(
                "+0 > RRQ file octet blksize={blksize}
                 +0 < OACK blksize={blksize}"
            ),
        );
    }
    assert_eq!(Blksize::new(7), None);
    assert_eq!(Blksize::new(65_465), None);
}

/// A value below the bounds, or one that is no number, is ignored; a value above is lowered, as a
/// server may.
#[test]
fn block_sizes_out_of_bounds_are_ignored_or_lowered() {
    for blksize in ["7", "0", "-1", "abc", "1e3", " 512"] {
        server(
            1,
            &format!(
                r#"
                +0  > RRQ "f" octet "blksize={blksize}"
                +0  < DATA 1 len 1
                "#
            ),
        );
    }
    for blksize in ["65465", "4294967808"] {
        server(
            0,
            &format!(
                "+0 > RRQ file octet blksize={blksize}
                 +0 < OACK blksize=65464"
            ),
        );
    }
}

/// "Blocksize Option Specification": the server answers with the same or a smaller value; the client
/// refuses a larger one.
#[test]
fn a_client_accepts_a_smaller_block_size_and_no_larger_one() {
    let client = client(
        0,
        r#"
        +0  > RRQ "file" octet blksize=1428
        +0  < OACK blksize=1024
        +0  > ACK 0
        +0  < DATA 1 len 1024
        +0  > ACK 1
        +0  < DATA 2 len 1023
        +0  > ACK 2
        "#,
    );
    assert_eq!(client.stored().len(), 2047);
    let larger = refusal(
        r#"
        +0  > RRQ "file" octet blksize=1428
        +0  < OACK blksize=1429
        "#,
    );
    assert_eq!(larger, Some(OackError::Raised("blksize")));
    let zero = refusal(
        r#"
        +0  > WRQ "file" octet blksize=1428
        +0  < OACK blksize=0
        "#,
    );
    assert_eq!(zero, Some(OackError::BadValue("blksize")));
}

/// "Blocksize Option Specification", example: a read in blocks of 1428 bytes.
#[test]
fn blocks_have_the_negotiated_size() {
    server(
        3000,
        r#"
        +0  > RRQ "file" octet blksize=1428
        +0  < OACK blksize=1428
        +0  > ACK 0
        +0  < DATA 1 len 1428
        +0  > ACK 1
        +0  < DATA 2 len 1428
        +0  > ACK 2
        +0  < DATA 3 len 144
        +0  > ACK 3
        "#,
    )
    .assert_ended(&COMPLETE);
}

/// A block shorter than negotiated is the last one, even if it has 512 bytes; a full one never is.
#[test]
fn the_last_block_is_one_shorter_than_negotiated() {
    let mut server = server(
        0,
        r#"
        +0  > WRQ "file" octet blksize=1024
        +0  < OACK blksize=1024
        +0  > DATA 1 len 1024
        +0  < ACK 1
        +0  > DATA 2 len 512
        +0  < ACK 2
        "#,
    );
    server.idle();
    server.assert_ended(&COMPLETE);
    assert_eq!(server.stored().len(), 1536);
}

/// The smallest and the largest size in whole transfers, an exact multiple included.
#[test]
fn transfers_with_the_smallest_and_the_largest_blocks_complete() {
    for (blksize, size) in [(8, 16), (8, 17), (65_464, 65_464), (65_464, 65_465)] {
        let mut script = format!(
            "+0 > RRQ file octet blksize={blksize}
             +0 < OACK blksize={blksize}
             +0 > ACK 0\n"
        );
        for number in 1..=size / blksize + 1 {
            let length = (size - (number - 1) * blksize).min(blksize);
            let lines = format!("+0 < DATA {number} len {length}\n+0 > ACK {number}\n");
            script.push_str(&lines);
        }
        let [mut server, client] = both(size, &script);
        server.assert_ended(&COMPLETE);
        assert_eq!(client.stored().len(), size);
    }
}

/// A block larger than negotiated violates the protocol, and is answered with ERROR 4.
#[test]
fn a_block_larger_than_negotiated_is_refused_and_not_stored() {
    let mut client = client(
        0,
        r#"
        +0  > RRQ "file" octet blksize=1024
        +0  < OACK blksize=512
        +0  > ACK 0
        +0  < DATA 1 len 1024
        +0  > ERROR 4 "Illegal TFTP operation"
        "#,
    );
    client.assert_ended(&Outcome::Violation("a block is larger than agreed"));
    assert_eq!(client.stored(), b"");
}
