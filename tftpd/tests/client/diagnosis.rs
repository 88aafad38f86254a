//! The client's errors for servers that do not answer properly, and probes.

#![expect(clippy::disallowed_methods, reason = "tests use the system directly")]

use std::{net::SocketAddr, time::Duration};

use tftpd::{
    Listener, Server,
    backend::Memory,
    client::TransferError,
    proto::{ErrorCode, Options},
    server::Ending,
};

use crate::{
    client, ms, patience, plain,
    script::{Port, ack, data, error, oack, play, rrq},
    windowed,
};

#[tokio::test]
async fn of_several_addresses_the_next_is_tried_when_nothing_listens() {
    let closed = Port::new("127.0.0.1:0").address();
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, b"found"));
        port.expect(&ack(1));
    });
    let addresses = [closed, server];
    let bytes = plain()
        .get_bytes(&addresses[..], "x")
        .await
        .expect("a file");
    assert_eq!(bytes, b"found");
    script.end();

    let failed = plain().get_bytes(&[closed, closed][..], "x").await;
    assert!(matches!(failed, Err(TransferError::NothingListens(at)) if at == closed));
    let failed = plain().get_bytes(&[][..], "x").await;
    assert!(matches!(failed, Err(TransferError::NoSuchHost(_))));
}

#[tokio::test]
async fn an_answer_from_another_address_is_named_and_refused() {
    let (server, script) = play(|mut port| {
        port.request();
        let elsewhere = port.beside("127.0.0.2:0");
        elsewhere.send(&data(1, b"x"));
        elsewhere.expect(&error(ErrorCode::UnknownTransferId));
        port
    });
    let failed = plain().answer_within(ms(200)).get_bytes(server, "x").await;
    let Err(TransferError::OtherAddress { asked, answered }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(asked, server);
    assert_eq!(answered.ip().to_string(), "127.0.0.2");
    script.end();
}

#[tokio::test]
async fn a_missing_answer_is_reported_at_the_deadline() {
    let silent = Port::new("127.0.0.1:0");
    let limit = ms(250);
    let failed = plain()
        .answer_within(limit)
        .get_bytes(silent.address(), "x")
        .await;
    let Err(TransferError::NoAnswer { server, waited }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!((server, waited), (silent.address(), limit));
}

#[tokio::test]
async fn a_server_that_falls_silent_after_the_first_block_is_given_up_early() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, &[7; 512]));
        port
    });
    let failed = plain().answer_within(ms(100)).get_bytes(server, "x").await;
    assert!(
        matches!(failed, Err(TransferError::Silence { transferred: 512 })),
        "{failed:?}"
    );
    script.end();
}

#[tokio::test]
async fn missing_blocks_after_the_options_have_an_error_of_their_own() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&oack("blksize=8 windowsize=2"));
        port
    });
    let failed = windowed(2)
        .answer_within(ms(100))
        .get_bytes(server, "x")
        .await;
    assert!(
        matches!(failed, Err(TransferError::NoBlock { blksize }) if blksize.bytes() == 8),
        "{failed:?}"
    );
    script.end();
}

#[tokio::test]
async fn a_path_that_loses_all_acks_has_an_error_of_its_own() {
    let (server, script) = play(|port| {
        let port = port.accept();
        // All packets of the client are lost.
        for _ in 0..3 {
            port.send(&data(1, &[7; 512]));
        }
        port
    });
    let client = plain().answer_within(ms(100)).patience(patience(ms(300)));
    let failed = client.get_bytes(server, "x").await;
    assert!(
        matches!(failed, Err(TransferError::OneWay { transferred: 512 })),
        "{failed:?}"
    );
    script.end();
}

#[tokio::test]
async fn a_server_that_dies_is_known_by_its_closed_port() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, &[7; 512]));
        port.expect(&ack(1));
    });
    let started = tokio::time::Instant::now();
    let failed = plain().get_bytes(server, "x").await;
    assert!(
        matches!(failed, Err(TransferError::Gone { transferred: 512 })),
        "{failed:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    script.end();
}

#[tokio::test]
async fn a_probe_learns_port_options_and_size_and_ends_with_error_8() {
    let (server, script) = play(|mut port| {
        assert_eq!(
            port.request(),
            rrq("x", "blksize=1428 tsize=0 windowsize=16")
        );
        let port = port.transfer();
        port.send(&oack("blksize=1024 tsize=70000"));
        port.expect(&error(ErrorCode::OptionNegotiation));
        assert_eq!(port.within(ms(50)), None, "and says no more");
    });
    let probe = client().probe(server, "x").await.expect("an answer");
    assert_eq!(probe.server.ip(), server.ip());
    assert_ne!(probe.server.port(), server.port());
    let options = probe.options.expect("an OACK");
    assert_eq!(options.to_string(), "blksize=1024 tsize=70000");
    assert_eq!((probe.size, probe.repeated), (Some(70_000), 0));
    assert!(probe.round_trip < Duration::from_secs(1));
    assert_eq!(probe.largest_unfragmented, Some(65_464), "loopback");
    script.end();
}

#[tokio::test]
async fn a_probe_of_a_server_without_options_or_file_is_an_answer_too() {
    let (server, script) = play(|port| {
        let port = port.accept();
        port.send(&data(1, b"12345"));
        port.expect(&error(ErrorCode::OptionNegotiation));
    });
    let probe = client().probe(server, "x").await.expect("an answer");
    assert_eq!((probe.options, probe.size), (None, Some(5)));
    script.end();

    let (server, script) = play(|mut port| {
        port.request();
        port.send(&error(ErrorCode::FileNotFound));
    });
    let failed = client().probe(server, "x").await.expect_err("no such file");
    assert!(failed.is_answer() && failed.is_not_found());
    script.end();
}

#[tokio::test]
async fn our_own_server_counts_a_probe_as_one() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let address: SocketAddr = address.parse().expect("an address");
        let listener = Listener::bind(address).expect("bound");
        let server = listener.local_addr().expect("bound");
        let (record, mut records) = tokio::sync::mpsc::unbounded_channel();
        let serving = Server::builder()
            .backend(Memory::new().with("x", "12345"))
            .on_record(move |ended| drop(record.send(ended.ending.clone())))
            .build()
            .expect("a server")
            .serve(listener, std::future::pending::<()>());
        let serving = tokio::spawn(serving);
        let probe = client().probe(server, "x").await.expect("an answer");
        assert_eq!(probe.size, Some(5));
        assert_eq!(probe.largest_unfragmented, Some(65_464), "{address}");
        assert_eq!(records.recv().await, Some(Ending::Probed));
        serving.abort();
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_sent_is_refused_here() {
    let unused = Port::new("127.0.0.1:0").address();
    for name in ["", "a\0b"] {
        let failed = client()
            .options(Options::default())
            .get_bytes(unused, name)
            .await;
        assert!(matches!(failed, Err(TransferError::Name)), "{name:?}");
    }
}
