//! How far one request has come.

use std::net::SocketAddr;
use std::time::Instant;

use crate::lease::{Attempt, Ticket};
use crate::pool::{ForeignCause, Space};

/// The tries of one request.
pub(super) struct Tries {
    attempt: Attempt,
    rechecks: u32,
    in_use: u32,
    denied: u32,
    /// Ports refused when they were tried before their time. They are given back at the end, or the
    /// next of these tries could come upon them again.
    refused_early: Vec<(Ticket, ForeignCause)>,
}

impl Tries {
    pub(super) const fn new(space: Space, peer: Option<SocketAddr>, now: Instant) -> Self {
        let attempt = Attempt {
            space,
            peer,
            now,
            is_first: true,
        };
        Self {
            attempt,
            rechecks: 0,
            in_use: 0,
            denied: 0,
            refused_early: Vec::new(),
        }
    }

    pub(super) const fn space(&self) -> Space {
        self.attempt.space
    }

    /// What the next draw is for.
    pub(super) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// What the next try before its time is for, if fewer than `most` were made.
    pub(super) fn recheck(&mut self, most: u32) -> Option<Attempt> {
        let attempt = (self.rechecks < most).then_some(self.attempt);
        self.rechecks += u32::from(attempt.is_some());
        attempt
    }

    /// The system refused the port.
    pub(super) fn refused(&mut self, ticket: Ticket, cause: ForeignCause) {
        match cause {
            ForeignCause::InUse => self.in_use += 1,
            ForeignCause::Denied => self.denied += 1,
        }
        self.attempt.is_first = false;
        if self.rechecks > 0 {
            self.refused_early.push((ticket, cause));
        } else {
            ticket.refuse(cause, self.attempt.now);
        }
    }

    /// Gives back what is still held, and says how many ports were in use and denied.
    pub(super) fn settle(&mut self) -> (u32, u32) {
        for (ticket, cause) in self.refused_early.drain(..) {
            ticket.refuse(cause, self.attempt.now);
        }
        (self.in_use, self.denied)
    }
}

impl Drop for Tries {
    fn drop(&mut self) {
        self.settle();
    }
}
