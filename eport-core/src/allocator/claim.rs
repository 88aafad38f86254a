//! One request on its way from drawn ports to bound sockets.

use std::borrow::Borrow;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Allocator, LeaseError};
use crate::address::Space;
use crate::bind::Cause;
use crate::lease::{FailureKind, Lease, PortGuard, Position, Waiting};
use crate::pool::{Counts, DrawError, ForeignCause, Grant, PoolLease, PoolRequest};

/// The longest sleep of a thread that waits: a simulation's clock may move without waking it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Makes the socket for a port.
pub(super) trait Open {
    type Socket;

    /// Binds a socket to the address of the guard.
    fn open(&mut self, guard: &PortGuard) -> io::Result<Self::Socket>;
}

/// The result of a request; the error is boxed, because results are passed along at every lease.
type Leased<T> = Result<T, Box<LeaseError>>;

/// One request.
pub(super) struct Claim<A, O> {
    allocator: A,
    request: PoolRequest,
    open: O,
    /// The moment of all tries, so that the rest of a refused port does not end between two of them;
    /// it is updated when the request had to wait.
    now: Instant,
    begun: Instant,
    wait_state: WaitState,
    rechecks: u32,
    in_use: u32,
    denied: u32,
    /// Ports refused when they were tried before their rest ended. They are given back at the end, so
    /// that the next of these tries does not draw them again.
    refused_early: Vec<(PortGuard, ForeignCause)>,
}

/// The progress of a request through the queue of waiters.
enum WaitState {
    NotYet,
    /// It must not wait, even if the policy has a queue.
    Never,
    Waiting(Box<Waiting>),
    /// It was handed a port; if that cannot be bound, it goes back to the front.
    Served,
    TimedOut,
}

impl<A: Borrow<Allocator>, O: Open> Claim<A, O> {
    pub(super) fn new(allocator: A, request: PoolRequest, open: O) -> Self {
        let now = allocator.borrow().shared.now();
        Self {
            allocator,
            request,
            open,
            now,
            begun: now,
            wait_state: WaitState::NotYet,
            rechecks: 0,
            in_use: 0,
            denied: 0,
            refused_early: Vec::new(),
        }
    }

    /// Makes the request fail where it would have to wait.
    pub(super) fn never_waiting(self) -> Self {
        Self {
            wait_state: WaitState::Never,
            ..self
        }
    }

    /// Leases one port; the thread sleeps while there is none.
    pub(super) fn lease_one(self) -> Result<Lease<O::Socket>, LeaseError> {
        self.run(Self::poll_one)
    }

    /// Leases all ports of a set or a pair; the thread sleeps while there are none.
    pub(super) fn lease_all(self) -> Result<Vec<Lease<O::Socket>>, LeaseError> {
        self.run(Self::poll_all)
    }

    fn run<T>(
        mut self,
        poll: impl Fn(&mut Self, &Waker) -> Poll<Leased<T>>,
    ) -> Result<T, LeaseError> {
        if let Poll::Ready(result) = poll(&mut self, Waker::noop()) {
            return result.map_err(|error| *error);
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(result) = poll(&mut self, &waker) {
                return result.map_err(|error| *error);
            }
            let now = self.allocator.borrow().shared.now();
            let patience = self.deadline().saturating_duration_since(now);
            thread::park_timeout(patience.min(LONGEST_SLEEP));
        }
    }

