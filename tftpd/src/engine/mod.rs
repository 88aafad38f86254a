//! The server's loop: one plain thread, with one epoll for its listeners and all its transfers.
//!
//! A turn of the loop waits for readiness, serves the transfers that are ready, passes new datagrams
//! of the listening sockets to [`Admission`] and carries out its verdicts, and handles deadlines.
//! Nothing is locked for a datagram, and no other thread is involved in it; [`Control`] is the only
//! access from outside.

mod admission;
mod control;
mod id;
mod poller;
mod record;
#[cfg(test)]
mod testing;
mod timers;
mod transfer;
mod transfers;

use std::{
    io,
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

use eport_core::Allocator;

pub use admission::limits::Caps;
pub(crate) use admission::{Service, limits::TransferCount};
pub(crate) use control::{Control, RunState};
pub(crate) use record::Observer;
pub use record::{Cause, Ending, Record, Rejection, Summary};

use crate::{
    net::{self, Arrival, Inbox, TransferSocket},
    proto::{Error, ErrorCode},
};
use admission::{Admission, Reject, Verdict};
use poller::{Poller, Ready};
use record::Recorder;
use transfer::{channel::Sockets, commit::CommitThread};
use transfers::Transfers;

/// Longest time without a check of deadlines while more is ready than one turn takes.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The configuration of an engine; clones serve several threads.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) service: Service,
    pub(crate) allocator: Allocator,
    /// The limits of this thread; see [`Caps::share`].
    pub(crate) caps: Caps,
    pub(crate) count: Arc<TransferCount>,
    pub(crate) observer: Observer,
}

/// An engine that is ready to run on a thread.
pub(crate) struct Engine {
    control: Arc<Control>,
    poller: Poller,
    listeners: Vec<Arc<UdpSocket>>,
    commits: CommitThread,
    setup: Setup,
}

impl Engine {
    /// Creates an engine that serves the requests received on `listeners`.
    pub(crate) fn new(listeners: Vec<UdpSocket>, setup: Setup) -> io::Result<Self> {
        let control = Arc::new(Control::new()?);
        let poller = Poller::new(&control)?;
        let listeners: Vec<_> = listeners.into_iter().map(Arc::new).collect();
        for socket in &listeners {
            poller.add_listener(socket)?;
        }
        let commits = CommitThread::start(control.clone())?;
        Ok(Self {
            control,
            poller,
            listeners,
            commits,
            setup,
        })
    }

    /// Returns the access for other threads.
    pub(crate) fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Serves until another state is requested; returns the counts.
    ///
    /// # Errors
    /// Those of epoll and its descriptors. A bad datagram or a failed transfer is never an error.
    pub(crate) fn run(self) -> io::Result<Summary> {
        let inbox = net::inbox(self.listeners.iter().map(Arc::as_ref))?;
        EngineLoop::new(self).run(inbox)
    }
}

/// The state of a running engine, which never leaves its thread.
struct EngineLoop {
    control: Arc<Control>,
    poller: Poller,
    listeners: Vec<Arc<UdpSocket>>,
    admission: Admission<Sockets>,
    transfers: Transfers<TransferSocket>,
    commits: CommitThread,
    recorder: Recorder,
    single_port: bool,
    drain_until: Option<Instant>,
}

impl EngineLoop {
    fn new(engine: Engine) -> Self {
        let Engine {
            control,
            poller,
            listeners,
            commits,
            setup,
        } = engine;
        let single_port = setup.service.single_port;
        let sockets = if single_port {
            Sockets::Shared(listeners.clone())
        } else {
            Sockets::Leased(setup.allocator)
        };
        let wake = {
            let control = Arc::clone(&control);
            Arc::new(move || control.wake())
        };
        Self {
            control,
            poller,
            listeners,
            admission: Admission::new(setup.service, sockets, setup.caps, setup.count, wake),
            transfers: Transfers::new(),
            commits,
            recorder: Recorder::new(setup.observer),
            single_port,
            drain_until: None,
        }
    }

    fn run(mut self, mut inbox: Inbox) -> io::Result<Summary> {
        let mut checked = net::now();
        loop {
            let now = net::now();
            if self.is_over(now) {
                return Ok(self.recorder.summary());
            }
            let events = self.poller.wait(self.next_deadline(), now)?;
            let now = net::now();
            // Running transfers come before new requests.
            let (mut requests, mut results) = (false, false);
            for ready in self.poller.ready(events) {
                match ready {
                    Ready::Transfer(id) => self.transfers.on_readable(id, now),
                    Ready::Listener => requests = true,
                    Ready::Control => results = true,
                }
            }
            if results {
                self.on_results(now);
            }
            if requests {
                self.on_listeners(&mut inbox, now);
            }
            // Datagrams that arrived in time but were not taken yet must not look late.
            if !self.poller.was_full(events) || now >= checked + CHECK_EVERY {
                checked = now;
                self.expire(now);
            }
            self.admit_waiting(results, now);
        }
    }

    /// Applies the requested state; returns true if the loop is to end.
    fn is_over(&mut self, now: Instant) -> bool {
        let deadline_passed = self.drain_until.is_some_and(|until| now >= until);
        match self.control.state() {
            RunState::Serving => false,
            RunState::Draining { grace } if !deadline_passed && !self.transfers.is_empty() => {
                self.stop_listening();
                self.drain_until.get_or_insert(now + grace);
                false
            }
            RunState::Draining { .. } | RunState::Stopped => {
                self.stop_listening();
                self.transfers.abort_all(ErrorCode::NotDefined, now);
                self.dispatch().finish();
                true
            }
        }
    }

