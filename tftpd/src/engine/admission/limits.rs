//! Limits of transfers: in total, per client address, and half-open.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use eport_core::limit::{
    HalfOpen, HalfOpenAdmission, HalfOpenEntry, HalfOpenLimits, PrefixLengths,
};

/// Limits of what clients may hold of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Caps {
    /// Concurrent transfers. Above, requests wait for [`hold`](Self::hold).
    pub transfers: NonZeroUsize,
    /// Concurrent transfers of one address. Above, its requests get no answer.
    pub per_client: NonZeroU32,
    /// Transfers whose client has not answered yet: the addresses of requests can be forged.
    pub half_open: HalfOpenLimits,
    /// Longest wait of a request for a transfer to end, so that machines that boot at the same time
    /// need not repeat their requests.
    pub hold: Duration,
    /// Requests that may wait.
    pub waiting: usize,
}

impl Caps {
    /// Sets [`transfers`](Self::transfers): concurrent transfers.
    #[must_use]
    pub const fn with_transfers(mut self, transfers: NonZeroUsize) -> Self {
        self.transfers = transfers;
        self
    }

    /// Sets [`per_client`](Self::per_client): concurrent transfers of one address.
    #[must_use]
    pub const fn with_per_client(mut self, per_client: NonZeroU32) -> Self {
        self.per_client = per_client;
        self
    }

    /// Sets [`half_open`](Self::half_open): transfers whose client has not answered yet.
    #[must_use]
    pub const fn with_half_open(mut self, half_open: HalfOpenLimits) -> Self {
        self.half_open = half_open;
        self
    }

    /// Sets [`hold`](Self::hold): the longest wait of a request. Zero: no request waits.
    #[must_use]
    pub const fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Sets [`waiting`](Self::waiting): requests that may wait.
    #[must_use]
    pub const fn with_waiting(mut self, waiting: usize) -> Self {
        self.waiting = waiting;
        self
    }

    /// Returns the part of one of `threads` in the limits that each thread keeps for itself.
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
    /// 16,384 transfers, 256 of one address; 12,288 half-open ones, 1,024 of one /24 or /64, each for
    /// 8 s at most; 4,096 requests that wait for 2 s.
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

/// Counts the transfers of all threads. Locked at the beginning and the end of a transfer.
#[derive(Debug, Default)]
pub(crate) struct TransferCount(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    by_client: HashMap<IpAddr, u32>,
}

impl TransferCount {
    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grants permits for the transfers of one thread. Half-open transfers are counted by each thread
/// against its share of the limit: the kernel spreads the clients evenly.
#[derive(Debug)]
pub(super) struct TransferLimits {
    caps: Caps,
    shared: Rc<Shared>,
}

/// Counters that the permits of a thread give back to.
#[derive(Debug)]
struct Shared {
    count: Arc<TransferCount>,
    half_open: RefCell<HalfOpen<SocketAddr>>,
}

/// The right to one transfer; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct TransferPermit {
    shared: Rc<Shared>,
    client: IpAddr,
    /// Set until the client has answered.
    half_open: Option<HalfOpenEntry>,
}

/// The answer of the limits to a request.
pub(super) enum Grant {
    /// Granted; the half-open transfer of this client, if one is named, is evicted for it.
    Permit(TransferPermit, Option<SocketAddr>),
    /// The limit of all transfers is reached.
    Full,
    /// The limit of the client or of its prefix is reached.
    TooMany,
}

impl TransferLimits {
    pub(super) fn new(caps: Caps, count: Arc<TransferCount>) -> Self {
        let random = crate::net::random_state();
        let secret = [random.hash_one(0), random.hash_one(1)];
        let half_open = RefCell::new(HalfOpen::new(caps.half_open, secret));
        Self {
            caps,
            shared: Rc::new(Shared { count, half_open }),
        }
    }

    /// Requests a permit for a transfer of `peer`.
    pub(super) fn acquire(&self, peer: SocketAddr, now: Instant) -> Grant {
        let client = peer.ip();
        let mut counts = self.shared.count.lock();
        if counts.running >= self.caps.transfers.get() {
            return Grant::Full;
        }
        if counts.by_client.get(&client).copied().unwrap_or(0) >= self.caps.per_client.get() {
            return Grant::TooMany;
        }
        match self.shared.half_open.borrow_mut().admit(client, peer, now) {
            HalfOpenAdmission::Refused { .. } => Grant::TooMany,
            HalfOpenAdmission::Granted { entry, evicted } => {
                counts.running += 1;
                *counts.by_client.entry(client).or_default() += 1;
                let permit = TransferPermit {
                    shared: Rc::clone(&self.shared),
                    client,
                    half_open: Some(entry),
                };
                Grant::Permit(permit, evicted)
            }
        }
    }

