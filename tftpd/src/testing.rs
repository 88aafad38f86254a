//! A server for tests, and a network that loses what the test wants it to lose.
//!
//! ```
//! # #[cfg(not(feature = "client"))]
//! # fn main() {}
//! # #[cfg(feature = "client")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tftpd::{Client, Server, backend::Memory, testing::{Script, TestServer, Which}};
//!
//! let files = Memory::new().with("kernel", vec![7; 5000]);
//! let link = Script::new().lose(Which::Data(3)).repeat(Which::Ack(4));
//! let server = TestServer::start(Server::builder().backend(files).link(link))?;
//! let kernel = Client::new()?.get_bytes(server.address(), "kernel").await?;
//! assert_eq!(kernel, [7; 5000]);
//! assert!(server.stop()?[0].resent > 0);
//! # Ok(()) }
//! ```

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

pub use crate::link::{Datagram, Fate, Link, Script, Way, Which};

use crate::{
    net::{ListenError, Listener},
    server::{BuildError, Builder, Record, ServeError, Server},
};

/// A server on a port of the loopback address that the system chooses, in a thread of its own.
///
/// Dropped, it ends at once, and so do its transfers.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
    /// Gone once it was told to end.
    stop: Option<Stop>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// Two ways to tell a server to end: each acts when it is dropped.
#[derive(Debug)]
struct Stop {
    drain: oneshot::Sender<()>,
    abandon: oneshot::Sender<()>,
}

impl TestServer {
    /// Starts what `server` describes. It hands its records to [`stop`](Self::stop), and to nobody
    /// else.
    ///
    /// # Errors
    /// [`StartError`], which says what the system refused.
    pub fn start(server: Builder) -> Result<Self, StartError> {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let Some(address) = listener.local_addr() else {
            return Err(StartError::Thread(io::ErrorKind::AddrNotAvailable.into()));
        };
        let records = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&records);
        let server = server.on_record(move |record| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(record.clone());
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
            address,
            records,
            stop: Some(Stop { drain, abandon }),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running transfers finish, as [`Builder::drain`] says, and answers with the record of
    /// each request in the order in which they ended.
    ///
    /// # Errors
    /// [`ServeError`] if it ended before it was told to.
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
            // The test is over: nobody is left to tell.
            let _ = self.join();
            drop(drain);
        }
    }
}

/// Why there is no server for a test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The system has no thread for it.
    #[error("the server for a test cannot be started")]
    Thread(#[source] io::Error),
}

/// Serves until the one or the other sender is gone.
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
