//! Content that is pending at first, or of unknown size.

mod common;

use std::{
    io::{self, IoSliceMut},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{allocator, receive, serve, socket};
use tftpd::{
    Server,
    backend::{Content, Dynamic, OpenError, ReadAt},
    server::{Cause, Ending, Rejection},
};
use tokio::{runtime::Runtime, sync::Semaphore};

#[test]
fn content_is_made_once_for_a_client_that_repeats_its_request_and_delays_no_other_client() {
    let runtime = Runtime::new().expect("a runtime");
    let (made, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let backend = {
        let (made, go) = (Arc::clone(&made), Arc::clone(&go));
        Dynamic::on(runtime.handle().clone(), move |name, client| {
            let (made, go) = (Arc::clone(&made), Arc::clone(&go));
            async move {
                if name.as_bytes() == b"quick" {
                    return Ok(Content::from("quick"));
                }
                made.fetch_add(1, Ordering::Relaxed);
                go.acquire().await.expect("open").forget();
                Ok(Content::from(format!("for port {}", client.port())))
            }
        })
    };
    let (_, summary) = serve(Server::builder().backend(backend), &allocator(), |server| {
        let (slow, quick) = (socket(), socket());
        for _ in 0..3 {
            slow.send_to(b"\x00\x01slow\x00octet\x00tsize\x000\x00", server)
                .expect("sent");
        }
        quick
            .send_to(b"\x00\x01quick\x00octet\x00", server)
            .expect("sent");
        let (data, transfer) = receive(&quick);
        assert_eq!(data, b"\x00\x03\x00\x01quick");
        quick.send_to(b"\x00\x04\x00\x01", transfer).expect("sent");

        go.add_permits(1);
        let text = format!("for port {}", slow.local_addr().expect("bound").port());
        let (oack, transfer) = receive(&slow);
        assert_eq!(oack, format!("\0\x06tsize\0{}\0", text.len()).as_bytes());
        slow.send_to(b"\x00\x04\x00\x00", transfer).expect("sent");
        assert_eq!(
            receive(&slow).0,
            [b"\x00\x03\x00\x01", text.as_bytes()].concat()
        );
        slow.send_to(b"\x00\x04\x00\x01", transfer).expect("sent");
    });
    assert_eq!((summary.sent, made.load(Ordering::Relaxed)), (2, 1));
}

#[test]
fn content_that_fails_is_rejected_and_a_dropped_sender_gets_no_answer() {
    let runtime = Runtime::new().expect("a runtime");
    let backend = Dynamic::on(runtime.handle().clone(), |name, _| async move {
        match name.as_bytes() {
            b"secret" => Err(OpenError::Denied),
            b"panic" => panic!("on purpose"),
            _ => Err(OpenError::NotFound),
        }
    });
    let (records, _) = serve(Server::builder().backend(backend), &allocator(), |server| {
        for (name, code) in [("missing", 1), ("secret", 2)] {
            let socket = socket();
            socket
                .send_to(format!("\0\x01{name}\0octet\0").as_bytes(), server)
                .expect("sent");
            let (error, from) = receive(&socket);
            assert_eq!(
                (error.get(..4), from),
                (Some(&[0, 5, 0, code][..]), server),
                "{name}"
            );
        }
        let unlucky = socket();
        unlucky
            .send_to(b"\x00\x01panic\x00octet\x00", server)
            .expect("sent");
        unlucky
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("set");
        assert!(unlucky.recv_from(&mut [0; 10]).is_err(), "an answer came");
    });
    let endings: Vec<_> = records.iter().map(|record| &record.ending).collect();
    assert_eq!(
        endings,
        [
            &Ending::Rejected(Rejection::NotFound),
            &Ending::Rejected(Rejection::Permission)
        ]
    );
}

#[test]
fn content_of_unknown_size_ends_where_its_reader_ends() {
    let runtime = Runtime::new().expect("a runtime");
    for size in [0, 1, 511, 512, 513, 5000] {
        let backend = Dynamic::on(runtime.handle().clone(), move |_, _| async move {
            Ok(Content::with_unknown_size(Arc::new(Counted(size))))
        });
        serve(Server::builder().backend(backend), &allocator(), |server| {
            let socket = socket();
            socket
                .send_to(
                    b"\x00\x01x\x00octet\x00tsize\x000\x00windowsize\x004\x00",
                    server,
                )
                .expect("sent");
            let (oack, transfer) = receive(&socket);
            assert_eq!(oack, b"\x00\x06windowsize\x004\x00", "no size is announced");
            socket.send_to(b"\x00\x04\x00\x00", transfer).expect("sent");
            let (mut received, mut block) = (0, 0);
            loop {
                let (data, _) = receive(&socket);
                block += 1;
                assert_eq!(data.get(..4), Some(&[0, 3, 0, block][..]));
                received += data.len() - 4;
                let last = data.len() < 516;
                if last || block % 4 == 0 {
                    socket.send_to(&[0, 4, 0, block], transfer).expect("sent");
                }
                if last {
                    break;
                }
            }
            assert_eq!(received, size);
        });
    }
}

#[test]
fn content_that_ends_before_its_size_ends_the_transfer_with_an_error() {
    let runtime = Runtime::new().expect("a runtime");
    for mode in ["octet", "netascii"] {
        let backend = Dynamic::on(runtime.handle().clone(), move |_, _| async move {
            Ok(Content::new(Arc::new(Counted(700)), 1100))
        });
        let server = Server::builder().backend(backend);
        let (records, _) = serve(server, &allocator(), |server| {
            let socket = socket();
            let request = format!("\0\x01x\0{mode}\0");
            socket.send_to(request.as_bytes(), server).expect("sent");
            let mut received = receive(&socket);
            for block in 1.. {
                if received.0.get(..2) == Some(&[0, 5]) {
                    break;
                }
                assert_eq!(received.0.get(..4), Some(&[0, 3, 0, block][..]));
                assert_eq!(received.0.len(), 516, "no block looks like the last one");
                socket.send_to(&[0, 4, 0, block], received.1).expect("sent");
                received = receive(&socket);
            }
            assert_eq!(received.0.get(..4), Some(&[0, 5, 0, 0][..]));
        });
        let endings: Vec<_> = records.iter().map(|record| &record.ending).collect();
        assert!(
            matches!(endings[..], [Ending::Failed(Cause::Io(why))] if why.contains("shorter")),
            "{mode}: {endings:?}"
        );
    }
}

/// A reader of this many bytes.
struct Counted(usize);

impl ReadAt for Counted {
    fn read_at(&self, slices: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        let left = self
            .0
            .saturating_sub(usize::try_from(offset).expect("small"));
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        Ok(left.min(room))
    }
}
