//! Transfers as streams, and what happens when they are dropped.

use std::time::Duration;

use tftpd::{Client, client::TransferError, proto::ErrorCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    allocator, ms, patience, plain,
    script::{ack, content, data, error, oack, play},
    windowed,
};

#[tokio::test]
async fn a_file_is_read_while_it_arrives_and_acknowledged_as_it_is_read() {
    let (read_on, may_read) = tokio::sync::oneshot::channel();
    let (server, script) = play(move |port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=2"));
        // Nothing moves before it is read.
        assert_eq!(port.within(ms(300)), None);
        let _ = read_on.send(());
        port.expect(&ack(0));
        port.send(&data(1, b"12345678"));
        port.send(&data(2, b"abcdefgh"));
        port.expect(&ack(2));
        port.send(&data(3, b"."));
        port.expect(&ack(3));
    });
    // Less than it has to wait for its reader.
    let client = windowed(2).patience(patience(ms(200)));
    let mut reader = client.open_read(server, "x").await.expect("opened");
    may_read.await.expect("the script says so");
    let mut text = String::new();
    reader.read_to_string(&mut text).await.expect("a file");
    assert_eq!(text, "12345678abcdefgh.");
    assert_eq!(reader.transferred().expect("it is over").size, 17);
    script.end();
}

#[tokio::test]
async fn what_goes_wrong_while_reading_is_an_error_after_what_came_before() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=2"));
        port.expect(&ack(0));
        port.send(&data(1, b"12345678"));
        port.send(&error(ErrorCode::NotDefined));
    });
    let mut reader = windowed(2).open_read(server, "x").await.expect("opened");
    let mut bytes = Vec::new();
    let failed = reader.read_to_end(&mut bytes).await.expect_err("an ERROR");
    assert_eq!(bytes, b"12345678");
    let inner = failed.into_inner().expect("an inner error");
    let inner: Box<TransferError> = inner.downcast().expect("of the transfer");
    assert_eq!(inner.code(), Some(ErrorCode::NotDefined));
    assert!(
        reader.read_to_end(&mut bytes).await.is_err(),
        "and it stays one"
    );
    script.end();
}

#[tokio::test]
async fn a_file_is_sent_while_it_is_written_and_done_after_shutdown() {
    let file = content(20);
    let expected = file.clone();
    let (server, script) = play(move |port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=1"));
        for (block, payload) in (1..).zip(expected.chunks(8)) {
            port.expect(&data(block, payload));
            port.send(&ack(block));
        }
    });
    let mut writer = windowed(1)
        .open_write(server, "x", None)
        .await
        .expect("opened");
    for byte in &file {
        writer.write_all(&[*byte]).await.expect("taken");
    }
    assert!(writer.transferred().is_none());
    writer.shutdown().await.expect("sent");
    assert_eq!(writer.transferred().expect("it is over").size, 20);
    script.end();
}

#[tokio::test]
async fn a_refusal_in_the_middle_reaches_the_writer() {
    let (server, script) = play(move |port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=1"));
        port.expect(&data(1, b"12345678"));
        port.send(&error(ErrorCode::DiskFull));
    });
    let mut writer = windowed(1)
        .open_write(server, "x", None)
        .await
        .expect("opened");
    let failed = loop {
        if let Err(failed) = writer.write_all(b"12345678").await {
            break failed;
        }
    };
    let inner = failed
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TransferError>());
    assert!(inner.expect("of the transfer").is_disk_full());
    assert!(writer.shutdown().await.is_err());
    script.end();
}

#[tokio::test]
async fn dropping_a_transfer_gives_its_port_back_wherever_it_stands() {
    let ports = allocator();
    let client = Client::with_allocator(ports.clone()).options(tftpd::proto::Options::default());
    let (silent, script) = play(|mut port| drop(port.request()));
    {
        let asking = client.get_bytes(silent, "x");
        tokio::pin!(asking);
        assert!(tokio::time::timeout(ms(50), &mut asking).await.is_err());
        assert_eq!(ports.stats().leased, 1);
    }
    assert_eq!(ports.stats().leased, 0, "dropped while asking");
    script.end();

    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
        // The client sends no ERROR.
        assert_eq!(port.within(ms(100)), None);
    });
    let mut reader = client.open_read(server, "x").await.expect("opened");
    reader.read_exact(&mut [0; 512]).await.expect("a block");
    assert_eq!(ports.stats().leased, 1);
    drop(reader);
    assert_eq!(ports.stats().leased, 0, "dropped while reading");
    script.end();

    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
    });
    let mut writer = client.open_write(server, "x", None).await.expect("opened");
    writer.write_all(&[7; 512]).await.expect("taken");
    assert_eq!(ports.stats().leased, 1);
    drop(writer);
    assert_eq!(ports.stats().leased, 0, "dropped while writing");
    script.end();
}

#[tokio::test]
async fn a_slow_source_is_not_taken_for_a_silent_server() {
    let (go_on, may_go_on) = tokio::sync::oneshot::channel();
    let (server, script) = play(move |port| {
        let port = port.accept();
        port.send(&ack(0));
        port.expect(&data(1, &[7; 512]));
        port.send(&ack(1));
        // Longer than the client bears silence.
        assert_eq!(port.within(ms(400)), None);
        let _ = go_on.send(());
        port.expect(&data(2, b"end"));
        port.send(&ack(2));
    });
    let (mut to, mut source) = tokio::io::duplex(600);
    let client = plain()
        .patience(patience(ms(200)))
        .answer_within(Duration::from_secs(1));
    let writing = async move {
        to.write_all(&[7; 512]).await.expect("taken");
        may_go_on.await.expect("the script says so");
        to.write_all(b"end").await.expect("taken");
    };
    let (done, ()) = tokio::join!(client.put(server, "x", &mut source, None), writing);
    assert_eq!(done.expect("sent").size, 515);
    script.end();
}
