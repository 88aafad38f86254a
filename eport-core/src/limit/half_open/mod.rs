//! Conversations whose client has not answered yet.

mod age_list;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use age_list::{AgeList, Handle};

use super::{Prefix, PrefixLengths, PrefixTable};

/// The conversations without an answer of the client, each counted against the share of its prefix.
///
/// The source address of a request can be forged. Until the client answers, a conversation may be
/// such a forgery, and the server part of a flood; so it counts here from its request to the first
/// answer, like a half-open connection in a SYN cache:
///
/// - a prefix has at most its share. More are **refused** without an answer: a client asks again,
///   and the victim of forged requests gets no more packets than the share sends;
/// - a conversation without an answer within its life **expires**;
/// - where the total is reached, the oldest conversation is **evicted** for the newest: real clients
///   answer within a round trip, so the oldest is the one most likely forged.
///
/// Prefixes are counted in a [`PrefixTable`] with two slots for each conversation; those whose hashes
/// collide share a share. Every call is O(1), and no number of addresses makes the table grow.
///
/// ```
/// use std::time::Instant;
/// use eport_core::limit::{HalfOpenAdmission, HalfOpen, HalfOpenLimits};
///
/// let now = Instant::now();
/// let mut half_open = HalfOpen::new(HalfOpenLimits::default(), [1, 2]); // in earnest: random
/// let HalfOpenAdmission::Granted { entry, evicted: None } = half_open.admit([10, 0, 3, 7].into(), "a", now)
/// else { panic!("there is room") };
/// assert_eq!(half_open.settle(entry), Some("a")); // the client answered
/// assert!(half_open.is_empty());
/// ```
#[derive(Debug)]
pub struct HalfOpen<T> {
    limits: HalfOpenLimits,
    /// The conversations of each prefix.
    shares: PrefixTable<u32>,
    conversations: AgeList<Waiting<T>>,
}

/// The limits of [`HalfOpen`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: a share, a total, a life and the prefixes"
)]
pub struct HalfOpenLimits {
    /// The most conversations of one prefix.
    pub per_prefix: NonZeroU32,
    /// The most conversations of all.
    pub total: NonZeroU32,
    /// The longest time until the client's first answer.
    pub life: Duration,
    /// The lengths of a prefix.
    pub prefixes: PrefixLengths,
}

/// The handle of one conversation, to [`settle`](HalfOpen::settle) it. An entry of a conversation
/// that has expired or was evicted does nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HalfOpenEntry(Handle);

/// The decision on a conversation that begins.
///
/// Closed: it is counted or not, and both have to be handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "closed: both have to be handled")]
pub enum HalfOpenAdmission<T> {
    /// It is counted and may begin.
    Granted {
        /// To be kept with the conversation.
        entry: HalfOpenEntry,
        /// The conversation that has to end for it.
        evicted: Option<T>,
    },
    /// The share of its prefix is used up: no answer.
    Refused {
        /// The conversation that may not begin.
        conversation: T,
        /// The prefix.
        prefix: Prefix,
    },
}

#[derive(Debug)]
struct Waiting<T> {
    conversation: T,
    /// The slot of its prefix.
    slot: usize,
    /// `None` if the instant is beyond the range of the clock.
    expires: Option<Instant>,
}

impl<T> HalfOpen<T> {
    /// Makes an empty table. The secret has to be random.
    pub fn new(limits: HalfOpenLimits, secret: [u64; 2]) -> Self {
        let slots = limits.total.saturating_add(limits.total.get());
        Self {
            limits,
            shares: PrefixTable::new(limits.prefixes, slots, secret),
            conversations: AgeList::new(limits.total),
        }
    }

    /// Counts a conversation that begins, if it may. One that has [`expired`](Self::expired) counts
    /// until it is taken out.
    pub fn admit(&mut self, client: IpAddr, conversation: T, now: Instant) -> HalfOpenAdmission<T> {
        let prefix = self.shares.prefix(client);
        let slot = self.shares.slot(&prefix);
        if self.shares.get(slot).copied() >= Some(self.limits.per_prefix.get()) {
            return HalfOpenAdmission::Refused {
                conversation,
                prefix,
            };
        }
        let evicted = if self.conversations.is_full() {
            self.pop_oldest()
        } else {
            None
        };
        if let Some(count) = self.shares.get_mut(slot) {
            *count += 1;
        }
        let handle = self.conversations.push(Waiting {
            conversation,
            slot,
            expires: now.checked_add(self.limits.life),
        });
        HalfOpenAdmission::Granted {
            entry: HalfOpenEntry(handle),
            evicted,
        }
    }

    /// Ends the count of a conversation: the client answered, or the conversation ended. `None` if it
    /// had expired or been evicted before.
    pub fn settle(&mut self, entry: HalfOpenEntry) -> Option<T> {
        let waiting = self.conversations.remove(entry.0)?;
        Some(self.release(waiting))
    }

    /// Takes out one conversation whose life has ended; to be called until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        self.next_expiry().filter(|&at| at <= now)?;
        self.pop_oldest()
    }

    /// The instant at which the next conversation expires, if none is settled before.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.conversations.oldest()?.expires
    }

    /// The number of conversations that wait for an answer.
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// Returns true if none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pop_oldest(&mut self) -> Option<T> {
        let waiting = self.conversations.pop_oldest()?;
        Some(self.release(waiting))
    }

    fn release(&mut self, waiting: Waiting<T>) -> T {
        if let Some(count) = self.shares.get_mut(waiting.slot) {
            *count -= 1;
        }
        waiting.conversation
    }
}

impl Default for HalfOpenLimits {
    /// 2048 conversations, 128 of them of one prefix, for 5 seconds: room for a rack that boots
    /// together, and for three transmissions to each machine.
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
