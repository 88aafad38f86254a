//! How a request gets from a port to a socket, and how far it has come.

use std::borrow::Borrow;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Allocator, LeaseError, WhenFull};
use crate::address::Space;
use crate::bind::Cause;
use crate::lease::{Failure, InLine, Lease, Place, Ticket};
use crate::pool::{Counts, DrawError, ForeignCause, Grant, Held, Want};

/// A thread that waits looks at the clock at least this often, because a simulation's clock may
/// have moved on without it.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Makes the socket for a port.
pub(super) trait Open {
    type Socket;

    /// Binds to the address of the ticket, or says why that is impossible.
    fn open(&mut self, ticket: &Ticket) -> io::Result<Self::Socket>;
}

/// Why a request ends without a lease. Boxed, because results are passed along at every lease.
pub(super) type Failed = Box<LeaseError>;

/// One request on its way.
pub(super) struct Claim<A, O> {
    allocator: A,
    want: Want,
    open: O,
    /// All tries share a moment, so that no port that was refused comes back; it moves on when the
    /// request had to wait.
    now: Instant,
    begun: Instant,
    waits: Waits,
    rechecks: u32,
    in_use: u32,
    denied: u32,
    /// Ports refused when they were tried before their time. They are given back at the end, or the
    /// next of these tries could come upon them again.
    refused_early: Vec<(Ticket, ForeignCause)>,
}

/// Whether a request has waited.
enum Waits {
    Not,
    /// It must not, whatever the policy says.
    Never,
    InLine(Box<InLine>),
    /// It was handed a port; if that was of no use, it goes back to the front.
    HadItsTurn,
    TimedOut,
}

impl<A: Borrow<Allocator>, O: Open> Claim<A, O> {
    pub(super) fn new(allocator: A, want: Want, open: O) -> Self {
        let now = allocator.borrow().ledger.now();
        Self {
            allocator,
            want,
            open,
            now,
            begun: now,
            waits: Waits::Not,
            rechecks: 0,
            in_use: 0,
            denied: 0,
            refused_early: Vec::new(),
        }
    }

    /// The same request, which fails where it would have to wait.
    pub(super) fn never_waiting(self) -> Self {
        Self {
            waits: Waits::Never,
            ..self
        }
    }

    /// Leases one port, with the thread asleep while there is none.
    pub(super) fn one(self) -> Result<Lease<O::Socket>, LeaseError> {
        self.run(Self::poll_one)
    }

    /// Leases all ports of a set or a pair, with the thread asleep while there are none.
    pub(super) fn all(self) -> Result<Vec<Lease<O::Socket>>, LeaseError> {
        self.run(Self::poll_all)
    }

    fn run<T>(
        mut self,
        poll: impl Fn(&mut Self, &Waker) -> Poll<Result<T, Failed>>,
    ) -> Result<T, LeaseError> {
        if let Poll::Ready(result) = poll(&mut self, Waker::noop()) {
            return result.map_err(|error| *error);
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(result) = poll(&mut self, &waker) {
                return result.map_err(|error| *error);
            }
            let now = self.allocator.borrow().ledger.now();
            let patience = self.deadline().saturating_duration_since(now);
            thread::park_timeout(patience.min(LONGEST_NAP));
        }
    }

