//! Sending: what is refused, lost, or never confirmed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tftpd::{
    client::TransferError,
    proto::{Blksize, ErrorCode, Mode, Options},
};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::{
    client, ms, patience, plain,
    script::{ack, content, data, error, oack, play, wrq},
    windowed,
};

#[tokio::test]
async fn a_server_without_options_is_sent_block_by_block() {
    let file = content(1024);
    let expected = file.clone();
    let (server, script) = play(move |mut port| {
        let asked = port.request();
        assert_eq!(asked, wrq("x", "blksize=1428 tsize=1024 windowsize=16"));
        let port = port.transfer();
        port.send(&ack(0));
        for block in 1..=2 {
            port.expect(&data(
                block,
                &expected[usize::from(block - 1) * 512..][..512],
            ));
            port.send(&ack(block));
        }
        port.expect(&data(3, b""));
        port.send(&ack(3));
    });
    let done = client().put_bytes(server, "x", &file).await.expect("sent");
    assert_eq!((done.size, done.resent), (1024, 0));
    script.end();
}

#[tokio::test]
async fn an_unknown_size_is_not_announced_and_an_empty_file_is_one_empty_block() {
    let (server, script) = play(|mut port| {
        assert_eq!(port.request(), wrq("x", "blksize=1428 windowsize=16"));
        let port = port.transfer();
        port.send(&oack("blksize=1428 windowsize=16"));
        port.expect(&data(1, b""));
        port.send(&ack(1));
    });
    let done = client()
        .put(server, "x", &mut tokio::io::empty(), None)
        .await;
    assert_eq!(done.expect("sent").size, 0);
    script.end();
}

#[tokio::test]
async fn what_is_lost_of_a_window_is_sent_again_although_the_source_is_read_once() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=3"));
        port.expect(&data(1, b"aaaaaaaa"));
        port.expect(&data(2, b"bbbbbbbb"));
        port.expect(&data(3, b"cccccccc"));
        // Simulates the loss of the second block.
        port.send(&ack(1));
        port.expect(&data(2, b"bbbbbbbb"));
        port.expect(&data(3, b"cccccccc"));
        port.expect(&data(4, b"dddddddd"));
        // Simulates the loss of all: the client repeats them.
        port.expect(&data(2, b"bbbbbbbb"));
        port.expect(&data(3, b"cccccccc"));
        port.expect(&data(4, b"dddddddd"));
        port.send(&ack(4));
        port.expect(&data(5, b"e"));
        port.send(&ack(5));
    });
    let mut source = &b"aaaaaaaabbbbbbbbccccccccdddddddde"[..];
    let done = windowed(3)
        .put(server, "x", &mut source, None)
        .await
        .expect("sent");
    assert_eq!((done.size, done.resent), (33, 5));
    script.end();
}

#[tokio::test]
async fn an_acknowledgement_that_comes_twice_doubles_nothing() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        port.send(&ack(1));
        port.send(&ack(1));
        port.expect(&data(2, &[7; 88]));
        assert_eq!(port.within(ms(5)), None);
        port.send(&ack(2));
    });
    plain()
        .put_bytes(server, "x", [7; 600])
        .await
        .expect("sent");
    script.end();
}

#[tokio::test]
async fn a_refusal_is_reported_by_its_code() {
    type Is = fn(&TransferError) -> bool;
    for (code, is) in [
        (ErrorCode::AccessViolation, TransferError::is_denied as Is),
        (ErrorCode::DiskFull, TransferError::is_disk_full),
        (ErrorCode::FileExists, TransferError::is_exists),
        (ErrorCode::FileNotFound, TransferError::is_not_found),
    ] {
        let (server, script) = play(move |mut port| {
            port.request();
            port.send(&error(code));
        });
        let failed = client()
            .put_bytes(server, "x", b"x")
            .await
            .expect_err("refused");
        assert!(is(&failed), "{failed}");
        script.end();
    }
}

