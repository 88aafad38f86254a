//! How many sessions may wait for their first sign of life.

mod age_list;

use std::{
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use super::network::{Network, PrefixLengths, Spread};
use age_list::{AgeList, Handle};

/// The sessions to which nothing was acknowledged yet, each with its share of the server.
///
/// Anyone can send a request in the name of anyone. Until the first ACK a session may be such a
/// forgery, and the server the tool of a flood; so it counts here from its request to its first
/// ACK, like a half-open connection in a SYN cache:
///
/// - a neighbourhood has at most its share. More are **refused** in silence: a client asks again,
///   and a victim of forged requests gets no more packets than the share sends;
/// - a session that hears nothing within its life **expires**;
/// - where the total is reached, the oldest session is **evicted** for the newest: real clients
///   answer within a round trip, so the oldest is the one most likely forged.
///
/// Neighbourhoods are counted in a table of fixed size, two places for each session; those that
/// meet in one place share its share. The secret keeps strangers from choosing where they meet.
/// Every call is O(1), and no number of addresses makes it grow.
///
/// ```
/// use std::time::Instant;
/// use tftpd::policy::limit::{Admission, HalfOpen, HalfOpenLimits};
///
/// let now = Instant::now();
/// let mut half_open = HalfOpen::new(HalfOpenLimits::default(), [1, 2]); // in earnest: random
/// let Admission::Granted { ticket, evicted: None } = half_open.admit([10, 0, 3, 7].into(), "a", now)
/// else { panic!("there is room") };
/// assert_eq!(half_open.settle(ticket), Some("a")); // its first ACK came
/// assert!(half_open.is_empty());
/// ```
#[derive(Debug)]
pub struct HalfOpen<T> {
    limits: HalfOpenLimits,
    spread: Spread,
    /// How many sessions each place of the table counts.
    shares: Box<[u32]>,
    sessions: AgeList<Waiting<T>>,
}

/// What [`HalfOpen`] holds sessions to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HalfOpenLimits {
    /// The most sessions of one neighbourhood.
    pub per_prefix: NonZeroU32,
    /// The most sessions of all.
    pub total: NonZeroU32,
    /// How long a session may wait.
    pub life: Duration,
    /// What a neighbourhood is.
    pub prefixes: PrefixLengths,
}

/// The place of one session, to [`settle`](HalfOpen::settle) it by. A ticket of a session that is
/// gone does nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket(Handle);

/// Whether a session may begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: a session is granted or refused, and callers must handle both"
)]
pub enum Admission<T> {
    /// It may.
    Granted {
        /// To be kept with the session.
        ticket: Ticket,
        /// The session that has to end for it.
        evicted: Option<T>,
    },
    /// Its neighbourhood has its share: no answer.
    Refused {
        /// The session that is not to be.
        session: T,
        /// Whose share is used up.
        prefix: Network,
    },
}

#[derive(Debug)]
struct Waiting<T> {
    session: T,
    share: usize,
    /// `None` if that is beyond what the clock can say.
    expires: Option<Instant>,
}

impl<T> HalfOpen<T> {
    /// Nothing waits yet; `secret` is random.
    pub fn new(limits: HalfOpenLimits, secret: [u64; 2]) -> Self {
        let shares = limits.total.get().saturating_mul(2);
        Self {
            limits,
            spread: Spread::new(secret),
            shares: (0..shares).map(|_| 0).collect(),
            sessions: AgeList::new(limits.total),
        }
    }

    /// Counts a session that begins, if it may. What has [`expired`](Self::expired) counts until
    /// it is taken out.
    pub fn admit(&mut self, client: IpAddr, session: T, now: Instant) -> Admission<T> {
        let prefix = self.limits.prefixes.around(client);
        let share = self.spread.place(&prefix, self.shares.len());
        if self.shares.get(share).copied() >= Some(self.limits.per_prefix.get()) {
            return Admission::Refused { session, prefix };
        }
        let evicted = if self.sessions.is_full() {
            self.oldest()
        } else {
            None
        };
        if let Some(count) = self.shares.get_mut(share) {
            *count += 1;
        }
        let handle = self.sessions.push(Waiting {
            session,
            share,
            expires: now.checked_add(self.limits.life),
        });
        Admission::Granted {
            ticket: Ticket(handle),
            evicted,
        }
    }

    /// Counts a session no longer: it was acknowledged, or it ended. `None` if it had expired or
    /// been evicted before.
    pub fn settle(&mut self, ticket: Ticket) -> Option<T> {
        let waiting = self.sessions.remove(ticket.0)?;
        Some(self.release(waiting))
    }

    /// Takes out one session whose life is over; to be called until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        self.next_expiry().filter(|&at| at <= now)?;
        self.oldest()
    }

    /// When the next session expires, if none is settled before.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.sessions.oldest()?.expires
    }

    /// How many sessions wait.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn oldest(&mut self) -> Option<T> {
        let waiting = self.sessions.pop_oldest()?;
        Some(self.release(waiting))
    }

    fn release(&mut self, waiting: Waiting<T>) -> T {
        if let Some(count) = self.shares.get_mut(waiting.share) {
            *count -= 1;
        }
        waiting.session
    }
}

impl Default for HalfOpenLimits {
    /// 2048 sessions, 128 of them in one neighbourhood, for 5 seconds: room for a rack that boots
    /// at once, and for three transmissions to each.
    fn default() -> Self {
        Self {
            per_prefix: const { NonZeroU32::new(128).unwrap() },
            total: const { NonZeroU32::new(2048).unwrap() },
            life: Duration::from_secs(5),
            prefixes: PrefixLengths::default(),
        }
    }
}

#[cfg(test)]
mod tests;
