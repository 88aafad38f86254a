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
    /// Waits for the reply to `xid` from now on.
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

    /// Hands a reply to the call that waits for it; one that nobody waits for is forgotten.
    pub(super) fn deliver(&self, reply: Vec<u8>) {
        if let Ok(xid) = Decoder::new(&reply).u32()
            && let Some(waiting) = self.lock().calls.remove(&xid)
        {
            // The caller may have gone in this moment.
            let _ = waiting.send(Ok(reply));
        }
    }

    /// Tells all that wait why they wait in vain.
    pub(super) fn fail_all(&self, why: impl Fn() -> CallError) {
        for (_, waiting) in self.lock().calls.drain() {
            let _ = waiting.send(Err(why()));
        }
    }

    /// Nothing will be delivered any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reply that is waited for; dropping it ends that.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    xid: u32,
    receiver: oneshot::Receiver<Result<Vec<u8>, CallError>>,
    pending: &'a Pending,
}

impl Expected<'_> {
    /// The reply.
    pub(super) async fn reply(&mut self) -> Result<Vec<u8>, CallError> {
        (&mut self.receiver).await.unwrap_or(Err(CallError::Closed))
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.pending.lock().calls.remove(&self.xid);
    }
}
