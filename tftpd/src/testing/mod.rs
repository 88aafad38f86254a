//! A server for tests, and a link that loses, duplicates and delays packets by a script.
//!
//! ```
//! # #[cfg(not(feature = "client"))]
//! # fn main() {}
//! # #[cfg(feature = "client")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tftpd::{Client, Server, backend::Memory, testing::{PacketId, Script, TestServer}};
//!
//! let files = Memory::new().with("kernel", vec![7; 5000]);
//! let link = Script::new().lose(PacketId::Data(3)).repeat(PacketId::Ack(4));
//! let server = TestServer::start_with_link(Server::builder().backend(files), link)?;
//! let kernel = Client::new()?.get_bytes(server.address(), "kernel").await?;
//! assert_eq!(kernel, [7; 5000]);
//! assert!(server.stop()?[0].resent > 0);
//! # Ok(()) }
//! ```

mod link;
mod relay;

use std::{
    future::{Future, poll_fn},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    thread::JoinHandle,
};

use tokio::{runtime, sync::oneshot};

pub use link::{Datagram, Delivery, Destination, Link, PacketId, Script};

use crate::{
    net::{ListenError, Listener},
    server::{BuildError, Builder, Record, ServeError, Server},
};
use relay::Relay;

/// A server on a port of the loopback address that the system chooses, in a thread of its own.
///
/// Dropping it ends the server and its transfers immediately.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
    /// `None` once the server was stopped.
    stop: Option<Stop>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    /// Ends after the server, whose last datagrams it forwards.
    relay: Option<Relay>,
}

/// Two ways to end a server; each takes effect when it is dropped.
#[derive(Debug)]
struct Stop {
    drain: oneshot::Sender<()>,
    abandon: oneshot::Sender<()>,
}

impl TestServer {
    /// Starts `server`. Its records go to [`stop`](Self::stop) only.
    ///
    /// # Errors
    /// [`StartError`] with what the system refused.
    pub fn start(server: Builder) -> Result<Self, StartError> {
        Self::start_relayed(server, None)
    }

    /// Starts `server` behind `link`, which decides the delivery of each datagram of its transfers.
    ///
    /// A relay applies the link: the server sees each client on its own address, but on a port of
    /// the relay, and the client sees each transfer on a port of the relay. Records name the
    /// client's own address.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_link(server: Builder, link: impl Link) -> Result<Self, StartError> {
        Self::start_relayed(server, Some(Arc::new(link)))
    }

    fn start_relayed(server: Builder, link: Option<Arc<dyn Link>>) -> Result<Self, StartError> {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let Some(address) = listener.local_addr() else {
            return Err(StartError::Thread(io::ErrorKind::AddrNotAvailable.into()));
        };
        let relay = link.map(|link| Relay::start(link, address)).transpose();
        let relay = relay.map_err(StartError::Thread)?;
        let control = relay.as_ref().map(Relay::control);
        let records = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&records);
        let server = server.on_record(move |record| {
            let mut record = record.clone();
            if let Some(control) = &control {
                record.client = control.ended(record.client, record.local);
            }
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(record);
        });
        let server = server.build()?;
        let runtime = runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(StartError::Thread)?;
        let (drain, drained) = oneshot::channel();
        let (abandon, abandoned) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("tftpd-test".to_owned())
            .spawn(move || runtime.block_on(serve(server, listener, drained, abandoned)))
            .map_err(StartError::Thread)?;
        Ok(Self {
            address: relay.as_ref().map_or(address, Relay::address),
            records,
            stop: Some(Stop { drain, abandon }),
            thread: Some(thread),
            relay,
        })
    }

    /// Returns the address for requests.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server after its running transfers, within the time of [`Builder::drain`]; returns
    /// the records of all requests in the order in which they ended.
    ///
    /// # Errors
    /// [`ServeError`] if the server ended earlier.
    pub fn stop(mut self) -> Result<Vec<Record>, ServeError> {
        if let Some(Stop { drain, abandon }) = self.stop.take() {
            drop(drain);
            self.join()?;
            drop(abandon);
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *records))
    }

    fn join(&mut self) -> Result<(), ServeError> {
        let thread = self.thread.take().map(JoinHandle::join);
        thread
            .unwrap_or(Ok(Ok(())))
            .unwrap_or(Err(ServeError::Panicked))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(Stop { drain, abandon }) = self.stop.take() {
            drop(abandon);
            // The test has ended and takes no error any more.
            let _ = self.join();
            drop(drain);
        }
        self.relay = None;
    }
}

/// An error of [`TestServer::start`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The listening socket cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The server cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A thread, or a socket of the relay, cannot be made.
    #[error("the server for a test cannot be started")]
    Thread(#[source] io::Error),
}

/// Serves until one of the two senders is dropped.
async fn serve(
    server: Server,
    listener: Listener,
    drained: oneshot::Receiver<()>,
    abandoned: oneshot::Receiver<()>,
) -> Result<(), ServeError> {
    let mut abandoned = pin!(abandoned);
    let mut serving = pin!(server.serve(listener, async { drop(drained.await) }));
    poll_fn(|cx| {
        if abandoned.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        serving.as_mut().poll(cx).map_ok(drop)
    })
    .await
}