    /// Removes a half-open transfer that has waited too long; returns its client.
    pub(super) fn expired(&self, now: Instant) -> Option<SocketAddr> {
        self.shared.half_open.borrow_mut().expired(now)
    }

    /// Returns the time of the next [`expired`](Self::expired).
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.shared.half_open.borrow().next_expiry()
    }
}

impl TransferPermit {
    /// Returns true until the client has answered.
    pub(crate) fn is_half_open(&self) -> bool {
        self.half_open.is_some()
    }

    /// Counts the transfer as half-open no longer: its client has answered.
    pub(crate) fn settle(&mut self) {
        if let Some(entry) = self.half_open.take() {
            self.shared.half_open.borrow_mut().settle(entry);
        }
    }
}

impl Drop for TransferPermit {
    fn drop(&mut self) {
        self.settle();
        let mut counts = self.shared.count.lock();
        counts.running -= 1;
        if let Some(count) = counts.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonzero(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn caps(transfers: usize, per_client: u32, half_open: u32) -> Caps {
        let mut caps = Caps {
            transfers: NonZeroUsize::new(transfers).expect("not zero"),
            per_client: nonzero(per_client),
            ..Caps::default()
        };
        caps.half_open.total = nonzero(half_open);
        caps
    }

    type Granted = (TransferPermit, Option<u16>);

    fn acquire(limits: &TransferLimits, host: u8, port: u16) -> Result<Granted, &'static str> {
        match limits.acquire(([10, 0, host, 1], port).into(), crate::net::now()) {
            Grant::Permit(permit, evicted) => Ok((permit, evicted.map(|peer| peer.port()))),
            Grant::Full => Err("full"),
            Grant::TooMany => Err("too many"),
        }
    }

    #[test]
    fn a_dropped_permit_is_free_again() {
        let limits = TransferLimits::new(caps(3, 2, 100), Arc::default());
        let (first, _) = acquire(&limits, 1, 1).expect("free");
        let _second = acquire(&limits, 1, 2).expect("free");
        assert_eq!(acquire(&limits, 1, 3).map(drop), Err("too many"));
        let _third = acquire(&limits, 2, 3).expect("free");
        assert_eq!(acquire(&limits, 3, 4).map(drop), Err("full"));
        drop(first);
        acquire(&limits, 1, 4).expect("free again");
    }

    #[test]
    fn threads_share_the_count_of_transfers_but_not_of_half_open_ones() {
        let count = Arc::<TransferCount>::default();
        let [one, other] = [0, 1].map(|_| TransferLimits::new(caps(2, 2, 1), Arc::clone(&count)));
        let held = [&one, &other].map(|limits| acquire(limits, 1, 1).expect("free"));
        assert_eq!(held.each_ref().map(|(_, evicted)| *evicted), [None, None]);
        assert_eq!(acquire(&one, 2, 2).map(drop), Err("full"));
        drop(held);
        assert_eq!(count.lock().running, 0);
        assert!(count.lock().by_client.is_empty());
    }

    #[test]
    fn a_transfer_whose_client_has_answered_is_not_evicted() {
        let limits = TransferLimits::new(caps(100, 100, 2), Arc::default());
        let (mut settled, _) = acquire(&limits, 1, 1).expect("free");
        settled.settle();
        assert!(!settled.is_half_open());
        let granted = [2, 3, 4].map(|port| acquire(&limits, 2, port).expect("free"));
        let evicted = granted.each_ref().map(|(_, evicted)| *evicted);
        assert_eq!(evicted, [None, None, Some(2)]);
    }

    #[test]
    fn a_prefix_has_its_share_of_half_open_transfers_until_they_expire() {
        let mut caps = caps(100, 100, 100);
        caps.half_open.per_prefix = nonzero(2);
        let limits = TransferLimits::new(caps, Arc::default());
        let start = crate::net::now();
        let _held = [1, 2].map(|port| acquire(&limits, 7, port).expect("free"));
        assert_eq!(acquire(&limits, 7, 3).map(drop), Err("too many"));
        acquire(&limits, 8, 3).expect("another prefix");
        assert_eq!(limits.expired(start), None);
        let late = start + caps.half_open.life + Duration::from_secs(1);
        assert!(limits.next_expiry().is_some_and(|at| at <= late));
        let expired = limits.expired(late).map(|client| client.port());
        assert_eq!(expired, Some(1));
        acquire(&limits, 7, 3).expect("one of two has expired");
    }

    #[test]
    fn each_thread_has_its_part_of_the_half_open_limit_and_of_the_queue() {
        let part = caps(100, 100, 10).share(4);
        assert_eq!((part.half_open.total.get(), part.transfers.get()), (3, 100));
        assert_eq!((part.waiting, part.per_client.get()), (1024, 100));
    }
}
