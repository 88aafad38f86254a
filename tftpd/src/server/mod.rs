//! The server: builder, threads, shutdown and log.

mod builder;
mod log;
mod ports;

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

pub use crate::engine::{Caps, Cause, Ending, Record, Rejection, Summary};
pub use builder::{BuildError, Builder};
pub use ports::transfer_ports;

use crate::{
    engine::{Control, Engine, RunState, Setup},
    net::Listener,
};

/// A TFTP server, ready to serve.
///
/// A server for a test, with its files in memory and every port chosen by the system:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tftpd::{Listener, Server, backend::Memory};
///
/// let listener = Listener::bind("127.0.0.1:0".parse()?)?;
/// let address = listener.local_addr().expect("it is bound");
/// let server = Server::builder().backend(Memory::new().with("boot.ipxe", "#!ipxe\n")).build()?;
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
///
/// // … point a client at `address` …
/// # let _ = address;
/// drop(stop);
/// let summary = serving.await??;
/// assert_eq!(summary.failed, 0);
/// # Ok(()) }
/// ```
pub struct Server {
    setup: Setup,
    threads: usize,
    drain: Duration,
}

impl Server {
    /// Returns a builder, at first of a server without files.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves the requests received by `listener` until `shutdown` resolves, then waits for running
    /// transfers within the time of [`Builder::drain`]. Dropping the future stops the server
    /// immediately.
    ///
    /// The server has threads of its own; this future only waits for them, on any executor.
    ///
    /// # Errors
    /// [`ServeError`] if a thread cannot be started, or fails.
    pub async fn serve(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Summary, ServeError> {
        let listener = if self.setup.service.broadcast {
            listener.undivided()
        } else {
            listener
        };
        let parts = listener.divide(self.threads).into_iter();
        let engines = parts.map(|sockets| Engine::new(sockets, self.setup.clone()));
        let engines: io::Result<Vec<_>> = engines.collect();
        let mut running = Running::start(engines.map_err(ServeError::Start)?)?;
        let mut shutdown = pin!(shutdown);
        let early = poll_fn(|cx| match running.poll_end(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending => shutdown.as_mut().poll(cx).map(|()| None),
        });
        if let Some(end) = early.await {
            return end;
        }
        running.request(RunState::Draining { grace: self.drain });
        poll_fn(|cx| running.poll_end(cx)).await
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

/// An error that ended the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The engine could not be set up.
    #[error("the engine cannot be started")]
    Start(#[source] io::Error),
    /// A system call of the engine's loop failed.
    #[error("the engine cannot go on")]
    Broken(#[source] io::Error),
    /// An engine's thread panicked.
    #[error("the engine's thread has panicked")]
    Panicked,
}

/// The engines' threads; dropping this stops and joins them.
struct Running {
    threads: Vec<Thread>,
    /// The counts of the threads that have ended.
    summary: Summary,
}

struct Thread {
    control: Arc<Control>,
    /// `None` once it was received.
    end: Option<oneshot::Receiver<io::Result<Summary>>>,
    handle: Option<JoinHandle<()>>,
}

impl Running {
    fn start(engines: Vec<Engine>) -> Result<Self, ServeError> {
        let mut running = Self {
            threads: Vec::new(),
            summary: Summary::default(),
        };
        for engine in engines {
            let control = engine.control();
            let (done, end) = oneshot::channel();
            let handle = std::thread::Builder::new()
                .name("tftpd-engine".to_owned())
                // The receiver is gone if the future was dropped.
                .spawn(move || drop(done.send(engine.run())))
                .map_err(ServeError::Start)?;
            running.threads.push(Thread {
                control,
                end: Some(end),
                handle: Some(handle),
            });
        }
        Ok(running)
    }

    fn request(&self, state: RunState) {
        for thread in &self.threads {
            thread.control.request(state);
        }
    }

    /// Waits for all threads to end, or for the first one to fail.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Summary, ServeError>> {
        let mut all = true;
        for thread in &mut self.threads {
            let Some(end) = &mut thread.end else { continue };
            match pin!(end).poll(cx) {
                Poll::Pending => all = false,
                Poll::Ready(Ok(Ok(summary))) => {
                    thread.end = None;
                    self.summary += summary;
                }
                Poll::Ready(Ok(Err(error))) => return Poll::Ready(Err(ServeError::Broken(error))),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(ServeError::Panicked)),
            }
        }
        if all {
            Poll::Ready(Ok(self.summary))
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.request(RunState::Stopped);
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take() {
                // A panic was returned as ServeError::Panicked already.
                let _ = handle.join();
            }
        }
    }
}
