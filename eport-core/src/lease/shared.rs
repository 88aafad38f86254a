//! The state that all clones of an allocator and all leases share.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::locked::{Ending, Locked};
use super::sync::{Mutex, lock};
use super::wait_queue::{Position, Resource, WaitQueue, WaiterId};
use super::{FailureKind, PortGuard, Stats};
use crate::address::Space;
use crate::policy::Clock;
use crate::pool::{
    Counts, DrawError, ForeignCause, Grant, Pool, PoolLease, PoolRequest, PortState,
};
use crate::strategy::Generator;

/// Interval at which waiters are served with ports that became free by time alone: the rests of
/// foreign and used ports end by the second.
const TICK: Duration = Duration::from_secs(1);
/// The shortest sleep of the timer thread.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// A pool, the generator that draws from it and the counters, under one lock.
///
/// There is one lock for all spaces, because a lease concerns every space that overlaps its own: with
/// a lock for each, a wildcard address would have to take them all, in order. It is held for some tens
/// of nanoseconds beside microseconds of system calls, so it is not the bottleneck.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: WaitQueue<Locked>,
    range: usize,
    clock: Clock,
    /// The thread that times waiters out, while there are any.
    timer_thread: Mutex<Option<thread::Thread>>,
}

/// A request in the queue; dropping it leaves the queue, and the next waiter gets its ports.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    request: PoolRequest,
    id: Option<WaiterId>,
}

impl Shared {
    pub(crate) fn new(pool: Pool, range: usize, generator: Generator, clock: Clock) -> Self {
        Self {
            queue: WaitQueue::new(Locked::new(pool, generator)),
            range,
            clock,
            timer_thread: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Leases the requested ports; after all waiters, unless the request `was_served` from the queue
    /// already.
    ///
    /// The ports are not given back by dropping them before they are [`PortGuard`]s.
    pub(crate) fn draw(
        &self,
        request: &PoolRequest,
        now: Instant,
        was_served: bool,
    ) -> Result<Grant, DrawError> {
        let draw = |locked: &mut Locked| locked.take(request, now);
        if was_served {
            self.queue.with(draw)
        } else {
            self.queue.after_waiters(now, draw)
        }
    }

    /// Leases the foreign port whose rest ends first, before it ends.
    pub(crate) fn recheck(&self, request: &PoolRequest, now: Instant) -> Result<Grant, DrawError> {
        self.queue.with(|locked| locked.recheck(request, now))
    }

    /// Adds a request to the queue; `None` when the queue is full.
    pub(crate) fn join(
        self: &Arc<Self>,
        request: &PoolRequest,
        until: Instant,
        position: Position,
        now: Instant,
    ) -> Option<Waiting> {
        let id = self.queue.join(request.clone(), until, position, now)?;
        let waiting = Waiting {
            shared: Arc::clone(self),
            request: request.clone(),
            id: Some(id),
        };
        // Without the timer thread, waiters would never time out.
        self.ensure_timer_thread().ok().map(|()| waiting)
    }

    /// Changes the pool, and serves waiters with the ports that became free by the change.
    pub(crate) fn change_pool<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        let now = self.now();
        self.queue.give_back(now, |locked| change(&mut locked.pool))
    }

    /// Changes the counters.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Stats)) {
        self.queue.with(|locked| count(&mut locked.stats));
    }

    pub(crate) fn count_failure(&self, failure: FailureKind) {
        self.count(|stats| stats.count(failure));
    }

    pub(crate) fn stats(&self) -> Stats {
        let waiting = self.queue.waiting();
        self.queue.with(|locked| locked.stats(self.range, waiting))
    }

    pub(crate) fn counts(&self, space: Space) -> Counts {
        self.queue.with(|locked| locked.pool.counts(space))
    }

    pub(crate) fn explain(&self, space: Space, port: u16) -> PortState {
        let now = self.now();
        self.queue
            .with(|locked| locked.pool.explain(space, port, now))
    }

    /// Starts the timer thread if there is none.
    fn ensure_timer_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let mut timer_thread = lock(&self.timer_thread);
        if let Some(thread) = &*timer_thread {
            // It may sleep until after the time-out of the new waiter.
            thread.unpark();
            return Ok(());
        }
        let shared = Arc::downgrade(self);
        let thread = thread::Builder::new().name("eport-waiting".into());
        let handle = thread.spawn(move || run_timer(&shared))?;
        *timer_thread = Some(handle.thread().clone());
        Ok(())
    }

    /// Serves and times out waiters; returns the time until the next call, `None` if there are no
    /// waiters.
    fn tick(&self) -> Option<Duration> {
        let now = self.now();
        if let Some(until) = self.queue.tick(now) {
            let pause = until.saturating_duration_since(now);
            return Some(pause.clamp(SHORTEST_PAUSE, TICK));
        }
        let mut timer_thread = lock(&self.timer_thread);
        if self.queue.waiting() > 0 {
            // A waiter joined after `tick`, and may have found this thread still registered.
            return Some(SHORTEST_PAUSE);
        }
        *timer_thread = None;
        None
    }
}

fn run_timer(shared: &Weak<Shared>) {
    while let Some(pause) = shared.upgrade().and_then(|shared| shared.tick()) {
        thread::park_timeout(pause);
    }
}

impl Waiting {
    /// Returns the ports as soon as the queue has handed them out.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Grant, DrawError>> {
        let Some(id) = &self.id else {
            return Poll::Pending;
        };
        let served = self.shared.queue.poll(id, waker);
        if served.is_ready() {
            self.id = None;
        }
        served
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        if let Some(grant) = self.shared.queue.leave(&id) {
            for guard in PortGuard::from_grant(&self.shared, grant, &self.request) {
                guard.cancel();
            }
        }
    }
}

impl PortGuard {
    /// Makes the guard of a port in one of the spaces of a request.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        lease: PoolLease,
        space: Space,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            port: lease.port(),
            lease: Some(lease),
            space,
            peer,
        }
    }

    /// Makes the guards of all ports of a request.
    pub(crate) fn from_grant(
        shared: &Arc<Shared>,
        grant: Grant,
        request: &PoolRequest,
    ) -> Vec<Self> {
        // Those of a set are in its spaces, those of a pair in the same one.
        let spaces = request.spaces().chain(std::iter::repeat(request.space()));
        let guard = |(lease, space)| Self::new(shared, lease, space, request.peer_address());
        grant.into_iter().zip(spaces).map(guard).collect()
    }

    /// Gives the port back as one that the system refused.
    pub(crate) fn refuse(mut self, cause: ForeignCause, now: Instant) {
        self.end(Ending::Refused(cause, now));
    }

    /// Gives the port back as one that was never used.
    pub(crate) fn cancel(mut self) {
        self.end(Ending::Unused);
    }

    /// Returns true if other sockets have, or may get, the same port.
    pub(crate) fn is_shared(&self) -> bool {
        self.lease.as_ref().is_some_and(PoolLease::is_shared)
    }

    /// Returns true for the first lease of a port that others may share.
    pub(crate) fn is_first(&self) -> bool {
        self.lease.as_ref().is_some_and(PoolLease::is_first)
    }

    /// Lets other peers share the port, which is bound now; waiters are the first of them.
    pub(crate) fn open_group(&self) {
        if let Some(lease) = &self.lease {
            self.shared.change_pool(|pool| pool.open_group(lease));
        }
    }

    pub(super) fn end(&mut self, ending: Ending) {
        if let Some(lease) = self.lease.take() {
            let now = self.shared.now();
            let queue = &self.shared.queue;
            queue.give_back(now, |locked| locked.end(lease, ending, now));
        }
    }
}
