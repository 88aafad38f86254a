//! The table of registrations: a list in order, and indices over it.

use std::collections::{BTreeSet, HashMap};

use super::claim::{Key, Registration};
use super::owner::Owner;
use crate::rpc::{Program, Version};
use crate::rpcbind::Netid;

/// The registrations in the order in which they were made, indexed by key, program and owner.
///
/// The hash of std is seeded anew in each run, so that a client cannot choose colliding programs;
/// nothing visible from outside depends on the hash.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The registrations, with holes where one was removed; at most half of it is holes.
    in_order: Vec<Option<Registration>>,
    positions: HashMap<Key, usize>,
    versions: HashMap<(Program, Netid), BTreeSet<usize>>,
    owned: HashMap<Owner, usize>,
}

/// The number of holes below which the list is not compacted.
const FEW: usize = 64;

impl Table {
    /// Enters a registration and returns the one that it replaces.
    pub(super) fn insert(&mut self, registration: Registration) -> Option<Registration> {
        let key = registration.claim.key();
        let old = self.remove(key);
        self.append(key, registration);
        old
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Registration> {
        let position = self.positions.remove(&key)?;
        let of_program = (key.program, key.netid);
        if let Some(versions) = self.versions.get_mut(&of_program) {
            versions.remove(&position);
            if versions.is_empty() {
                self.versions.remove(&of_program);
            }
        }
        let old = self.in_order.get_mut(position)?.take()?;
        if let Some(count) = self.owned.get_mut(&old.owner) {
            *count -= 1;
            if *count == 0 {
                self.owned.remove(&old.owner);
            }
        }
        self.close_holes();
        Some(old)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Registration> {
        self.in_order.get(*self.positions.get(&key)?)?.as_ref()
    }

    /// Returns the latest registration of any version of a program.
    pub(super) fn latest(&self, program: Program, netid: Netid) -> Option<Key> {
        let position = self.versions.get(&(program, netid))?.last()?;
        Some(self.in_order.get(*position)?.as_ref()?.claim.key())
    }

    /// Returns the keys of a version of a program on all transports, in their order.
    pub(super) fn keys_of_version(&self, program: Program, version: Version) -> Vec<Key> {
        let keys = Netid::ALL.map(|netid| Key {
            program,
            version,
            netid,
        });
        let mut found: Vec<_> = keys
            .into_iter()
            .filter_map(|key| Some((*self.positions.get(&key)?, key)))
            .collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, key)| key).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.in_order.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(super) fn owned_by(&self, owner: Owner) -> usize {
        self.owned.get(&owner).copied().unwrap_or_default()
    }

    fn append(&mut self, key: Key, registration: Registration) {
        let position = self.in_order.len();
        self.positions.insert(key, position);
        self.versions
            .entry((key.program, key.netid))
            .or_default()
            .insert(position);
        *self.owned.entry(registration.owner).or_default() += 1;
        self.in_order.push(Some(registration));
    }

    /// Compacts the list once most of it is holes: rarely enough to cost nothing.
    fn close_holes(&mut self) {
        if self.in_order.len() <= FEW + 2 * self.positions.len() {
            return;
        }
        let table = std::mem::take(self);
        for registration in table.in_order.into_iter().flatten() {
            self.append(registration.claim.key(), registration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Claim;
    use crate::rpcbind::Mapping;

    #[test]
    fn closing_holes_changes_neither_the_order_nor_what_is_found() {
        let mut table = Table::default();
        for version in 0..1000 {
            table.insert(registration(version));
        }
        for version in (0..1000).filter(|version| version % 10 != 3) {
            assert!(table.remove(key(version)).is_some());
        }
        assert!(table.in_order.len() < 300, "{}", table.in_order.len());
        let versions: Vec<_> = table
            .iter()
            .map(|entry| entry.claim.version.get())
            .collect();
        assert_eq!(versions, (3..1000).step_by(10).collect::<Vec<_>>());
        assert_eq!(table.latest(7.into(), Netid::Udp), Some(key(993)));
        assert_eq!(table.get(key(503)), Some(&registration(503)));
        assert_eq!((table.len(), table.owned_by(Owner::Unknown)), (100, 100));
    }

    fn key(version: u32) -> Key {
        registration(version).claim.key()
    }

    fn registration(version: u32) -> Registration {
        let mapping = Mapping {
            program: 7.into(),
            version: version.into(),
            protocol: 17,
            port: 4000,
        };
        Registration {
            claim: Claim::from_mapping(&mapping).expect("a good claim"),
            owner: Owner::Unknown,
            witnessed: false,
        }
    }
}
