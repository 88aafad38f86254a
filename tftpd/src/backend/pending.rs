//! Content that is prepared asynchronously.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::Handle;

use super::{Backend, Content, OpenError, Opened};
use crate::policy::Name;

/// A backend that serves the results of an asynchronous function: a file from another server, a
/// configuration from a database, a menu for each client.
///
/// The function runs on a tokio runtime, beside the engine's transfers. A repeated request of a
/// client that waits does not call it again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tftpd::{Server, backend::{Content, Dynamic, OpenError}};
///
/// let backend = Dynamic::new(|name, client| async move {
///     // … ask a database, fetch from another server …
///     match name.as_bytes() {
///         b"boot.ipxe" => Ok(Content::from(format!("#!ipxe\necho hello {}\n", client.ip()))),
///         _ => Err(OpenError::NotFound),
///     }
/// });
/// let server = Server::builder().backend(backend).build()?;
/// # let _ = server; Ok(()) }
/// ```
pub struct Dynamic<F> {
    runtime: Handle,
    make: F,
}

impl<F, M> Dynamic<F>
where
    F: Fn(Name, SocketAddr) -> M + Send + Sync + 'static,
    M: Future<Output = Result<Content, OpenError>> + Send + 'static,
{
    /// Returns a backend that runs `make` on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime; there, use [`on`](Self::on).
    pub fn new(make: F) -> Self {
        Self::on(Handle::current(), make)
    }

    /// Returns a backend that runs `make` on `runtime`.
    pub fn on(runtime: Handle, make: F) -> Self {
        Self { runtime, make }
    }
}

impl<F, M> Backend for Dynamic<F>
where
    F: Fn(Name, SocketAddr) -> M + Send + Sync + 'static,
    M: Future<Output = Result<Content, OpenError>> + Send + 'static,
{
    fn open_read(&self, name: &Name, client: SocketAddr) -> Result<Opened, OpenError> {
        let (sender, content) = pending();
        let making = (self.make)(name.clone(), client);
        self.runtime.spawn(async move { sender.send(making.await) });
        Ok(Opened::Pending(content))
    }
}

impl<F> fmt::Debug for Dynamic<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dynamic").finish_non_exhaustive()
    }
}

/// Returns a one-shot channel for content, for a [`Backend`] that prepares it asynchronously: the
/// backend returns [`Opened::Pending`] and sends the content later.
///
/// ```
/// use tftpd::backend::{Content, Opened, pending};
///
/// let (sender, content) = pending();
/// std::thread::spawn(move || sender.send(Ok(Content::from("hello"))));
/// let opened = Opened::Pending(content); // the result of `Backend::open_read`
/// # let _ = opened;
/// ```
pub fn pending() -> (ContentSender, Pending) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (ContentSender(Arc::clone(&state)), Pending(state))
}

/// The sending half of [`pending`]. Dropped without a [`send`](Self::send), the client gets no
/// answer and repeats its request.
#[derive(Debug)]
#[must_use = "dropping the sender leaves the request without an answer"]
pub struct ContentSender(Arc<Mutex<State>>);

/// The receiving half of [`pending`], for [`Opened::Pending`].
#[derive(Debug)]
pub struct Pending(Arc<Mutex<State>>);

enum State {
    Waiting(Option<Box<dyn FnOnce() + Send>>),
    Ready(Result<Content, OpenError>),
    Taken,
}

impl ContentSender {
    /// Sends the content, or the error.
    pub fn send(self, content: Result<Content, OpenError>) {
        settle(&self.0, content);
    }
}

impl Drop for ContentSender {
    fn drop(&mut self) {
        settle(
            &self.0,
            Err(OpenError::Busy(std::io::ErrorKind::Interrupted.into())),
        );
    }
}

/// Stores the first result and calls the waker.
fn settle(state: &Mutex<State>, content: Result<Content, OpenError>) {
    let mut state = lock(state);
    if let State::Waiting(waker) = &mut *state {
        let waker = waker.take();
        *state = State::Ready(content);
        drop(state);
        if let Some(waker) = waker {
            waker();
        }
    }
}

impl Pending {
    /// Registers `wake` to be called once the result is there; calls it now if it is.
    pub(crate) fn on_ready(&self, wake: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.0);
        if let State::Waiting(waker) = &mut *state {
            *waker = Some(Box::new(wake));
        } else {
            drop(state);
            wake();
        }
    }

    /// Takes the result, once it is there.
    pub(crate) fn take(&self) -> Option<Result<Content, OpenError>> {
        let mut state = lock(&self.0);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ready(content) => Some(content),
            other => {
                *state = other;
                None
            }
        }
    }
}

/// Nothing that can panic runs under the lock.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Ready(_) => "Ready",
            Self::Taken => "Taken",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_waker_runs_once_if_content_is_sent_before_or_after_or_never() {
        let woken = Arc::new(AtomicU32::new(0));
        let wake = |content: &Pending| {
            let woken = Arc::clone(&woken);
            content.on_ready(move || {
                woken.fetch_add(1, Ordering::Relaxed);
            });
        };
        let (sender, content) = pending();
        wake(&content);
        assert!(content.take().is_none());
        sender.send(Ok(Content::from("hello")));
        assert!(content.take().is_some_and(|made| made.is_ok()) && content.take().is_none());

        let (sender, content) = pending();
        sender.send(Ok(Content::from("hello")));
        wake(&content);

        let (dropped, content) = pending();
        wake(&content);
        drop(dropped);
        assert!(matches!(content.take(), Some(Err(OpenError::Busy(_)))));
        assert_eq!(woken.load(Ordering::Relaxed), 3);
    }
}
