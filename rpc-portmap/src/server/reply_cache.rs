//! Replies that may have to be sent again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a reply is kept.
const LIFE: Duration = Duration::from_secs(60);

/// The replies to the last datagrams.
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

/// A call, told from another one with the same transaction id by all of its bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    peer: SocketAddr,
    digest: u64,
}

/// What is known of a call.
pub(super) enum Lookup {
    /// Nothing: carry it out, and say so with [`ReplyCache::store`].
    New(Key),
    /// It is being carried out.
    InProgress,
    /// It was answered with this.
    Answered(Arc<[u8]>),
}

impl ReplyCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            hasher: RandomState::new(),
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

    /// Keeps the reply to a call, if the call is still known.
    pub(super) fn store(&self, key: Key, reply: &[u8]) {
        if let Some(entry) = self.lock().replies.get_mut(&key) {
            *entry = Some(reply.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is locked, and losing a reply is allowed at any time.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops what is old, and what is too much, so that there is room for one.
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
    fn a_call_is_carried_out_once_while_it_is_remembered() {
        let cache = ReplyCache::new(2);
        let now = crate::transport::now();
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
    fn a_reply_is_forgotten_after_a_minute() {
        let cache = ReplyCache::new(100);
        let now = crate::transport::now();
        let peer = SocketAddr::from(([127, 0, 0, 1], 700));
        for (after, known) in [(0, false), (59, true), (60, false)] {
            let seen = cache.look_up(peer, b"call", now + Duration::from_secs(after));
            assert_eq!(!matches!(seen, Lookup::New(_)), known, "{after} s");
        }
    }
}