    /// Brings a request for one port as far as it goes; `waker` is called when it can go on.
    pub(super) fn poll_one(&mut self, waker: &Waker) -> Poll<Result<Lease<O::Socket>, Failed>> {
        loop {
            let grant = match self.next(waker) {
                Poll::Ready(Ok(grant)) => grant,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            // A request for one port is given one.
            for held in grant {
                let ticket = self.ticket(held, self.want.space());
                match self.open_one(ticket) {
                    Ok(lease) => return Poll::Ready(Ok(lease)),
                    Err(Some(error)) => return Poll::Ready(Err(error)),
                    Err(None) => {}
                }
            }
        }
    }

    /// Brings a request for several ports as far as it goes.
    fn poll_all(&mut self, waker: &Waker) -> Poll<Result<Vec<Lease<O::Socket>>, Failed>> {
        loop {
            let grant = match self.next(waker) {
                Poll::Ready(Ok(grant)) => grant,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            let tickets = Ticket::of(&self.allocator.borrow().ledger, grant, &self.want);
            match self.open_all(tickets) {
                Ok(leases) => return Poll::Ready(Ok(leases)),
                Err(Some(error)) => return Poll::Ready(Err(error)),
                Err(None) => {}
            }
        }
    }

    /// The next ports to try.
    fn next(&mut self, waker: &Waker) -> Poll<Result<Grant, Failed>> {
        if matches!(self.waits, Waits::InLine(_))
            && let Some(served) = self.next_in_line(waker)
        {
            return served;
        }
        match self.draw() {
            Ok(grant) => return Poll::Ready(Ok(grant)),
            Err(DrawError::Exhausted(_)) => {}
            Err(refusal) => return Poll::Ready(Err(self.refusal(refusal).into())),
        }
        match self.join() {
            Ok(line) => {
                self.waits = Waits::InLine(line);
                self.next(waker)
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// What the one in line is handed; nothing if it has waited long enough.
    fn next_in_line(&mut self, waker: &Waker) -> Option<Poll<Result<Grant, Failed>>> {
        let Waits::InLine(line) = &mut self.waits else {
            return None;
        };
        let served = line.poll(waker);
        let now = self.allocator.borrow().ledger.now();
        match served {
            Poll::Ready(Ok(grant)) => {
                self.now = now;
                self.waits = Waits::HadItsTurn;
                Some(Poll::Ready(Ok(grant)))
            }
            Poll::Ready(Err(refusal)) => Some(Poll::Ready(Err(self.refusal(refusal).into()))),
            Poll::Pending if now < self.deadline() => Some(Poll::Pending),
            Poll::Pending => {
                // One last look: foreign ports may have come free without anybody's doing.
                self.now = now;
                self.rechecks = 0;
                self.waits = Waits::TimedOut;
                None
            }
        }
    }

    fn ticket(&self, held: Held, space: Space) -> Ticket {
        let ledger = &self.allocator.borrow().ledger;
        Ticket::new(ledger, held, space, self.want.peer_address())
    }

    fn draw(&mut self) -> Result<Grant, DrawError> {
        let allocator = self.allocator.borrow();
        let had_its_turn = matches!(self.waits, Waits::HadItsTurn);
        let drawn = allocator
            .ledger
            .draw(&self.want, self.now, had_its_turn)
            .or_else(|refusal| match refusal {
                DrawError::Exhausted(_) if self.rechecks < allocator.early_rechecks => {
                    self.rechecks += 1;
                    allocator.ledger.recheck(&self.want, self.now)
                }
                refusal => Err(refusal),
            })?;
        if self.in_use + self.denied > 0 {
            allocator.ledger.count(|stats| stats.redraws += 1);
        }
        Ok(drawn)
    }

    /// Joins the line of those who wait, if the policy has one.
    fn join(&mut self) -> Result<Box<InLine>, Failed> {
        let allocator = self.allocator.borrow();
        let (place, is_new) = match (allocator.when_full, &self.waits) {
            (WhenFull::Wait { waiters, .. }, Waits::Not) => (Place::Back { most: waiters }, true),
            (WhenFull::Wait { .. }, Waits::HadItsTurn) => (Place::Front, false),
            _ => return Err(self.exhausted().into()),
        };
        let deadline = self.deadline();
        // The ports that were refused early are as good as any other now.
        self.settle();
        let allocator = self.allocator.borrow();
        let ledger = &allocator.ledger;
        let Some(line) = ledger.join(&self.want, deadline, place, self.now) else {
            ledger.count(|stats| stats.line_full += 1);
            let space = self.want.space();
            return Err(LeaseError::LineFull { space }.into());
        };
        ledger.count(|stats| stats.waits += u64::from(is_new));
        Ok(Box::new(line))
    }

    fn deadline(&self) -> Instant {
        let patience = match self.allocator.borrow().when_full {
            WhenFull::Wait { at_most, .. } => at_most,
            _ => Duration::ZERO,
        };
        self.begun.checked_add(patience).unwrap_or(self.begun)
    }

    /// Opens a socket for each ticket; without an error when a port was refused and another one is
    /// to be tried.
    fn open_all(&mut self, tickets: Vec<Ticket>) -> Result<Vec<Lease<O::Socket>>, Option<Failed>> {
        let mut leases = Vec::new();
        let mut tickets = tickets.into_iter();
        while let Some(ticket) = tickets.next() {
            match self.open_one(ticket) {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    leases.into_iter().for_each(Lease::abandon);
                    tickets.for_each(Ticket::cancel);
                    return Err(error);
                }
            }
        }
        Ok(leases)
    }

    fn open_one(&mut self, ticket: Ticket) -> Result<Lease<O::Socket>, Option<Failed>> {
        match self.open.open(&ticket) {
            Ok(socket) => {
                if ticket.is_first() {
                    ticket.opened();
                }
                Ok(Lease::new(socket, ticket))
            }
            Err(error) => Err(self.failed(ticket, error)),
        }
    }

    /// The system refused a port: the error that ends the request, if it does.
    fn failed(&mut self, ticket: Ticket, error: io::Error) -> Option<Failed> {
        let cause = match Cause::of(&error) {
            Cause::InUse => ForeignCause::InUse,
            Cause::Denied => ForeignCause::Denied,
            cause => {
                let space = ticket.space();
                ticket.cancel();
                return Some(self.broken(space, cause, error).into());
            }
        };
        match cause {
            ForeignCause::InUse => self.in_use += 1,
            ForeignCause::Denied => self.denied += 1,
        }
        let (space, port) = (ticket.space(), ticket.port());
        if self.rechecks > 0 {
            self.refused_early.push((ticket, cause));
        } else {
            ticket.refuse(cause, self.now);
        }
        self.want.exact_port()?;
        let state = self.allocator.borrow().explain(space, port);
        Some(LeaseError::PortUnavailable { space, port, state }.into())
    }

    /// Something else failed than the port.
    fn broken(&self, space: Space, cause: Cause, source: io::Error) -> LeaseError {
        let local = space.local();
        let (failure, error) = match cause {
            Cause::NotLocal => (Failure::NotLocal, LeaseError::NotLocal { local, source }),
            Cause::NoDescriptors => (Failure::NoDescriptors, LeaseError::NoDescriptors { source }),
            Cause::NoMemory => (Failure::NoMemory, LeaseError::NoMemory { source }),
            Cause::NoFamily => (
                Failure::Other,
                LeaseError::FamilyNotSupported { local, source },
            ),
            Cause::NoProtocol => {
                let protocol = space.protocol();
                (
                    Failure::Other,
                    LeaseError::ProtocolNotSupported { protocol, source },
                )
            }
            Cause::InUse | Cause::Denied | Cause::Other => {
                (Failure::Other, LeaseError::Io { space, source })
            }
        };
        self.allocator.borrow().ledger.count_failure(failure);
        error
    }

    fn refusal(&self, refusal: DrawError) -> LeaseError {
        self.allocator.borrow().refusal(&self.want, refusal)
    }

    fn exhausted(&mut self) -> LeaseError {
        self.settle();
        let ledger = &self.allocator.borrow().ledger;
        let counts = |space| ledger.counts(space);
        let spaces = self.want.spaces().map(|space| (space, counts(space)));
        let tightest = spaces.min_by_key(|(_, counts)| counts.free);
        let (space, counts) = tightest.unwrap_or((self.want.space(), Counts::default()));
        let timed_out = matches!(self.waits, Waits::TimedOut);
        ledger.count(|stats| {
            stats.exhausted += 1;
            stats.timed_out += u64::from(timed_out);
        });
        if timed_out {
            let waited = ledger.now().saturating_duration_since(self.begun);
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

    /// Gives back what is still held.
    fn settle(&mut self) {
        for (ticket, cause) in self.refused_early.drain(..) {
            ticket.refuse(cause, self.now);
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
