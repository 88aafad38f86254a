//! RFC 2349, "TFTP Timeout Interval and Transfer Size Options".

use std::time::Duration;

use tftpd::proto::{ErrorCode, OackError, Outcome};

use crate::conversation::{
    ack, bytes, client_of_read, client_of_write, data, error, oack, request_of, rrq, server, wrq,
};

/// "Timeout Interval Option": 1 to 255 seconds; the answer is the same number.
#[test]
fn a_time_out_comes_back_unchanged() {
    for option in ["timeout=1", "timeout=5", "timeout=255"] {
        server(&rrq(option), b"x").expect(oack(option));
    }
}

/// "Timeout Interval Option": what is out of bounds is treated as not asked, never clamped.
#[test]
fn a_time_out_out_of_bounds_is_ignored() {
    for option in ["timeout=0", "timeout=256", "timeout=-1", "timeout=5s"] {
        server(&rrq(option), b"x").expect(data(1, b"x"));
    }
}

/// "Timeout Interval Option": a client must not accept another value than it asked for.
#[test]
fn a_client_refuses_a_time_out_that_was_changed() {
    assert!(client_of_read("timeout=5", &oack("timeout=5")).is_ok());
    let changed = client_of_read("timeout=5", &oack("timeout=3"));
    assert_eq!(changed.err(), Some(OackError::TimeoutChanged));
    let changed = client_of_write("timeout=5", &oack("timeout=6"), b"");
    assert_eq!(changed.err(), Some(OackError::TimeoutChanged));
}

/// The agreed time-out bounds how long a side waits; with a measured round trip it waits less.
#[test]
fn the_agreed_time_out_is_the_longest_wait() {
    let mut server = server(&rrq("timeout=2"), &bytes(5000));
    server
        .expect(oack("timeout=2"))
        .after(3)
        .recv(ack(0))
        .expect_blocks(1, 1);
    let mut longest = Duration::ZERO;
    while server.outcome().is_none() {
        longest = longest.max(server.length_of_silence());
        if server.outcome().is_none() {
            server.expect_blocks(1, 1);
        }
    }
    // An eighth more is jitter.
    assert!(longest >= Duration::from_secs(2), "{longest:?}");
    assert!(longest <= Duration::from_millis(2250), "{longest:?}");
}

/// "Transfer Size Option", read: the client asks with 0 and is told the size in bytes.
#[test]
fn a_reader_is_told_the_size() {
    server(&rrq("tsize=0"), &bytes(673_312)).expect(oack("tsize=673312"));
    server(&rrq("tsize=0"), b"").expect(oack("tsize=0"));
}

/// Other values than 0 in a read request are no size the client could know; it is told the right one.
#[test]
fn a_reader_that_names_a_size_is_told_the_real_one() {
    server(&rrq("tsize=77"), &bytes(5)).expect(oack("tsize=5"));
}

/// "Transfer Size Option", read: a client for which the file is too large refuses with ERROR 3.
#[test]
fn a_reader_may_refuse_a_file_that_is_too_large() {
    let mut server = server(&rrq("tsize=0"), &bytes(9000));
    server
        .expect(oack("tsize=9000"))
        .recv(error(ErrorCode::DiskFull));
    assert!(matches!(
        server.outcome(),
        Some(Outcome::PeerError {
            code: ErrorCode::DiskFull,
            ..
        })
    ));
    server.expect_nothing();
}

/// "Transfer Size Option", write: the client names the size and the server echoes it.
#[test]
fn a_writer_names_the_size_and_it_is_echoed() {
    let mut server = server(&wrq("tsize=11"), b"");
    server
        .expect(oack("tsize=11"))
        .recv(data(1, b"hello world"))
        .expect(ack(1));
}

/// "Transfer Size Option", write: the size is known before the first block, so that a file too large
/// is refused with ERROR 3 instead of being received.
#[test]
fn the_size_of_a_file_to_be_written_is_known_before_its_first_block() {
    let request = wrq("tsize=5368709120 blksize=1428");
    assert_eq!(request_of(&request).options.tsize, Some(5 << 30));
}

/// Sizes have as many digits as they need: 4 GiB is no bound.
#[test]
fn sizes_beyond_32_bits_are_carried() {
    server(&wrq("tsize=5368709120"), b"").expect(oack("tsize=5368709120"));
    assert!(client_of_read("tsize=0", &oack("tsize=5368709120")).is_ok());
}
