//! Requests whose content is being made.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use crate::{
    backend::{Content, OpenError, Pending},
    net::Arrival,
};

use super::{control::Control, waiting::Waiting};

/// What became of a request whose content was being made.
pub(super) struct Ready {
    pub(super) waiting: Waiting,
    pub(super) content: Result<Content, OpenError>,
}

/// Requests by their clients; each waits for one promise.
pub(super) struct Parked {
    requests: HashMap<SocketAddr, Request>,
    places: usize,
    serial: u64,
    control: Arc<Control>,
    tell: Sender<(SocketAddr, u64)>,
    told: Receiver<(SocketAddr, u64)>,
}

struct Request {
    serial: u64,
    digest: u64,
    waiting: Waiting,
    later: Pending,
}

/// How long content may take. The clients that ask for longest give up after about this.
const PATIENCE: Duration = Duration::from_secs(30);

impl Parked {
    pub(super) fn new(places: usize, control: Arc<Control>) -> Self {
        let (tell, told) = mpsc::channel();
        Self {
            requests: HashMap::new(),
            places,
            serial: 0,
            control,
            tell,
            told,
        }
    }

    /// Lets a request wait for its content; `false` if there is no place.
    pub(super) fn park(
        &mut self,
        arrival: &Arrival<'_>,
        door: usize,
        digest: u64,
        later: Pending,
        now: Instant,
    ) -> bool {
        self.requests
            .retain(|_, request| now < request.waiting.until);
        if self.requests.len() >= self.places {
            return false;
        }
        self.serial += 1;
        let (client, serial) = (arrival.client, self.serial);
        let (tell, control) = (self.tell.clone(), Arc::clone(&self.control));
        later.on_ready(move || {
            // Nobody listens any more when the engine has ended.
            let _ = tell.send((client, serial));
            control.wake();
        });
        let waiting = Waiting::new(arrival, door, now + PATIENCE);
        self.requests.insert(
            client,
            Request {
                serial,
                digest,
                waiting,
                later,
            },
        );
        true
    }

    /// Whether this very request waits already.
    pub(super) fn holds(&self, client: SocketAddr, digest: u64) -> bool {
        self.requests
            .get(&client)
            .is_some_and(|request| request.digest == digest)
    }

    /// A request whose content is there.
    pub(super) fn ready(&mut self) -> Option<Ready> {
        loop {
            let (client, serial) = self.told.try_recv().ok()?;
            // Another request of the same client may have taken its place.
            if self
                .requests
                .get(&client)
                .is_some_and(|request| request.serial == serial)
                && let Some(Request { waiting, later, .. }) = self.requests.remove(&client)
                && let Some(content) = later.take()
            {
                return Some(Ready { waiting, content });
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}
