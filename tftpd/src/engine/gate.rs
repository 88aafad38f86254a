//! How many transfers there may be: in all, per client, and of those that have proven nothing.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::policy::limit::{Admission, HalfOpen, HalfOpenLimits, PrefixLengths, Ticket};

/// Bounds on what clients may hold of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Caps {
    /// Transfers at once. At the cap requests wait for [`hold`](Self::hold).
    pub transfers: NonZeroUsize,
    /// Transfers of one address at once. At the cap its requests are met with silence.
    pub per_client: NonZeroU32,
    /// Transfers whose client has not answered yet: anybody can ask in anybody's name.
    pub half_open: HalfOpenLimits,
    /// How long a request waits for a transfer to end when all are taken, so that a rack that
    /// boots at once need not ask twice.
    pub hold: Duration,
    /// How many requests wait.
    pub waiting: usize,
}

impl Caps {
    /// The part of the caps that one of `threads` keeps for itself.
    pub(crate) fn share(self, threads: usize) -> Self {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
        let part =
            |whole: NonZeroU32| NonZeroU32::new(whole.get().div_ceil(threads)).unwrap_or(whole);
        let half_open = HalfOpenLimits {
            per_prefix: part(self.half_open.per_prefix),
            total: part(self.half_open.total),
            ..self.half_open
        };
        Self {
            half_open,
            waiting: self.waiting.div_ceil(threads as usize),
            ..self
        }
    }
}

impl Default for Caps {
    /// 16,384 transfers, 256 of one address; 12,288 half open, 1,024 of one /24 or /64, each for 8 s
    /// at most; 4,096 requests wait for 2 s.
    fn default() -> Self {
        const fn nonzero(number: u32) -> NonZeroU32 {
            NonZeroU32::new(number).expect("not zero")
        }
        Self {
            transfers: const { NonZeroUsize::new(16_384).expect("not zero") },
            per_client: const { nonzero(256) },
            half_open: HalfOpenLimits {
                per_prefix: const { nonzero(1024) },
                total: const { nonzero(12_288) },
                life: Duration::from_secs(8),
                prefixes: PrefixLengths::default(),
            },
            hold: Duration::from_secs(2),
            waiting: 4096,
        }
    }
}

/// Counts the transfers of all threads against the caps.
#[derive(Debug, Default)]
pub(crate) struct Census(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    by_client: HashMap<IpAddr, u32>,
}

impl Census {
    /// Nothing that can panic runs under the lock, which is taken at the beginning and the end of
    /// a transfer.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets transfers of one thread in. Half-open ones are counted by each thread for itself, against
/// its share of the cap: the kernel divides the clients evenly.
#[derive(Debug)]
pub(super) struct Gate {
    caps: Caps,
    census: Arc<Census>,
    half_open: HalfOpen<SocketAddr>,
}

/// A transfer's right to be; given back with [`Gate::leave`].
#[derive(Debug)]
pub(super) struct Pass {
    client: IpAddr,
    /// Until the client has answered.
    half_open: Option<Ticket>,
}

/// What the gate says.
pub(super) enum Entry {
    /// Come in; the transfer of this one has to go for it.
    Open(Pass, Option<SocketAddr>),
    /// All transfers are taken: wait.
    Full,
    /// This client, or its neighbourhood, has its share.
    Enough,
}

impl Gate {
    pub(super) fn new(caps: Caps, census: Arc<Census>) -> Self {
        let random = RandomState::new();
        let secret = [random.hash_one(0), random.hash_one(1)];
        Self {
            caps,
            census,
            half_open: HalfOpen::new(caps.half_open, secret),
        }
    }

    /// Lets a transfer of `peer` in.
    pub(super) fn enter(&mut self, peer: SocketAddr, now: Instant) -> Entry {
        let client = peer.ip();
        let mut counts = self.census.counts();
        if counts.running >= self.caps.transfers.get() {
            return Entry::Full;
        }
        if counts.by_client.get(&client).copied().unwrap_or(0) >= self.caps.per_client.get() {
            return Entry::Enough;
        }
        match self.half_open.admit(client, peer, now) {
            Admission::Refused { .. } => Entry::Enough,
            Admission::Granted { ticket, evicted } => {
                counts.running += 1;
                *counts.by_client.entry(client).or_default() += 1;
                Entry::Open(
                    Pass {
                        client,
                        half_open: Some(ticket),
                    },
                    evicted,
                )
            }
        }
    }

    /// The client has answered.
    pub(super) fn proven(&mut self, pass: &mut Pass) {
        if let Some(ticket) = pass.half_open.take() {
            self.half_open.settle(ticket);
        }
    }

    /// The transfer is over.
    pub(super) fn leave(&mut self, mut pass: Pass) {
        self.proven(&mut pass);
        let mut counts = self.census.counts();
        counts.running -= 1;
        if let Some(count) = counts.by_client.get_mut(&pass.client) {
            *count -= 1;
            if *count == 0 {
                counts.by_client.remove(&pass.client);
            }
        }
    }

    /// The client of a transfer that has waited too long for an answer.
    pub(super) fn expired(&mut self, now: Instant) -> Option<SocketAddr> {
        self.half_open.expired(now)
    }

    /// When [`expired`](Self::expired) has something to say.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.half_open.next_expiry()
    }
}

impl Pass {
    /// Whether the client was not yet seen to answer.
    pub(super) fn is_half_open(&self) -> bool {
        self.half_open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(transfers: usize, per_client: u32, half_open: u32) -> Gate {
        let mut caps = Caps {
            transfers: NonZeroUsize::new(transfers).expect("not zero"),
            per_client: NonZeroU32::new(per_client).expect("not zero"),
            ..Caps::default()
        };
        caps.half_open.total = NonZeroU32::new(half_open).expect("not zero");
        Gate::new(caps, Arc::default())
    }

    fn enter(gate: &mut Gate, client: u8, port: u16) -> Result<(Pass, Option<u16>), &'static str> {
        match gate.enter(([10, 0, client, 1], port).into(), crate::net::now()) {
            Entry::Open(pass, evicted) => Ok((pass, evicted.map(|peer| peer.port()))),
            Entry::Full => Err("full"),
            Entry::Enough => Err("enough"),
        }
    }

    #[test]
    fn the_caps_hold_until_somebody_leaves() {
        let mut gate = gate(3, 2, 100);
        let (first, _) = enter(&mut gate, 1, 1).expect("room");
        let _second = enter(&mut gate, 1, 2).expect("room");
        assert_eq!(enter(&mut gate, 1, 3).map(drop), Err("enough"));
        let _third = enter(&mut gate, 2, 3).expect("room");
        assert_eq!(enter(&mut gate, 3, 4).map(drop), Err("full"));
        gate.leave(first);
        enter(&mut gate, 1, 4).expect("room again");
    }

    #[test]
    fn who_has_answered_is_not_turned_out_for_who_has_not() {
        let mut gate = gate(100, 100, 2);
        let (mut proven, _) = enter(&mut gate, 1, 1).expect("room");
        gate.proven(&mut proven);
        assert!(!proven.is_half_open());
        let evicted = [2, 3, 4].map(|number| enter(&mut gate, 2, number).expect("room").1);
        assert_eq!(evicted, [None, None, Some(2)]);
    }
}
