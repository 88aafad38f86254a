//! A cache of replies to datagrams, for retransmitted calls.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::transport;

/// The time for which a reply is kept.
const LIFE: Duration = Duration::from_secs(60);

/// The replies to the latest datagrams.
#[derive(Debug)]
pub(super) struct ReplyCache {
    capacity: usize,
    hasher: RandomState,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    replies: HashMap<Key, Option<Arc<[u8]>>>,
    order: VecDeque<(Instant, Key)>,
}

/// A call, identified by its peer and a keyed hash over all of its bytes, not by the transaction id
/// alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    peer: SocketAddr,
    digest: u64,
}

/// The result of a look-up.
pub(super) enum Lookup {
    /// The call is new: carry it out and pass the reply to [`ReplyCache::store`].
    New(Key),
    /// The same call is being carried out.
    InProgress,
    /// The same call was answered with this reply.
    Answered(Arc<[u8]>),
}

impl ReplyCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            hasher: transport::random_state(),
            inner: Mutex::default(),
        }
    }

    pub(super) fn look_up(&self, peer: SocketAddr, message: &[u8], now: Instant) -> Lookup {
        let key = Key {
            peer,
            digest: self.hasher.hash_one(message),
        };
        let mut inner = self.lock();
        inner.expire(self.capacity, now);
        match inner.replies.get(&key) {
            Some(Some(reply)) => Lookup::Answered(Arc::clone(reply)),
            Some(None) => Lookup::InProgress,
            None => {
                inner.replies.insert(key, None);
                inner.order.push_back((now, key));
                Lookup::New(key)
            }
        }
    }

    /// Keeps the reply to a call, if the entry has not expired.
    pub(super) fn store(&self, key: Key, reply: &[u8]) {
        if let Some(entry) = self.lock().replies.get_mut(&key) {
            *entry = Some(reply.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held, and a lost reply is allowed at any time.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops expired entries, and the oldest ones until one more fits.
    fn expire(&mut self, capacity: usize, now: Instant) {
        while let Some((since, key)) = self.order.front().copied() {
            if self.order.len() < capacity && now.saturating_duration_since(since) < LIFE {
                return;
            }
            self.order.pop_front();
            self.replies.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_carried_out_once_while_it_is_cached() {
        let cache = ReplyCache::new(2);
        let now = transport::now();
        let peer = SocketAddr::from(([127, 0, 0, 1], 700));
        let Lookup::New(key) = cache.look_up(peer, b"call", now) else {
            panic!("it is new");
        };
        assert!(matches!(
            cache.look_up(peer, b"call", now),
            Lookup::InProgress
        ));
        cache.store(key, b"reply");
        let again = cache.look_up(peer, b"call", now);
        assert!(matches!(again, Lookup::Answered(reply) if *reply == *b"reply"));
        let other_peer = SocketAddr::from(([127, 0, 0, 1], 701));
        assert!(matches!(
            cache.look_up(other_peer, b"call", now),
            Lookup::New(_)
        ));
        assert!(matches!(cache.look_up(peer, b"other", now), Lookup::New(_)));
        assert!(matches!(cache.look_up(peer, b"call", now), Lookup::New(_)));
    }

    #[test]
    fn a_reply_expires_after_a_minute() {
        let cache = ReplyCache::new(100);
        let now = transport::now();
        let peer = SocketAddr::from(([127, 0, 0, 1], 700));
        for (after, known) in [(0, false), (59, true), (60, false)] {
            let seen = cache.look_up(peer, b"call", now + Duration::from_secs(after));
            assert_eq!(!matches!(seen, Lookup::New(_)), known, "{after} s");
        }
    }
}
