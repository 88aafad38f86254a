//! The books behind their desk, shared by all clones of an allocator and by all leases.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::books::{Books, Ending};
use super::desk::{Desk, Place, Stock, Turn};
use super::sync::{Mutex, lock};
use super::{Clock, Failure, Stats, Ticket};
use crate::address::Space;
use crate::pool::{Counts, DrawError, ForeignCause, Grant, Held, Pool, PortState, Want};
use crate::strategy::Generator;

/// How often the line is offered what has come by itself: foreign ports and rests end by the second.
const TICK: Duration = Duration::from_secs(1);
/// Less than this is not worth sleeping for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// A pool, the generator that draws from it and the counters, under one lock.
///
/// One lock for all spaces, because a lease concerns every space that overlaps its own: with a
/// lock for each, a wildcard address would have to take them all, in order. Held for some tens of
/// nanoseconds beside microseconds of system calls, it is not what limits anything.
#[derive(Debug)]
pub(crate) struct Ledger {
    desk: Desk<Books>,
    range: usize,
    clock: Clock,
    /// The thread that looks after the line while there is one.
    attendant: Mutex<Option<thread::Thread>>,
}

/// A place in the line for a request; leaving it passes the turn on.
#[derive(Debug)]
pub(crate) struct InLine {
    ledger: Arc<Ledger>,
    want: Want,
    turn: Option<Turn>,
}

impl Ledger {
    pub(crate) fn new(pool: Pool, range: usize, generator: Generator, clock: Clock) -> Self {
        Self {
            desk: Desk::new(Books::new(pool, generator)),
            range,
            clock,
            attendant: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Leases what is wanted; after those who wait, unless it `had_its_turn`.
    ///
    /// Nothing gives the ports back before they are [`Ticket`]s.
    pub(crate) fn draw(
        &self,
        want: &Want,
        now: Instant,
        had_its_turn: bool,
    ) -> Result<Grant, DrawError> {
        let draw = |books: &mut Books| books.take(want, now);
        if had_its_turn {
            self.desk.with(draw)
        } else {
            self.desk.after_line(now, draw)
        }
    }

    /// Leases the foreign port that is next to be tried again, before its time.
    pub(crate) fn recheck(&self, want: &Want, now: Instant) -> Result<Grant, DrawError> {
        self.desk.with(|books| books.recheck(want, now))
    }

    /// Joins the line of those who wait; `None` when it is full.
    pub(crate) fn join(
        self: &Arc<Self>,
        want: &Want,
        until: Instant,
        place: Place,
        now: Instant,
    ) -> Option<InLine> {
        let turn = self.desk.join(want.clone(), until, place, now)?;
        let in_line = InLine {
            ledger: Arc::clone(self),
            want: want.clone(),
            turn: Some(turn),
        };
        // Without somebody to look after the line nobody would be told that its time is over.
        self.attend().ok().map(|()| in_line)
    }

    /// Tells the pool something of the world, and those who wait what has come of it.
    pub(crate) fn change_pool<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        let now = self.now();
        self.desk.give_back(now, |books| change(&mut books.pool))
    }

    /// Counts something in the statistics.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Stats)) {
        self.desk.with(|books| count(&mut books.stats));
    }

    pub(crate) fn count_failure(&self, failure: Failure) {
        self.count(|stats| stats.count(failure));
    }

    pub(crate) fn stats(&self) -> Stats {
        let waiting = self.desk.waiting();
        self.desk.with(|books| books.stats(self.range, waiting))
    }

    pub(crate) fn counts(&self, space: Space) -> Counts {
        self.desk.with(|books| books.pool.counts(space))
    }

    pub(crate) fn explain(&self, space: Space, port: u16) -> PortState {
        let now = self.now();
        self.desk.with(|books| books.pool.explain(space, port, now))
    }

    /// Sees to it that a thread looks after the line while there is one.
    fn attend(self: &Arc<Self>) -> std::io::Result<()> {
        let mut attendant = lock(&self.attendant);
        if let Some(thread) = &*attendant {
            // It may be asleep until later than the newcomer wants to wait.
            thread.unpark();
            return Ok(());
        }
        let ledger = Arc::downgrade(self);
        let thread = thread::Builder::new().name("eport-waiting".into());
        let handle = thread.spawn(move || look_after_line(&ledger))?;
        *attendant = Some(handle.thread().clone());
        Ok(())
    }

    /// Offers the line what has come by itself; how long until that should be done again, `None`
    /// if nobody waits.
    fn tick(&self) -> Option<Duration> {
        let now = self.now();
        if let Some(until) = self.desk.tick(now) {
            let pause = until.saturating_duration_since(now);
            return Some(pause.clamp(SHORTEST_PAUSE, TICK));
        }
        let mut attendant = lock(&self.attendant);
        if self.desk.waiting() > 0 {
            // Somebody has come in the meantime, and may have found the attendant still there.
            return Some(SHORTEST_PAUSE);
        }
        *attendant = None;
        None
    }
}

fn look_after_line(ledger: &Weak<Ledger>) {
    while let Some(pause) = ledger.upgrade().and_then(|ledger| ledger.tick()) {
        thread::park_timeout(pause);
    }
}

impl InLine {
    /// The ports, as soon as it is their turn.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Grant, DrawError>> {
        let Some(turn) = &self.turn else {
            return Poll::Pending;
        };
        let served = self.ledger.desk.poll(turn, waker);
        if served.is_ready() {
            self.turn = None;
        }
        served
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        if let Some(grant) = self.ledger.desk.leave(&turn) {
            for ticket in Ticket::of(&self.ledger, grant, &self.want) {
                ticket.cancel();
            }
        }
    }
}

impl Ticket {
    /// The right to a port in one of the spaces of a request.
    pub(crate) fn new(
        ledger: &Arc<Ledger>,
        held: Held,
        space: Space,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            port: held.port(),
            held: Some(held),
            space,
            peer,
        }
    }

    /// The rights to the ports of a request.
    pub(crate) fn of(ledger: &Arc<Ledger>, grant: Grant, want: &Want) -> Vec<Self> {
        // Those of a set are in its spaces, those of a pair in the same one.
        let spaces = want.spaces().chain(std::iter::repeat(want.space()));
        let ticket = |(held, space)| Self::new(ledger, held, space, want.peer_address());
        grant.into_iter().zip(spaces).map(ticket).collect()
    }

    /// Gives the port back as one that the system refused.
    pub(crate) fn refuse(mut self, cause: ForeignCause, now: Instant) {
        self.end(Ending::Refused(cause, now));
    }

    /// Gives the port back as one that was never used.
    pub(crate) fn cancel(mut self) {
        self.end(Ending::Unused);
    }

    /// Whether others have, or may have, sockets with the same port.
    pub(crate) fn is_shared(&self) -> bool {
        self.held.as_ref().is_some_and(Held::is_shared)
    }

    /// Whether this is the first lease of a port that others may share.
    pub(crate) fn is_first(&self) -> bool {
        self.held.as_ref().is_some_and(Held::is_first)
    }

    /// The port is bound: others may share it.
    pub(crate) fn opened(&self) {
        if let Some(held) = &self.held {
            self.ledger.desk.with(|books| books.pool.opened(held));
        }
    }

    pub(super) fn end(&mut self, ending: Ending) {
        if let Some(held) = self.held.take() {
            let now = self.ledger.now();
            let desk = &self.ledger.desk;
            desk.give_back(now, |books| books.end(held, ending, now));
        }
    }
}
