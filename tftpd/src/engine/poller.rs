//! Readiness: one epoll, level-triggered, and one timer.
//!
//! Level-triggered, because a transfer with one block in flight has one datagram to read and no
//! second `recv` must be spent on learning that there is none. A timer of its own instead of a
//! time-out for each wait, because the kernel sets up and takes down a high-resolution timer for
//! every wait that has one: 12 % of the work for a block. This one is set only when a deadline
//! comes sooner than it, which is once in many round trips.

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

use super::{control::Control, id::TransferId};

/// Events taken in one turn.
const EVENTS: usize = 256;

/// Deadlines closer together than this are met together.
const GRAIN: Duration = Duration::from_millis(1);

/// A descriptor that is ready to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ready {
    Transfer(TransferId),
    Listener,
    Control,
}

pub(super) struct Poller {
    epoll: Epoll,
    events: Box<[EpollEvent; EVENTS]>,
    timer: TimerFd,
    /// The time at which the timer expires.
    armed: Option<Instant>,
}

/// User data of events of no transfer; identifiers of transfers have the top bit clear.
const CONTROL: u64 = 1 << 63;
const LISTENER: u64 = CONTROL | 1;
const TIMER: u64 = CONTROL | 2;

impl Poller {
    pub(super) fn new(control: &Control) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        epoll.add(control, EpollEvent::new(EpollFlags::EPOLLIN, CONTROL))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        let events = Box::new([EpollEvent::empty(); EVENTS]);
        Ok(Self {
            epoll,
            events,
            timer,
            armed: None,
        })
    }

    pub(super) fn add_listener(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?)
    }

    pub(super) fn add_transfer(&self, socket: impl AsFd, id: TransferId) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, id.to_bits()))?)
    }

    /// Waits until a descriptor is ready or `until` has passed; returns the number of ready ones.
    pub(super) fn wait(&mut self, until: Option<Instant>, now: Instant) -> io::Result<usize> {
        if let Some(until) = until {
            self.arm(until, now)?;
        }
        let count = match self.epoll.wait(&mut self.events[..], EpollTimeout::NONE) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        if self
            .events
            .iter()
            .take(count)
            .any(|event| event.data() == TIMER)
        {
            self.armed = None;
            self.timer.unset()?;
        }
        Ok(count)
    }

    /// Returns true if more descriptors may be ready than the `count` of one turn.
    pub(super) fn was_full(&self, count: usize) -> bool {
        count == self.events.len()
    }

    /// Returns the first `count` descriptors that were found ready.
    pub(super) fn ready(&self, count: usize) -> impl Iterator<Item = Ready> + '_ {
        self.events
            .iter()
            .take(count)
            .filter_map(|event| match event.data() {
                CONTROL => Some(Ready::Control),
                LISTENER => Some(Ready::Listener),
                TIMER => None,
                bits => Some(Ready::Transfer(TransferId::from_bits(bits))),
            })
    }

    /// Sets the timer, unless it expires by then already.
    fn arm(&mut self, until: Instant, now: Instant) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= until + GRAIN) {
            return Ok(());
        }
        // A timer set to zero is stopped.
        let wait = until
            .saturating_duration_since(now)
            .max(Duration::from_nanos(1));
        let once = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.timer.set(once, TimerSetTimeFlags::empty())?;
        self.armed = Some(until);
        Ok(())
    }
}
