//! Requests whose content is pending in the backend.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use super::request::{Incoming, WaitingRequest};
use crate::{
    backend::{Content, OpenError, Pending},
    engine::record::Rejection,
};

/// Wakes the engine from another thread.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// A request whose content is ready, or has failed.
pub(super) struct ReadyRequest {
    pub(super) waiting: WaitingRequest,
    pub(super) content: Result<Content, OpenError>,
}

/// Waiting requests, one per client.
pub(super) struct PendingContent {
    requests: HashMap<SocketAddr, PendingRequest>,
    capacity: usize,
    serial: u64,
    wake: Waker,
    done: Sender<(SocketAddr, u64)>,
    ready: Receiver<(SocketAddr, u64)>,
}

struct PendingRequest {
    serial: u64,
    waiting: WaitingRequest,
    content: Pending,
}

/// Longest wait for content: the most patient clients give up after about this time.
const LONGEST: Duration = Duration::from_secs(30);

impl PendingContent {
    pub(super) fn new(capacity: usize, wake: Waker) -> Self {
        let (done, ready) = mpsc::channel();
        Self {
            requests: HashMap::new(),
            capacity,
            serial: 0,
            wake,
            done,
            ready,
        }
    }

    /// Keeps a request until `content` is ready; returns false if there are too many.
    pub(super) fn insert(
        &mut self,
        incoming: &Incoming<'_>,
        content: Pending,
        now: Instant,
    ) -> bool {
        self.requests
            .retain(|_, request| now < request.waiting.until);
        if self.requests.len() >= self.capacity {
            return false;
        }
        self.serial += 1;
        let (client, serial) = (incoming.path.client, self.serial);
        let (done, wake) = (self.done.clone(), Arc::clone(&self.wake));
        content.on_ready(move || {
            // The receiver is gone once the engine has ended.
            let _ = done.send((client, serial));
            wake();
        });
        let waiting = incoming.to_waiting(Rejection::Busy, now + LONGEST);
        let request = PendingRequest {
            serial,
            waiting,
            content,
        };
        self.requests.insert(client, request);
        true
    }

    /// Returns true if this request waits already.
    pub(super) fn contains(&self, client: SocketAddr, digest: u64) -> bool {
        let request = self.requests.get(&client);
        request.is_some_and(|request| request.waiting.digest == digest)
    }

    /// Removes a request whose content is ready.
    pub(super) fn next(&mut self) -> Option<ReadyRequest> {
        loop {
            let (client, serial) = self.ready.try_recv().ok()?;
            // Another request of the same client may have replaced it.
            if self
                .requests
                .get(&client)
                .is_some_and(|request| request.serial == serial)
                && let Some(request) = self.requests.remove(&client)
                && let Some(content) = request.content.take()
            {
                let waiting = request.waiting;
                return Some(ReadyRequest { waiting, content });
            }
        }
    }

    /// Drops all requests.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}