#[tokio::test]
async fn a_disk_full_in_mid_transfer_is_reported() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        port.send(&error(ErrorCode::DiskFull));
    });
    let failed = plain()
        .put_bytes(server, "x", [7; 600])
        .await
        .expect_err("full");
    assert!(failed.is_disk_full(), "{failed}");
    script.end();
}

#[tokio::test]
async fn a_file_is_not_sent_until_its_last_block_is_acknowledged() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, b"all of it"));
        // Two transmissions, then the port closes.
        port.expect(&data(1, b"all of it"));
    });
    let failed = plain().put_bytes(server, "x", b"all of it").await;
    assert!(
        matches!(failed, Err(TransferError::Unconfirmed { sent: 9 })),
        "{failed:?}"
    );
    script.end();
}

#[tokio::test]
async fn the_last_acknowledgement_may_be_lost_if_the_server_repeats_it() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, b"end"));
        port.expect(&data(1, b"end"));
        port.send(&ack(1));
    });
    let done = plain().put_bytes(server, "x", b"end").await.expect("sent");
    assert_eq!(done.resent, 1);
    script.end();
}

#[tokio::test]
async fn a_source_that_is_not_as_long_as_announced_never_looks_complete() {
    for size in [8, 10] {
        let (server, script) = play(move |mut port| {
            assert_eq!(port.request(), wrq("x", &format!("blksize=8 tsize={size}")));
            let port = port.transfer();
            port.send(&oack(&format!("blksize=8 tsize={size}")));
            port.expect(&data(1, b"12345678"));
            port.send(&ack(1));
            port.expect(&error(ErrorCode::NotDefined));
        });
        let options = Options::default()
            .with_blksize(Blksize::new(8))
            .with_tsize(0);
        let mut source = &b"123456789"[..];
        let failed = client()
            .options(options)
            .put(server, "x", &mut source, Some(size))
            .await;
        assert!(
            matches!(failed, Err(TransferError::Size { found: 9, .. })),
            "{failed:?}"
        );
        script.end();
    }
}

#[tokio::test]
async fn a_source_that_fails_ends_the_transfer_with_an_error() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        port.send(&ack(1));
        port.expect(&error(ErrorCode::NotDefined));
    });
    let mut source = (&[7; 600][..]).chain(Broken);
    let failed = plain().put(server, "x", &mut source, None).await;
    assert!(
        matches!(failed, Err(TransferError::Source(_))),
        "{failed:?}"
    );
    script.end();
}

#[tokio::test]
async fn netascii_leaves_with_network_line_ends_and_without_a_size() {
    let (server, script) = play(|mut port| {
        assert_eq!(
            port.request(),
            b"\x00\x02x\x00netascii\x00blksize\x008\x00windowsize\x002\x00"
        );
        let port = port.transfer();
        port.send(&oack("blksize=8 windowsize=2"));
        port.expect(&data(1, b"1234567\r"));
        port.expect(&data(2, b"\nab\r\0"));
        port.send(&ack(2));
    });
    let client = windowed(2).mode(Mode::Netascii);
    client
        .put_bytes(server, "x", b"1234567\nab\r")
        .await
        .expect("sent");
    script.end();
}

#[tokio::test]
async fn an_ack_from_a_foreign_address_has_no_effect() {
    let (server, script) = play(|port| {
        let port = port.accept();
        let foreign = port.transfer();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        foreign.send(&ack(1));
        foreign.expect(&error(ErrorCode::UnknownTransferId));
        port.expect(&data(1, &[7; 512]));
        port.send(&ack(1));
        port.expect(&data(2, b""));
        port.send(&ack(2));
    });
    plain()
        .put_bytes(server, "x", [7; 512])
        .await
        .expect("sent");
    script.end();
}

#[tokio::test]
async fn a_server_that_takes_nothing_more_is_given_up() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        port.send(&ack(1));
        port
    });
    let client = plain().patience(patience(ms(200)));
    let failed = client.put_bytes(server, "x", [7; 2000]).await;
    assert!(
        matches!(failed, Err(TransferError::Silence { transferred: 512 })),
        "{failed:?}"
    );
    script.end();
}

/// A source that cannot be read.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}
