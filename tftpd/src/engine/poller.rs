//! Readiness: one epoll, level-triggered.
//!
//! Level-triggered, because a transfer with one block in flight has one datagram to read and no
//! second `recv` must be spent on learning that there is none.

use std::{io, os::fd::AsFd, time::Duration};

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};

use super::{control::Control, sessions::Key};

/// Events taken at one turn.
const EVENTS: usize = 256;

/// What is ready to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ready {
    Session(Key),
    Listener,
    Control,
}

pub(super) struct Poller {
    epoll: Epoll,
    events: Box<[EpollEvent; EVENTS]>,
}

/// Tags of events that belong to no session; keys of sessions never have the top bit set.
const CONTROL: u64 = 1 << 63;
const LISTENER: u64 = CONTROL | 1;

impl Poller {
    pub(super) fn new(control: &Control) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(control, EpollEvent::new(EpollFlags::EPOLLIN, CONTROL))?;
        Ok(Self {
            epoll,
            events: Box::new([EpollEvent::empty(); EVENTS]),
        })
    }

    pub(super) fn add_listener(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?)
    }

    pub(super) fn add_session(&self, socket: impl AsFd, key: Key) -> io::Result<()> {
        Ok(self
            .epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, key.to_bits()))?)
    }

    /// Waits until something is ready or `timeout` has passed; how many are ready.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        match self
            .epoll
            .wait(&mut self.events[..], whole_milliseconds(timeout))
        {
            Ok(count) => Ok(count),
            Err(Errno::EINTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether there may be more ready than the `count` that one turn takes.
    pub(super) fn was_full(&self, count: usize) -> bool {
        count == self.events.len()
    }

    /// The first `count` of what was found ready.
    pub(super) fn ready(&self, count: usize) -> impl Iterator<Item = Ready> + '_ {
        self.events
            .iter()
            .take(count)
            .map(|event| match event.data() {
                CONTROL => Ready::Control,
                LISTENER => Ready::Listener,
                bits => Ready::Session(Key::from_bits(bits)),
            })
    }
}

/// Rounded up: a timer that fires early would only be asked again.
fn whole_milliseconds(timeout: Option<Duration>) -> EpollTimeout {
    let Some(timeout) = timeout else {
        return EpollTimeout::NONE;
    };
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds)
        .ok()
        .and_then(|ms| EpollTimeout::try_from(ms).ok())
        .unwrap_or(EpollTimeout::MAX)
}
