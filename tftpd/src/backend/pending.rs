//! Content that takes time to make.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::Handle;

use super::{Backend, Content, OpenError, Opened};
use crate::policy::Name;

/// Serves what an asynchronous function makes of a name: a file from another server, a
/// configuration from a database, a menu for the client that asks.
///
/// The function runs on a tokio runtime; the engine goes on with its transfers meanwhile. A client
/// that repeats its request while it waits starts nothing twice.
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
    /// A backend that runs `make` on the runtime it is called from.
    ///
    /// # Panics
    /// Outside of a tokio runtime; there, use [`on`](Self::on).
    pub fn new(make: F) -> Self {
        Self::on(Handle::current(), make)
    }

    /// A backend that runs `make` on `runtime`.
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

/// Content that is promised, and the pending, for a [`Backend`] that does not answer at once.
pub fn pending() -> (ContentSender, Pending) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (ContentSender(Arc::clone(&state)), Pending(state))
}

/// To be kept once. Dropped unkept, the client gets no answer and asks again.
#[derive(Debug)]
#[must_use = "a promise that is dropped is broken"]
pub struct ContentSender(Arc<Mutex<State>>);

/// What was promised.
#[derive(Debug)]
pub struct Pending(Arc<Mutex<State>>);

enum State {
    Waiting(Option<Box<dyn FnOnce() + Send>>),
    Ready(Result<Content, OpenError>),
    Taken,
}

impl ContentSender {
    /// Here is the content, or why there is none.
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

/// Notes the first result and tells who waits for it.
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
    /// Has `wake` called when the promise is kept, or now if it is already.
    pub(crate) fn on_ready(&self, wake: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.0);
        if let State::Waiting(waker) = &mut *state {
            *waker = Some(Box::new(wake));
        } else {
            drop(state);
            wake();
        }
    }

    /// What was promised, once it is there.
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
