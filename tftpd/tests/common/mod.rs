//! A server in the process of its test, and plain sockets as its clients.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each suite uses a part of it"
)]

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use eport_core::{
    Allocator,
    bind::{self, UdpOptions},
};
use tftpd::{
    Listener,
    server::{Builder, Record, Summary},
};
use tokio::sync::oneshot;

/// Runs `test` while a server runs on a thread of its own, then stops it. Returns the server's
/// records, after checking that every port was released.
pub(crate) fn serve(
    server: Builder,
    allocator: &Allocator,
    test: impl FnOnce(SocketAddr),
) -> (Vec<Record>, Summary) {
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.local_addr().expect("bound");
    let records = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&records);
    let server = server
        .allocator(allocator.clone())
        .on_record(move |record| seen.lock().expect("sound").push(record.clone()))
        .build()
        .expect("a server");
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let summary = std::thread::scope(|scope| {
        let serving = scope
            .spawn(move || runtime.block_on(server.serve(listener, async { drop(stopped.await) })));
        test(address);
        drop(stop);
        serving.join().expect("no panic").expect("served")
    });
    let records = std::mem::take(&mut *records.lock().expect("sound"));
    (records, summary)
}

/// Returns an allocator with the machine's own plan.
pub(crate) fn allocator() -> Allocator {
    Allocator::builder().build().expect("ports")
}

/// Returns a socket outside of the allocator, with a read time-out of ten seconds.
pub(crate) fn socket() -> UdpSocket {
    socket_at("127.0.0.1")
}

/// Returns a socket as [`socket`] does, on a given address.
pub(crate) fn socket_at(ip: &str) -> UdpSocket {
    let any = SocketAddr::new(ip.parse().expect("an address"), 0);
    let socket = bind::udp(any, &UdpOptions::default().blocking(true)).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set");
    socket
}

/// Receives the next datagram and its source.
pub(crate) fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2000];
    let (length, from) = socket.recv_from(&mut buffer).expect("an answer");
    (buffer.get(..length).unwrap_or_default().to_vec(), from)
}
