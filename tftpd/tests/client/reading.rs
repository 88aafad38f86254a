//! Fetching: what is lost, repeated, foreign or wrong.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tftpd::{
    client::TransferError,
    proto::{Blksize, ErrorCode, Mode, Options},
};
use tokio::io::AsyncWrite;

use crate::{
    client, plain,
    script::{Port, ack, content, data, error, oack, play, rrq},
    windowed,
};

#[tokio::test]
async fn a_server_without_options_is_read_block_by_block() {
    let file = content(1024);
    let sent = file.clone();
    let (server, script) = play(move |mut port: Port| {
        let asked = port.request();
        assert_eq!(asked, rrq("x", "blksize=1428 tsize=0 windowsize=16"));
        let port = port.transfer();
        for block in 1..=2 {
            port.send(&data(block, &sent[usize::from(block - 1) * 512..][..512]));
            port.expect(&ack(block));
        }
        port.send(&data(3, b""));
        port.expect(&ack(3));
    });
    assert!(client().get_bytes(server, "x").await.expect("a file") == file);
    script.end();
}

#[tokio::test]
async fn a_request_that_is_lost_comes_again_from_the_same_port() {
    let (server, script) = play(|mut port| {
        let asked = port.request();
        port.expect(&asked);
        let port = port.transfer();
        port.send(&data(1, b"late"));
        port.expect(&ack(1));
    });
    let mut sink = Vec::new();
    let done = plain().get(server, "x", &mut sink).await.expect("a file");
    assert_eq!((sink.as_slice(), done.resent), (&b"late"[..], 1));
    script.end();
}

#[tokio::test]
async fn a_gap_in_a_window_is_reported_once_and_filled() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=4"));
        port.expect(&ack(0));
        for block in [1, 3, 4] {
            port.send(&data(block, b"12345678"));
        }
        port.expect(&ack(1));
        for block in [2, 3, 4, 5] {
            port.send(&data(block, b"abcdefgh"));
        }
        port.expect(&ack(5));
        port.send(&data(6, b"."));
        port.expect(&ack(6));
    });
    let bytes = windowed(4).get_bytes(server, "x").await.expect("a file");
    assert_eq!(bytes, b"12345678abcdefghabcdefghabcdefghabcdefgh.");
    script.end();
}

#[tokio::test]
async fn an_acknowledgement_that_is_lost_is_sent_again() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        // Simulates a loss: nothing is sent until the packet is repeated.
        port.expect(&ack(1));
        port.send(&data(2, b"end"));
        port.expect(&ack(2));
    });
    assert_eq!(
        plain().get_bytes(server, "x").await.expect("a file").len(),
        515
    );
    script.end();
}

#[tokio::test]
async fn an_oack_that_comes_again_is_acknowledged_again() {
    let (server, script) = play(|port| {
        let port = port.accept();
        for _ in 0..2 {
            port.send(&oack("blksize=8 windowsize=4"));
            port.expect(&ack(0));
        }
        port.send(&data(1, b"end"));
        port.expect(&ack(1));
    });
    assert_eq!(
        windowed(4).get_bytes(server, "x").await.expect("a file"),
        b"end"
    );
    script.end();
}

#[tokio::test]
async fn a_foreign_port_is_refused_once_and_its_blocks_are_not_taken() {
    let (server, script) = play(|port| {
        let port = port.accept();
        let foreign = port.transfer();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        for _ in 0..2 {
            foreign.send(&data(2, b"forged"));
        }
        foreign.expect(&error(ErrorCode::UnknownTransferId));
        port.send(&data(2, b"real"));
        port.expect(&ack(2));
        assert_eq!(foreign.within(crate::ms(50)), None, "answered once");
    });
    let bytes = plain().get_bytes(server, "x").await.expect("a file");
    assert_eq!(bytes[512..], *b"real");
    script.end();
}

#[tokio::test]
async fn of_two_ports_that_answer_one_request_the_second_is_refused() {
    let (server, script) = play(|port| {
        let (first, second) = {
            let mut port = port;
            port.request();
            (port.transfer(), port.transfer())
        };
        first.send(&oack("blksize=8"));
        second.send(&oack("blksize=8"));
        first.expect(&ack(0));
        second.expect(&error(ErrorCode::UnknownTransferId));
        first.send(&data(1, b"first"));
        first.expect(&ack(1));
    });
    assert_eq!(
        windowed(1).get_bytes(server, "x").await.expect("a file"),
        b"first"
    );
    script.end();
}

#[tokio::test]
async fn an_error_from_a_foreign_address_ends_nothing_and_is_not_answered() {
    let (server, script) = play(|port| {
        let port = port.accept();
        let foreign = port.transfer();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        foreign.send(&error(ErrorCode::DiskFull));
        port.send(&data(2, b""));
        port.expect(&ack(2));
        assert_eq!(foreign.within(crate::ms(50)), None);
    });
    assert_eq!(
        plain().get_bytes(server, "x").await.expect("a file").len(),
        512
    );
    script.end();
}