    fn stop_listening(&mut self) {
        self.admission.close();
        if !self.single_port {
            // Closing a socket removes it from the epoll set.
            self.listeners.clear();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [
            self.transfers.next_deadline(),
            self.admission.next_deadline(),
            self.drain_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes the results of commits.
    fn on_results(&mut self, now: Instant) {
        self.control.acknowledge();
        while let Some((id, result)) = self.commits.result() {
            self.transfers.committed(id, result, now);
        }
    }

    /// Receives one batch from each listening socket; further datagrams make it ready again.
    fn on_listeners(&mut self, inbox: &mut Inbox, now: Instant) {
        let mut dispatch = self.dispatch();
        let listeners = dispatch.listeners;
        for (index, listener) in listeners.iter().enumerate() {
            // EAGAIN, or the ICMP answer to an ERROR whose client is gone.
            let _ = inbox.receive(index, listener, |arrival| {
                dispatch.on_datagram(&arrival, index, now);
            });
        }
    }

    fn expire(&mut self, now: Instant) {
        self.transfers.expire(now);
        self.admission.expire_half_open(&mut self.transfers, now);
        while let Some(record) = self.admission.next_expired(now) {
            self.dispatch().finish();
            self.recorder.record(&record);
        }
    }

    /// Starts transfers of requests that waited: for content, if some may be ready, or for capacity.
    fn admit_waiting(&mut self, content: bool, now: Instant) {
        let mut dispatch = self.dispatch();
        dispatch.finish();
        if content {
            while let Some(verdict) = dispatch.admission.next_ready(dispatch.transfers, now) {
                dispatch.carry_out(verdict, now);
            }
        }
        dispatch.finish();
        while let Some(verdict) = dispatch.admission.next_queued(dispatch.transfers, now) {
            dispatch.carry_out(verdict, now);
            dispatch.finish();
        }
        // A transfer that was evicted by a retry that failed all the same is no reason for another
        // retry before its time.
        dispatch.collect();
    }

    fn dispatch(&mut self) -> Dispatch<'_> {
        Dispatch {
            admission: &mut self.admission,
            transfers: &mut self.transfers,
            recorder: &mut self.recorder,
            commits: &self.commits,
            listeners: &self.listeners,
            poller: &self.poller,
        }
    }
}

/// The join between admission and transfers.
struct Dispatch<'a> {
    admission: &'a mut Admission<Sockets>,
    transfers: &'a mut Transfers<TransferSocket>,
    recorder: &'a mut Recorder,
    commits: &'a CommitThread,
    listeners: &'a [Arc<UdpSocket>],
    poller: &'a Poller,
}

impl Dispatch<'_> {
    fn on_datagram(&mut self, arrival: &Arrival<'_>, listener: usize, now: Instant) {
        let admission = &mut *self.admission;
        match admission.on_datagram(arrival, listener, self.transfers, now) {
            Verdict::Deliver(id) => self.transfers.on_datagram(id, arrival.bytes, now),
            verdict => self.carry_out(verdict, now),
        }
    }

    fn carry_out(&mut self, verdict: Verdict<TransferSocket>, now: Instant) {
        match verdict {
            // A datagram is delivered where it was received.
            Verdict::Ignore | Verdict::Wait | Verdict::Deliver(_) => {}
            Verdict::Repeat(id) => self.transfers.repeat_first_reply(id, now),
            Verdict::Start(transfer, permit) => {
                let poller = self.poller;
                let watch = |socket: &TransferSocket, id| match socket.socket() {
                    Some(socket) => poller.add_transfer(socket, id),
                    None => Ok(()),
                };
                self.transfers.start(*transfer, permit, watch, now);
            }
            Verdict::Reject(reject) => self.reject(reject),
        }
    }

    /// Records a rejection, then sends an ERROR from the listening socket, which costs no port. The
    /// record is there when the client receives the ERROR. It is sent once, like any ERROR: the client repeats its
    /// request if it is lost.
    fn reject(&mut self, reject: Reject) {
        if let Some(record) = reject.record {
            self.finish();
            self.recorder.record(&record);
        }
        let path = reject.path;
        if let Some(code) = reject.code
            && let Some(listener) = self.listeners.get(path.listener)
        {
            let text = reject.text.as_deref().unwrap_or(code.text().as_bytes());
            let mut packet = Vec::new();
            Error { code, text }.encode(&mut packet);
            let _ = net::reply(listener, &packet, path.local, path.client);
        }
    }

    /// Takes over what transfers have left, and lets the queue retry if one has ended.
    fn finish(&mut self) {
        if self.collect() {
            self.admission.on_transfer_end();
        }
    }

    /// Takes over the files to commit, and the records of ended transfers; returns true if there
    /// was a record.
    fn collect(&mut self) -> bool {
        for commit in self.transfers.take_commits() {
            self.commits.commit(commit);
        }
        let mut has_ended = false;
        for record in self.transfers.take_ended() {
            self.recorder.record(&record);
            has_ended = true;
        }
        has_ended
    }
}
