//! RFC 2349, "TFTP Timeout Interval and Transfer Size Options".

use std::time::Duration;

use tftpd::proto::{ErrorCode, OackError, Outcome};

use crate::side::{bytes, client, refusal, request_of, server};

/// "Timeout Interval Option": 1 to 255 seconds; the answer is the same number.
#[test]
fn a_timeout_is_acknowledged_unchanged() {
    for option in ["timeout=1", "timeout=5", "timeout=255"] {
        server(
            1,
            &format!(
                "+0 > RRQ file octet {option}
                 +0 < OACK {option}"
            ),
        );
    }
}

/// "Timeout Interval Option": a value out of bounds is ignored, never clamped.
#[test]
fn a_timeout_out_of_bounds_is_ignored() {
    for option in ["timeout=0", "timeout=256", "timeout=-1", "timeout=5s"] {
        server(
            1,
            &format!(
                "+0 > RRQ file octet {option}
                 +0 < DATA 1 len 1"
            ),
        );
    }
}

/// "Timeout Interval Option": a client must not accept another value than it requested.
#[test]
fn a_client_refuses_a_timeout_that_was_changed() {
    client(
        0,
        r#"
        +0  > RRQ "file" octet timeout=5
        +0  < OACK timeout=5
        +0  > ACK 0
        "#,
    );
    for script in [
        r#"
        +0  > RRQ "file" octet timeout=5
        +0  < OACK timeout=3
        "#,
        r#"
        +0  > WRQ "file" octet timeout=5
        +0  < OACK timeout=6
        "#,
    ] {
        assert_eq!(refusal(script), Some(OackError::TimeoutChanged));
    }
}

/// The negotiated timeout limits the wait of a side; with a measured round trip it waits less.
#[test]
fn the_negotiated_timeout_is_the_longest_wait() {
    let mut server = server(
        5000,
        r#"
        +0    > RRQ "file" octet timeout=2
        +0    < OACK timeout=2
        +3ms  > ACK 0
        +0    < DATA 1 len 512
        "#,
    );
    let mut longest = Duration::ZERO;
    while server.outcome().is_none() {
        longest = longest.max(server.idle());
        if server.outcome().is_none() {
            server.run("+timeout < DATA 1 len 512");
        }
    }
    // An eighth more is jitter.
    assert!(longest >= Duration::from_secs(2), "{longest:?}");
    assert!(longest <= Duration::from_millis(2250), "{longest:?}");
}

/// "Transfer Size Option", read: the client sends 0, and the answer is the size in bytes.
#[test]
fn a_read_request_with_tsize_is_answered_with_the_size() {
    for size in [673_312, 0] {
        server(
            size,
            &format!(
                "+0 > RRQ file octet tsize=0
                 +0 < OACK tsize={size}"
            ),
        );
    }
}

/// A value other than 0 in a read request is no size that the client could have; the answer is the
/// real one.
#[test]
fn a_nonzero_tsize_in_a_read_request_is_answered_with_the_size() {
    server(
        5,
        r#"
        +0  > RRQ "file" octet tsize=77
        +0  < OACK tsize=5
        "#,
    );
}

/// "Transfer Size Option", read: a client for which the file is too large refuses with ERROR 3.
#[test]
fn a_reader_may_refuse_a_file_that_is_too_large() {
    let server = server(
        9000,
        r#"
        +0  > RRQ "file" octet tsize=0
        +0  < OACK tsize=9000
        +0  > ERROR 3 "Disk full or allocation exceeded"
        "#,
    );
    assert!(matches!(
        server.outcome(),
        Some(Outcome::PeerError {
            code: ErrorCode::DiskFull,
            ..
        })
    ));
}

/// "Transfer Size Option", write: the client sends the size and the server echoes it.
#[test]
fn the_tsize_of_a_write_request_is_echoed() {
    server(
        0,
        r#"
        +0  > WRQ "file" octet tsize=11
        +0  < OACK tsize=11
        +0  > DATA 1 len 11
        +0  < ACK 1
        "#,
    );
}

/// "Transfer Size Option", write: the size is available before the first block, so that a file too
/// large is refused with ERROR 3 instead of being received.
#[test]
fn the_size_of_an_upload_is_available_before_its_first_block() {
    let request = bytes("WRQ file octet tsize=5368709120 blksize=1428");
    assert_eq!(request_of(&request).options.tsize, Some(5 << 30));
}

/// Sizes have as many digits as they need: 4 GiB is no bound.
#[test]
fn sizes_beyond_32_bits_are_supported() {
    server(
        0,
        r#"
        +0  > WRQ "file" octet tsize=5368709120
        +0  < OACK tsize=5368709120
        "#,
    );
    client(
        0,
        r#"
        +0  > RRQ "file" octet tsize=0
        +0  < OACK tsize=5368709120
        +0  > ACK 0
        "#,
    );
}