#[tokio::test]
async fn an_oack_that_takes_liberties_is_refused_with_error_8() {
    for liberty in [
        "blksize=16",
        "blksize=8 tsize=5",
        "blksize=8 blksize=8",
        "blksize=x",
    ] {
        let (server, script) = play(move |port| {
            let port = port.accept();
            port.send(&oack(liberty));
            port.expect(&error(ErrorCode::OptionNegotiation));
        });
        let failed = windowed(1).get_bytes(server, "x").await;
        assert!(
            matches!(failed, Err(TransferError::Options(_))),
            "{liberty}"
        );
        script.end();
    }
}

#[tokio::test]
async fn a_server_that_refuses_options_is_asked_without() {
    let (server, script) = play(|mut port| {
        assert_eq!(port.request(), rrq("x", "blksize=8 windowsize=1"));
        port.send(&error(ErrorCode::OptionNegotiation));
        assert_eq!(port.request(), rrq("x", ""));
        port.send(&data(1, b"plain"));
        port.expect(&ack(1));
    });
    assert_eq!(
        windowed(1).get_bytes(server, "x").await.expect("a file"),
        b"plain"
    );
    script.end();
}

#[tokio::test]
async fn a_file_that_is_not_as_long_as_announced_is_a_failure() {
    for announced in [2, 4] {
        let (server, script) = play(move |port| {
            let port = port.accept();
            port.send(&oack(&format!("tsize={announced}")));
            port.expect(&ack(0));
            port.send(&data(1, b"123"));
            port.expect(&ack(1));
        });
        let failed = client().get_bytes(server, "x").await.expect_err("a lie");
        let TransferError::Size {
            announced: said,
            found: 3,
            ..
        } = failed
        else {
            panic!("{failed}")
        };
        assert_eq!(said, announced);
        script.end();
    }
}

#[tokio::test]
async fn an_error_in_mid_transfer_is_reported_with_its_text() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        port.send(b"\x00\x05\x00\x00the disk is gone\x00");
    });
    let failed = plain().get_bytes(server, "x").await.expect_err("an ERROR");
    assert_eq!(
        failed.to_string(),
        "the server answered: error 0 (not defined): the disk is gone"
    );
    script.end();
}

#[tokio::test]
async fn a_block_larger_than_agreed_ends_the_transfer_with_error_4() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("blksize=8"));
        port.expect(&ack(0));
        port.send(&data(1, b"123456789"));
        port.expect(&error(ErrorCode::IllegalOperation));
    });
    let failed = windowed(1).get_bytes(server, "x").await;
    assert!(matches!(failed, Err(TransferError::Protocol(_))));
    script.end();
}

#[tokio::test]
async fn netascii_arrives_as_local_text_although_a_pair_is_cut_in_two() {
    let (server, script) = play(|mut port| {
        // The client sends no tsize: some servers count the bytes on the wire, others those of the
        // file, and some refuse the request.
        assert_eq!(port.request(), b"\x00\x01x\x00netascii\x00blksize\x008\x00");
        let port = port.transfer();
        port.send(&oack("blksize=8"));
        port.expect(&ack(0));
        port.send(&data(1, b"1234567\r"));
        port.expect(&ack(1));
        port.send(&data(2, b"\nab\r\0\r"));
        port.expect(&ack(2));
    });
    let options = Options::default()
        .with_blksize(Blksize::new(8))
        .with_tsize(0);
    let client = client().options(options).mode(Mode::Netascii);
    let mut text = Vec::new();
    let done = client.get(server, "x", &mut text).await.expect("a file");
    assert_eq!(text, b"1234567\nab\r\r");
    assert_eq!(done.size, 12);
    script.end();
}

#[tokio::test]
async fn a_sink_that_fails_tells_the_server_why() {
    for (kind, code) in [
        (io::ErrorKind::StorageFull, ErrorCode::DiskFull),
        (io::ErrorKind::BrokenPipe, ErrorCode::NotDefined),
    ] {
        let (server, script) = play(move |port| {
            let port = port.accept();
            port.send(&data(1, &[7; 512]));
            port.expect(&error(code));
        });
        let failed = plain().get(server, "x", &mut Broken(kind)).await;
        assert!(matches!(failed, Err(TransferError::Sink(why)) if why.kind() == kind));
        script.end();
    }
}

#[tokio::test]
async fn progress_is_reported_block_by_block_with_the_size() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("tsize=515 blksize=512"));
        port.expect(&ack(0));
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        port.send(&data(2, b"end"));
        port.expect(&ack(2));
    });
    let (tell, told) = std::sync::mpsc::channel();
    let options = Options::default()
        .with_blksize(Blksize::new(512))
        .with_tsize(0);
    let client = client().options(options).on_progress(move |progress| {
        let _ = tell.send((progress.transferred, progress.size));
    });
    client.get_bytes(server, "x").await.expect("a file");
    drop(client);
    assert_eq!(
        told.iter().collect::<Vec<_>>(),
        [(512, Some(515)), (515, Some(515))]
    );
    script.end();
}

/// A sink that fails.
struct Broken(io::ErrorKind);

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(self.0.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
