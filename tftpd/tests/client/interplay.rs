//! The client and our own server, both ways.

use std::{net::SocketAddr, time::Duration};

use tftpd::{
    Client, Listener, Server,
    backend::Memory,
    proto::{Blksize, Mode, Options, Windowsize},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use crate::{allocator, client, script::content};

#[tokio::test]
async fn files_around_every_boundary_are_sent_over_both_families() {
    let sizes = [0, 1, 511, 512, 513, 8 * 1428, 8 * 1428 + 1, 1 << 20];
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let ports = allocator();
        let files = Memory::new().writable(1 << 20);
        with_server(address, files.clone(), async |server| {
            for asked in [
                Options::default(),
                options(512, 1),
                options(1428, 8),
                options(65_464, 2),
                options(64, 64),
            ] {
                let client = Client::with_allocator(ports.clone()).options(asked);
                let small = asked == options(64, 64);
                for size in sizes.into_iter().filter(|size| !small || *size < 100_000) {
                    // Nothing there is replaced.
                    let name = format!("{size} with {asked}");
                    let sent = client.put_bytes(server, &name, content(size)).await;
                    assert_eq!(sent.expect(&name).size, size as u64);
                    assert!(files.read(&name) == Some(content(size)), "{name}");
                }
            }
        })
        .await;
        assert_eq!(ports.stats().leased, 0, "every port came back");
    }
}

#[tokio::test]
async fn text_goes_there_and_back_as_netascii() {
    let text = b"one\ntwo\r\nthree\r".repeat(300);
    let files = Memory::new().writable(1 << 20);
    with_server("127.0.0.1:0", files.clone(), async |server| {
        let client = client().mode(Mode::Netascii);
        let sent = client.put_bytes(server, "text", &text).await;
        assert_eq!(sent.expect("sent").size, text.len() as u64);
        assert_eq!(files.read("text").as_deref(), Some(text.as_slice()));
        let bytes = client.get_bytes(server, "text").await.expect("fetched");
        assert_eq!(bytes, text);
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_copied_from_one_name_to_another_while_it_runs() {
    let files = Memory::new().writable(1 << 20);
    with_server("127.0.0.1:0", files.clone(), async |server| {
        let client = client();
        let image = content(300_000);
        let sent = client.put_bytes(server, "image", &image).await;
        sent.expect("sent");
        let mut from = client.open_read(server, "image").await.expect("opened");
        assert_eq!(from.size(), Some(300_000));
        let mut to = client
            .open_write(server, "copy", from.size())
            .await
            .expect("opened");
        let copied = tokio::io::copy(&mut from, &mut to).await;
        assert_eq!(copied.expect("copied"), 300_000);
        to.shutdown().await.expect("the server has it");
        assert!(files.read("copy").as_deref() == Some(image.as_slice()));
        assert_eq!(from.read(&mut [0]).await.expect("still at its end"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_window_too_large_for_any_receive_buffer_is_asked_for_no_larger_than_it_can_be() {
    let files = Memory::new().with("x", content(5_000_000));
    with_server("127.0.0.1:0", files, async |server| {
        let client = client().options(options(65_464, 65_535));
        let mut sink = Vec::new();
        let done = client.get(server, "x", &mut sink).await.expect("fetched");
        assert!(sink == content(5_000_000));
        assert_eq!(done.resent, 0, "nothing was lost");
    })
    .await;
}

fn options(blksize: u16, windowsize: u16) -> Options {
    Options::default()
        .with_blksize(Blksize::new(blksize))
        .with_windowsize(Windowsize::new(windowsize))
        .with_tsize(0)
}

async fn with_server(address: &str, files: Memory, test: impl AsyncFnOnce(SocketAddr)) {
    let listener = Listener::bind(address.parse().expect("an address")).expect("bound");
    let address = listener.local_addr().expect("bound");
    let server = Server::builder()
        .backend(files)
        .on_record(|_| ())
        // Without a drain time: transfers that dally would delay the end.
        .drain(Duration::ZERO)
        .build()
        .expect("a server");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
    test(address).await;
    drop(stop);
    serving.await.expect("no panic").expect("served");
}
