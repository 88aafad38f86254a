//! The server's loop: one plain thread, one epoll over the listeners and all transfers.
//!
//! A transfer is a socket, a state machine and a share in an open file; nothing in it is locked
//! and nobody else wakes this thread for a datagram. [`Control`] is the only way in.

mod committer;
mod control;
mod gate;
mod parked;
mod poller;
mod receiving;
mod reception;
mod record;
mod refused;
mod sending;
mod session;
mod sessions;
mod source;
mod strays;
mod timers;
mod waiting;

use std::{
    io,
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use control::{Control, Order};
pub use gate::Caps;
pub(crate) use gate::Census;
pub(crate) use reception::Reception;
pub use record::{Cause, Ending, Record, Refusal, Summary};

use crate::{
    net::{self, Inbox},
    proto::ErrorCode,
};
use committer::Committer;
use poller::{Poller, Ready};
use sessions::{Doors, Sessions};

/// Where records of ended transfers go.
pub(crate) type Observer = Arc<dyn Fn(&Record) + Send + Sync>;

/// How long deadlines may go unseen while more is ready than one turn takes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an engine is made from; clones serve several threads.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) reception: Reception,
    /// This thread's share; see [`Caps::share`].
    pub(crate) caps: Caps,
    pub(crate) census: Arc<Census>,
    pub(crate) observer: Observer,
}

/// Everything one engine thread owns.
pub(crate) struct Engine {
    control: Arc<Control>,
    poller: Poller,
    listeners: Vec<Arc<UdpSocket>>,
    sessions: Sessions,
    drain_until: Option<Instant>,
}

impl Engine {
    /// An engine that serves what `setup` lets in from `listeners`.
    pub(crate) fn new(listeners: Vec<UdpSocket>, setup: Setup) -> io::Result<Self> {
        let Setup {
            reception,
            caps,
            census,
            observer,
        } = setup;
        let control = Arc::new(Control::new()?);
        let poller = Poller::new(&control)?;
        let listeners: Vec<_> = listeners.into_iter().map(Arc::new).collect();
        for socket in &listeners {
            poller.add_listener(socket)?;
        }
        let committer = Committer::start(control.clone())?;
        let sessions = Sessions::new(
            reception,
            caps,
            census,
            observer,
            committer,
            control.clone(),
        );
        Ok(Self {
            control,
            poller,
            listeners,
            sessions,
            drain_until: None,
        })
    }

    /// The way to stop this engine.
    pub(crate) fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Serves until told to stop; answers with the counts.
    ///
    /// # Errors
    /// Only what makes it impossible to go on; a bad datagram or a failed transfer never does.
    pub(crate) fn run(mut self) -> io::Result<Summary> {
        let mut inbox = net::inbox(self.listeners.iter().map(Arc::as_ref))?;
        let mut looked = net::now();
        loop {
            let now = net::now();
            if self.obey(now) {
                return Ok(self.sessions.summary());
            }
            let wake = [self.sessions.next_deadline(), self.drain_until]
                .into_iter()
                .flatten()
                .min();
            let events = self.poller.wait(wake, now)?;
            let now = net::now();
            // Transfers that run come before requests for more.
            let (mut requested, mut made) = (false, false);
            for ready in self.poller.ready(events) {
                match ready {
                    Ready::Session(key) => self.sessions.readable(key, now),
                    Ready::Listener => requested = true,
                    Ready::Control => {
                        self.control.acknowledge();
                        self.sessions.committed(now);
                        made = true;
                    }
                }
            }
            if requested {
                self.hear(&mut inbox, now);
            }
            // What came in time but was not taken yet must not look late.
            if !self.poller.was_full(events) || now >= looked + LOOK_EVERY {
                looked = now;
                self.sessions.expire(now);
            }
            self.admit(made, now);
        }
    }

    /// Follows the last order; whether there is nothing left to do.
    fn obey(&mut self, now: Instant) -> bool {
        let deadline_passed = self.drain_until.is_some_and(|until| now >= until);
        match self.control.order() {
            Order::Serve => false,
            Order::Drain { .. } if !deadline_passed && !self.sessions.is_empty() => {
                self.stop_listening();
                if let (None, Order::Drain { grace }) = (self.drain_until, self.control.order()) {
                    self.drain_until = Some(now + grace);
                }
                false
            }
            Order::Drain { .. } | Order::Stop => {
                self.stop_listening();
                self.sessions.abort_all(ErrorCode::NotDefined, now);
                true
            }
        }
    }

    fn stop_listening(&mut self) {
        self.sessions.close();
        if !self.sessions.share_listeners() {
            // Closing a socket takes it out of the epoll set.
            self.listeners.clear();
        }
    }

    /// Takes what has come to the listeners, a batch each: what is left makes them ready again.
    fn hear(&mut self, inbox: &mut Inbox, now: Instant) {
        let Self {
            listeners,
            sessions,
            poller,
            ..
        } = self;
        let doors = Doors { listeners, poller };
        for (door, listener) in listeners.iter().enumerate() {
            // Nothing to read, or the echo of an error sent to somebody who is gone.
            let _ = inbox.receive(door, listener, |arrival| {
                sessions.heard(&arrival, door, doors, now);
            });
        }
    }

    /// Begins transfers that had to wait: for their content, if some was made, or for room.
    fn admit(&mut self, made: bool, now: Instant) {
        let Self {
            listeners,
            sessions,
            poller,
            ..
        } = self;
        let doors = Doors { listeners, poller };
        if made {
            sessions.admit_ready(doors, now);
        }
        sessions.admit_waiting(doors, now);
    }
}
