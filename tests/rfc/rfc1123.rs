//! RFC 1123, "Requirements for Internet Hosts", §4.2: its corrections of TFTP.

use std::time::Duration;

use tftpd::proto::Mode;

use crate::side::{request_of, server};

/// §4.2.2.1: mode `mail` SHOULD NOT be supported; it is decoded as a mode of its own, to be refused.
#[test]
fn mode_mail_is_recognised() {
    let request = request_of(b"\x00\x02someone@host\x00mail\x00");
    assert_eq!(request.mode, Mode::Mail);
}

/// §4.2.3.1, the Sorcerer's Apprentice: the sender never sends a block for a duplicate ACK.
#[test]
fn a_duplicate_ack_never_triggers_data() {
    let mut server = server(
        8 * 512,
        r#"
        +0        > RRQ "file" octet
        +0        < DATA 1 len 512
        +100ms    > ACK 1
        +0        < DATA 2 len 512
        # Block 2 is late, not lost: its copy brings a second ACK 2, and so would each that follows.
        +timeout  < DATA 2 len 512
        "#,
    );
    for number in 2..=8_u16 {
        let next = number + 1;
        let length = if next == 9 { 0 } else { 512 };
        server.run(&format!(
            "+5ms  > ACK {number}
             +0    < DATA {next} len {length}
             +40ms > ACK {number}"
        ));
    }
}

/// §4.2.3.1: the receiver may acknowledge a duplicate block, because its ACK may be lost, and its own
/// duplicate ACKs do no harm.
#[test]
fn a_duplicate_block_moves_the_receiver_no_further() {
    let server = server(
        0,
        r#"
        +0     > WRQ "file" octet
        +0     < ACK 0
        +10ms  > DATA 1 len 512
        +0     < ACK 1
        +50ms  > DATA 1 len 512
        +0     < ACK 1
        +0     > DATA 2 len 3
        +0     < ACK 2
        "#,
    );
    assert_eq!(server.stored().len(), 515);
}

/// §4.2.3.2: the timeout MUST be adaptive, and at the least back off exponentially.
#[test]
fn the_timeout_follows_the_path_and_backs_off() {
    let first_wait = |round_trip_ms| {
        let mut server = server(
            50_000,
            r#"
            +0 > RRQ "file" octet
            +0 < DATA 1 len 512
            "#,
        );
        for number in 1..=20_u16 {
            let next = number + 1;
            server.run(&format!(
                "+{round_trip_ms}ms > ACK {number}
                 +0 < DATA {next} len 512"
            ));
        }
        let first = server.idle();
        server.run("+timeout < DATA 21 len 512");
        let second = server.idle();
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
