//! Calls that wait for their reply.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::error::CallError;
use crate::xdr::Decoder;

/// Calls that wait, by their transaction id.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: HashMap<u32, oneshot::Sender<Result<Vec<u8>, CallError>>>,
    closed: bool,
}

impl Pending {
    /// Registers a call that waits for the reply to `xid`.
    pub(super) fn expect(&self, xid: u32) -> Expected<'_> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if !state.closed {
            state.calls.insert(xid, sender);
        }
        Expected {
            xid,
            receiver,
            pending: self,
        }
    }

    /// Passes a reply to the call that waits for it; a reply without a waiting call is dropped.
    pub(super) fn deliver(&self, reply: Vec<u8>) {
        if let Ok(xid) = Decoder::new(&reply).u32()
            && let Some(waiting) = self.lock().calls.remove(&xid)
        {
            // The caller may have been dropped in between.
            let _ = waiting.send(Ok(reply));
        }
    }

    /// Fails all waiting calls.
    pub(super) fn fail_all(&self, why: impl Fn() -> CallError) {
        for (_, waiting) in self.lock().calls.drain() {
            let _ = waiting.send(Err(why()));
        }
    }

    /// Fails all waiting calls and all later ones: the connection is closed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for its reply; dropping the value stops the wait.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    xid: u32,
    receiver: oneshot::Receiver<Result<Vec<u8>, CallError>>,
    pending: &'a Pending,
}

impl Expected<'_> {
    /// Waits for the reply.
    pub(super) async fn reply(&mut self) -> Result<Vec<u8>, CallError> {
        (&mut self.receiver).await.unwrap_or(Err(CallError::Closed))
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.pending.lock().calls.remove(&self.xid);
    }
}
