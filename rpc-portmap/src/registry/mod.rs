//! The portmapper's table of registrations, and the rules for changing it.
//!
//! Versions 2, 3 and 4 of the binding protocol are views of one [`Registry`]. It is a plain value
//! without I/O: it queries the machine through a [`Host`], and returns [`Change`]s that are to
//! survive a restart. Look-ups cost the same with ten registrations and with ten thousand.
//!
//! ```
//! use std::net::IpAddr;
//! use rpc_portmap::registry::{Authority, Claim, Host, Liveness, Registry, RegistryPolicy};
//! use rpc_portmap::rpc::{Program, Version};
//! use rpc_portmap::rpcbind::{Netid, UniversalAddress};
//!
//! struct Machine;
//!
//! impl Host for Machine {
//!     fn liveness(&self, _: Netid, _: &UniversalAddress) -> Liveness {
//!         Liveness::Unknown
//!     }
//!
//!     fn is_local(&self, _: IpAddr) -> bool {
//!         true
//!     }
//! }
//!
//! let mut registry = Registry::new(RegistryPolicy::default());
//! let (program, version) = (Program::new(0x2000_0001), Version::new(1));
//! let address = UniversalAddress::parse(Netid::Tcp, "0.0.0.0.160.3")?;
//! for claim in Claim::all(program, &[version], &[(Netid::Tcp, address)]) {
//!     registry.set(claim, Authority::Uid(1000), &Machine)?;
//! }
//! let found = registry.exact(program, version, Netid::Tcp, &Machine);
//! assert_eq!(found.and_then(|entry| entry.claim.address.port()), Some(40_963));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

/// The outcome of a registration that was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Accepted {
    /// The registration is new.
    Added,
    /// The registration existed already, with the same address.
    Unchanged,
    /// The registration replaced this one.
    Replaced(Registration),
}

/// The outcome of a request to remove registrations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Removed {
    /// The number of registrations removed.
    pub removed: usize,
    /// The number of registrations kept because another owner holds them.
    pub refused: usize,
}

impl Registry {
    /// Builds an empty table.
    pub fn new(policy: RegistryPolicy) -> Self {
        Self {
            policy,
            table: Table::default(),
            changes: Vec::new(),
        }
    }

    /// Enters the portmapper itself, which no request can change and no file stores.
    pub fn insert_portmapper(&mut self, claim: Claim) {
        self.table.insert(Registration {
            claim,
            owner: Owner::Uid(0),
            witnessed: false,
        });
    }

    /// Registers `claim` for `by`.
    ///
    /// An equal registration is accepted again from every owner. Another address is accepted from
    /// the owner, from uid 0, and from every user once no process holds the port any more.
    ///
    /// # Errors
    /// [`RegistryError`]; the table is unchanged then.
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
            if !owner.may_replace(holder.owner, || holder.liveness(host)) {
                return Err(RegistryError::Held(holder.owner));
            }
        } else {
            self.policy.check_capacity(&self.table, owner)?;
        }
        // A port that is free when it is registered may be held where this process cannot look: in
        // another network namespace. The liveness of such an entry is never checked.
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

    /// Removes the registrations of a program's version on the given transports, as far as `by`
    /// owns them. Nothing to remove is not an error.
    ///
    /// # Errors
    /// [`RegistryError`] if `by` may not change anything, or the program is the portmapper itself.
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
            if owner.may_replace(held.owner, || held.liveness(host)) {
                self.remove(key);
                outcome.removed += 1;
            } else {
                outcome.refused += 1;
            }
        }
        Ok(outcome)
    }

    /// Looks up the registration of a program's version on a transport; one whose port is no longer
    /// held is removed.
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

    /// Looks up as [`exact`](Self::exact), then falls back to the latest registration of another
    /// version: its server replies with the versions it has, and clients rely on that.
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

    /// Looks up the registrations of a program's version on all transports, in the order of
    /// registration.
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

    /// Removes the registrations whose port is no longer held, and returns their number.
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

    /// Enters the registrations of an earlier run that are still valid: the address is this
    /// machine's, and the port is not known to be free. Returns the number entered.
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

    /// Iterates over all registrations in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.table.iter()
    }

    /// Returns the number of registrations.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns true if there are no registrations.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Returns the changes since the last call, oldest first. They are to be stored before the
    /// request is answered.
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