    /// Advances a request for one port as far as possible; `waker` is called when it can go on.
    pub(super) fn poll_one(&mut self, waker: &Waker) -> Poll<Leased<Lease<O::Socket>>> {
        loop {
            let grant = match self.next(waker) {
                Poll::Ready(Ok(grant)) => grant,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            // A request for one port is given one.
            for lease in grant {
                let guard = self.guard(lease, self.request.space());
                match self.open_one(guard) {
                    Ok(lease) => return Poll::Ready(Ok(lease)),
                    Err(Some(error)) => return Poll::Ready(Err(error)),
                    Err(None) => {}
                }
            }
        }
    }

    /// Advances a request for several ports as far as possible.
    fn poll_all(&mut self, waker: &Waker) -> Poll<Leased<Vec<Lease<O::Socket>>>> {
        loop {
            let grant = match self.next(waker) {
                Poll::Ready(Ok(grant)) => grant,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            let guards =
                PortGuard::from_grant(&self.allocator.borrow().shared, grant, &self.request);
            match self.open_all(guards) {
                Ok(leases) => return Poll::Ready(Ok(leases)),
                Err(Some(error)) => return Poll::Ready(Err(error)),
                Err(None) => {}
            }
        }
    }

    /// Returns the next ports to try.
    fn next(&mut self, waker: &Waker) -> Poll<Leased<Grant>> {
        if matches!(self.wait_state, WaitState::Waiting(_))
            && let Some(served) = self.next_served(waker)
        {
            return served;
        }
        match self.draw() {
            Ok(grant) => return Poll::Ready(Ok(grant)),
            Err(DrawError::Exhausted(_)) => {}
            Err(error) => return Poll::Ready(Err(self.lease_error(error).into())),
        }
        match self.join() {
            Ok(waiting) => {
                self.wait_state = WaitState::Waiting(waiting);
                self.next(waker)
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Returns the ports that the queue has handed out; `None` if the wait has timed out.
    fn next_served(&mut self, waker: &Waker) -> Option<Poll<Leased<Grant>>> {
        let WaitState::Waiting(waiting) = &mut self.wait_state else {
            return None;
        };
        let served = waiting.poll(waker);
        let now = self.allocator.borrow().shared.now();
        match served {
            Poll::Ready(Ok(grant)) => {
                self.now = now;
                self.wait_state = WaitState::Served;
                Some(Poll::Ready(Ok(grant)))
            }
            Poll::Ready(Err(error)) => Some(Poll::Ready(Err(self.lease_error(error).into()))),
            Poll::Pending if now < self.deadline() => Some(Poll::Pending),
            Poll::Pending => {
                // One last draw: the rests of foreign ports end by time alone.
                self.now = now;
                self.rechecks = 0;
                self.wait_state = WaitState::TimedOut;
                None
            }
        }
    }

    fn guard(&self, lease: PoolLease, space: Space) -> PortGuard {
        let shared = &self.allocator.borrow().shared;
        PortGuard::new(shared, lease, space, self.request.peer_address())
    }

    fn draw(&mut self) -> Result<Grant, DrawError> {
        let allocator = self.allocator.borrow();
        let was_served = matches!(self.wait_state, WaitState::Served);
        let drawn = allocator
            .shared
            .draw(&self.request, self.now, was_served)
            .or_else(|error| match error {
                DrawError::Exhausted(_) if self.rechecks < allocator.early_rechecks => {
                    self.rechecks += 1;
                    allocator.shared.recheck(&self.request, self.now)
                }
                error => Err(error),
            })?;
        if self.in_use + self.denied > 0 {
            allocator.shared.count(|stats| stats.redraws += 1);
        }
        Ok(drawn)
    }

    /// Joins the queue of waiters, if the policy has one.
    fn join(&mut self) -> Result<Box<Waiting>, Box<LeaseError>> {
        let allocator = self.allocator.borrow();
        let (position, is_new) = match (allocator.when_full.wait, &self.wait_state) {
            (Some(limits), WaitState::NotYet) => {
                let most = limits.waiters;
                (Position::Back { most }, true)
            }
            (Some(_), WaitState::Served) => (Position::Front, false),
            _ => return Err(self.exhausted().into()),
        };
        let deadline = self.deadline();
        // From now on, ports that were refused early may be drawn again.
        self.give_back_refused();
        let allocator = self.allocator.borrow();
        let shared = &allocator.shared;
        let Some(waiting) = shared.join(&self.request, deadline, position, self.now) else {
            shared.count(|stats| stats.queue_full += 1);
            let space = self.request.space();
            return Err(LeaseError::QueueFull { space }.into());
        };
        shared.count(|stats| stats.waits += u64::from(is_new));
        Ok(Box::new(waiting))
    }

    fn deadline(&self) -> Instant {
        let wait = self.allocator.borrow().when_full.wait;
        let patience = wait.map_or(Duration::ZERO, |limits| limits.timeout);
        self.begun.checked_add(patience).unwrap_or(self.begun)
    }

    /// Opens a socket for each guard; `Err(None)` when a port was refused and another one is to be
    /// tried.
    fn open_all(
        &mut self,
        guards: Vec<PortGuard>,
    ) -> Result<Vec<Lease<O::Socket>>, Option<Box<LeaseError>>> {
        let mut leases = Vec::new();
        let mut guards = guards.into_iter();
        while let Some(guard) = guards.next() {
            match self.open_one(guard) {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    leases.into_iter().for_each(Lease::abandon);
                    guards.for_each(PortGuard::cancel);
                    return Err(error);
                }
            }
        }
        Ok(leases)
    }

    fn open_one(&mut self, guard: PortGuard) -> Result<Lease<O::Socket>, Option<Box<LeaseError>>> {
        match self.open.open(&guard) {
            Ok(socket) => {
                if guard.is_first() {
                    guard.open_group();
                }
                Ok(Lease::new(socket, guard))
            }
            Err(error) => Err(self.failed(guard, error)),
        }
    }

    /// Handles a failed bind; returns the error that ends the request, if it does.
    fn failed(&mut self, guard: PortGuard, error: io::Error) -> Option<Box<LeaseError>> {
        let cause = match Cause::from_error(&error) {
            Cause::InUse => ForeignCause::InUse,
            Cause::Denied => ForeignCause::Denied,
            cause => {
                let space = guard.space();
                guard.cancel();
                return Some(self.broken(space, cause, error).into());
            }
        };
        match cause {
            ForeignCause::InUse => self.in_use += 1,
            ForeignCause::Denied => self.denied += 1,
        }
        let (space, port) = (guard.space(), guard.port());
        if self.rechecks > 0 {
            self.refused_early.push((guard, cause));
        } else {
            guard.refuse(cause, self.now);
        }
        self.request.exact_port()?;
        let state = self.allocator.borrow().explain(space, port);
        Some(LeaseError::PortUnavailable { space, port, state }.into())
    }

    /// Converts and counts a failure that does not concern the port.
    fn broken(&self, space: Space, cause: Cause, source: io::Error) -> LeaseError {
        let local = space.local();
        let (failure, error) = match cause {
            Cause::NotLocal => (
                FailureKind::NotLocal,
                LeaseError::NotLocal { local, source },
            ),
            Cause::NoDescriptors => (
                FailureKind::NoDescriptors,
                LeaseError::NoDescriptors { source },
            ),
            Cause::NoMemory => (FailureKind::NoMemory, LeaseError::NoMemory { source }),
            Cause::NoFamily => (
                FailureKind::Other,
                LeaseError::FamilyNotSupported { local, source },
            ),
            Cause::NoProtocol => {
                let protocol = space.protocol();
                (
                    FailureKind::Other,
                    LeaseError::ProtocolNotSupported { protocol, source },
                )
            }
            Cause::InUse | Cause::Denied | Cause::Other => {
                (FailureKind::Other, LeaseError::Io { space, source })
            }
        };
        self.allocator.borrow().shared.count_failure(failure);
        error
    }

    fn lease_error(&self, error: DrawError) -> LeaseError {
        self.allocator.borrow().lease_error(&self.request, error)
    }

    fn exhausted(&mut self) -> LeaseError {
        self.give_back_refused();
        let shared = &self.allocator.borrow().shared;
        let counts = |space| shared.counts(space);
        let spaces = self.request.spaces().map(|space| (space, counts(space)));
        let tightest = spaces.min_by_key(|(_, counts)| counts.free);
        let (space, counts) = tightest.unwrap_or((self.request.space(), Counts::default()));
        let timed_out = matches!(self.wait_state, WaitState::TimedOut);
        shared.count(|stats| {
            stats.exhausted += 1;
            stats.timed_out += u64::from(timed_out);
        });
        if timed_out {
            let waited = shared.now().saturating_duration_since(self.begun);
            return LeaseError::TimedOut {
                space,
                counts,
                waited,
            };
        }
        LeaseError::Exhausted {
            space,
            counts,
            in_use: self.in_use,
            denied: self.denied,
        }
    }

    /// Gives back the ports that were refused early.
    fn give_back_refused(&mut self) {
        for (guard, cause) in self.refused_early.drain(..) {
            guard.refuse(cause, self.now);
        }
    }
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::task::{Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use crate::address::Space;
    use crate::lease::{PortGuard, Position, Shared};
    use crate::plan::plan;
    use crate::policy::{Clock, PortPolicy, Sharing, WhenFull};
    use crate::pool::{Pool, PoolRequest};
    use crate::ports::Reserved;
    use crate::strategy::Generator;
    use crate::system;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the timer thread runs in real time"
    )]
    fn a_waiter_is_served_when_the_only_port_is_opened_for_sharing() {
        let now = system::now();
        let policy = PortPolicy::default().when_full(WhenFull::FAIL.share(Sharing::last_ports(1)));
        let ports = "50000".parse().expect("ports");
        let plan = plan(&ports, None, &Reserved::default()).expect("a plan");
        let pool = Pool::new(&plan, policy, now);
        let clock = Clock::new(move || now);
        let shared = Arc::new(Shared::new(pool, 1, Generator::repeatable([7; 32]), clock));
        let request = |host| {
            let peer = SocketAddr::from(([127, 0, 0, host], 4000));
            let request = PoolRequest::new(Space::udp(Ipv4Addr::LOCALHOST));
            request.peer(Some(peer)).shareable(true)
        };
        let (first, second) = (request(2), request(3));
        let grant = shared.draw(&first, now, false).expect("free");
        let guards = PortGuard::from_grant(&shared, grant, &first);

        let until = now + Duration::from_secs(60);
        let waiting = shared.join(&second, until, Position::Back { most: 1 }, now);
        let mut waiting = waiting.expect("the queue is empty");
        // The timer thread serves waiters when it begins, and again after a second.
        thread::sleep(Duration::from_millis(20));
        assert!(waiting.poll(Waker::noop()).is_pending());
        guards.first().expect("one port").open_group();
        let Poll::Ready(Ok(grant)) = waiting.poll(Waker::noop()) else {
            panic!("it is not served");
        };
        for guard in PortGuard::from_grant(&shared, grant, &second) {
            guard.cancel();
        }
    }
}
