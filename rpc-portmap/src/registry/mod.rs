//! Which program is where: the portmapper's table, and who may change it.
//!
//! Versions 2, 3 and 4 of the binding protocol are views of one [`Registry`]. It is a plain value:
//! what it has to know of the machine it asks a [`Host`], and what has to survive a restart comes
//! out as [`Change`]s. Look-ups cost the same with ten registrations and with ten thousand.

mod change;
mod claim;
mod host;
mod owner;
mod policy;
mod table;
#[cfg(test)]
mod tests;

pub use change::{Change, Replay};
pub use claim::{Claim, ClaimError, Registration};
pub use host::{Host, Liveness};
pub use owner::{Authority, Owner};
pub use policy::{RegistryError, RegistryPolicy};

use crate::rpc::{Program, Version};
use crate::rpcbind::{Netid, PROGRAM};
use claim::Key;
use table::Table;

/// The table of registrations with its rules.
#[derive(Debug)]
pub struct Registry {
    policy: RegistryPolicy,
    table: Table,
    changes: Vec<Change>,
}

/// What became of a registration that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Accepted {
    /// It is new.
    Added,
    /// It was there already, with the same address.
    Unchanged,
    /// It took the place of this one.
    Replaced(Registration),
}

/// What became of a request to take registrations back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    /// How many are gone.
    pub removed: usize,
    /// How many stay, because they are somebody else's.
    pub refused: usize,
}

impl Registry {
    /// An empty table.
    pub fn new(policy: RegistryPolicy) -> Self {
        Self {
            policy,
            table: Table::default(),
            changes: Vec::new(),
        }
    }

    /// Enters the portmapper itself, which no request can change and no file remembers.
    pub fn insert_portmapper(&mut self, claim: Claim) {
        self.table.insert(Registration {
            claim,
            owner: Owner::Uid(0),
            witnessed: false,
        });
    }

    /// Registers what `claim` says for `by`.
    ///
    /// The same registration again is accepted, whoever made it first. Another address in the
    /// place of one that is there is accepted from its owner, from uid 0, and from everyone if
    /// nobody holds the port any more.
    ///
    /// # Errors
    /// [`RegistryError`], and nothing has changed.
    pub fn set(
        &mut self,
        claim: Claim,
        by: Authority,
        host: &impl Host,
    ) -> Result<Accepted, RegistryError> {
        let owner = self.policy.check(&claim, by, host)?;
        let held = self.table.get(claim.key());
        if let Some(holder) = held {
            if holder.claim.address == claim.address {
                return Ok(Accepted::Unchanged);
            }
            if !owner.may_change(holder.owner) && holder.liveness(host) != Liveness::Dead {
                return Err(RegistryError::Held(holder.owner));
            }
        } else {
            self.policy.check_capacity(&self.table, owner)?;
        }
        // A port that nobody holds when it is registered may be held where this process cannot
        // look: in another network namespace. Such an entry is never judged.
        let witnessed = host.liveness(claim.netid, &claim.address) == Liveness::Live;
        let registration = Registration {
            claim,
            owner,
            witnessed,
        };
        self.changes.push(Change::Set(registration.clone()));
        Ok(match self.table.insert(registration) {
            Some(old) => Accepted::Replaced(old),
            None => Accepted::Added,
        })
    }

    /// Takes back the registrations of a program's version on the given transports, as far as
    /// they are those of `by`. Nothing to take back is no mistake.
    ///
    /// # Errors
    /// [`RegistryError`] if `by` may not change anything, or this is the portmapper itself.
    pub fn unset(
        &mut self,
        program: Program,
        version: Version,
        netids: &[Netid],
        by: Authority,
        host: &impl Host,
    ) -> Result<Removed, RegistryError> {
        let owner = self.policy.identify(by)?;
        if program == PROGRAM {
            return Err(RegistryError::Portmapper);
        }
        let mut outcome = Removed::default();
        for &netid in netids {
            let key = Key {
                program,
                version,
                netid,
            };
            let Some(held) = self.table.get(key) else {
                continue;
            };
            if owner.may_change(held.owner) || held.liveness(host) == Liveness::Dead {
                self.remove(key);
                outcome.removed += 1;
            } else {
                outcome.refused += 1;
            }
        }
        Ok(outcome)
    }

    /// The registration of a program's version on a transport, if somebody still holds its port.
    pub fn exact(
        &mut self,
        program: Program,
        version: Version,
        netid: Netid,
        host: &impl Host,
    ) -> Option<&Registration> {
        let key = Key {
            program,
            version,
            netid,
        };
        if self.table.get(key)?.liveness(host) == Liveness::Dead {
            self.remove(key);
            return None;
        }
        self.table.get(key)
    }

    /// As [`exact`](Self::exact), but if there is no such version, the latest registration of
    /// another one: its server will say which versions it has, and clients count on that.
    pub fn find(
        &mut self,
        program: Program,
        version: Version,
        netid: Netid,
        host: &impl Host,
    ) -> Option<&Registration> {
        if self.exact(program, version, netid, host).is_some() {
            return self.table.get(Key {
                program,
                version,
                netid,
            });
        }
        loop {
            let key = self.table.latest(program, netid)?;
            if self.exact(program, key.version, netid, host).is_some() {
                return self.table.get(key);
            }
        }
    }

    /// The registrations of a program's version on all transports, in the order in which they
    /// were made.
    pub fn by_version(
        &mut self,
        program: Program,
        version: Version,
        host: &impl Host,
    ) -> Vec<Registration> {
        let keys = self.table.keys_of_version(program, version);
        keys.into_iter()
            .filter_map(|key| self.exact(program, version, key.netid, host).cloned())
            .collect()
    }

    /// Removes the registrations whose port nobody holds any more; how many there were.
    pub fn sweep(&mut self, host: &impl Host) -> usize {
        let dead: Vec<_> = self
            .table
            .iter()
            .filter(|registration| registration.liveness(host) == Liveness::Dead)
            .map(|registration| registration.claim.key())
            .collect();
        for key in &dead {
            self.remove(*key);
        }
        dead.len()
    }

    /// Enters what was registered before a restart, as far as it still makes sense: its address
    /// is this machine's and nobody is known to have let go of its port. How many were entered.
    pub fn restore(
        &mut self,
        registrations: impl IntoIterator<Item = Registration>,
        host: &impl Host,
    ) -> usize {
        let mut entered = 0;
        for registration in registrations {
            let Registration { claim, owner, .. } = &registration;
            let sound = self
                .policy
                .check(claim, owner.authority(), host)
                .and_then(|_| self.policy.check_capacity(&self.table, *owner))
                .is_ok();
            if sound && registration.liveness(host) != Liveness::Dead {
                self.table.insert(registration);
                entered += 1;
            }
        }
        entered
    }

    /// All registrations in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.table.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// What has changed since this was last asked, oldest first: to be written down before
    /// anybody is told.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn remove(&mut self, key: Key) {
        if self.table.remove(key).is_some() {
            self.changes.push(Change::Unset {
                program: key.program,
                version: key.version,
                netid: key.netid,
            });
        }
    }
}
