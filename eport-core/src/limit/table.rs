//! Counters for each client prefix, in a table of fixed size.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::num::NonZeroU32;

use super::{Prefix, PrefixLengths};

/// A table of `T`, one for each client prefix, found by a keyed hash.
///
/// Prefixes whose hashes collide share a slot: with a number of slots far above that of active
/// prefixes this is rare, and without the secret no sender can choose its slot.
#[derive(Clone)]
pub struct PrefixTable<T> {
    lengths: PrefixLengths,
    secret: [u64; 2],
    slots: Box<[T]>,
}

impl<T: Default> PrefixTable<T> {
    /// Makes a table of default values. The secret has to be random.
    pub fn new(lengths: PrefixLengths, slots: NonZeroU32, secret: [u64; 2]) -> Self {
        Self {
            lengths,
            secret,
            slots: (0..slots.get()).map(|_| T::default()).collect(),
        }
    }
}

impl<T> PrefixTable<T> {
    /// Returns the prefix of an address.
    pub fn prefix(&self, address: IpAddr) -> Prefix {
        self.lengths.prefix(address)
    }

    /// Returns the slot of a prefix, to pass to [`get`](Self::get). O(1).
    pub fn slot(&self, prefix: &Prefix) -> usize {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        prefix.hash(&mut hasher);
        let bytes = hasher.finish().to_le_bytes();
        let hash = bytes
            .first_chunk()
            .map_or(0, |low| usize::from_le_bytes(*low));
        hash % self.slots.len().max(1)
    }

    /// Returns the value in a slot.
    pub fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)
    }

    /// Returns the value in a slot, to change it.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)
    }

    /// Returns the values of all slots.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.slots.iter()
    }
}

impl<T> fmt::Debug for PrefixTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrefixTable")
            .field("lengths", &self.lengths)
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}
