//! The rules for registrations.

use super::claim::{Claim, ClaimError};
use super::host::Host;
use super::owner::{Authority, Owner};
use super::table::Table;
use crate::rpc::Program;
use crate::rpcbind::PROGRAM;

/// The rules of a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RegistryPolicy {
    /// The programs that only uid 0 may register; by default NFS, its mount daemon and its lock
    /// manager, whose impostor would receive files.
    pub protected: Vec<Program>,
    /// Set to let processes of this machine register over IP from any source port. These
    /// registrations have no owner, so each process may remove those of the others.
    pub unprivileged_loopback: bool,
    /// The most registrations in total.
    pub max_registrations: usize,
    /// The most registrations of one user other than uid 0.
    pub max_per_owner: usize,
}

impl RegistryPolicy {
    /// Sets [`protected`](Self::protected).
    #[must_use]
    pub fn protected(self, protected: Vec<Program>) -> Self {
        Self { protected, ..self }
    }

    /// Sets [`unprivileged_loopback`](Self::unprivileged_loopback).
    #[must_use]
    pub fn unprivileged_loopback(self, unprivileged_loopback: bool) -> Self {
        Self {
            unprivileged_loopback,
            ..self
        }
    }

    /// Sets [`max_registrations`](Self::max_registrations).
    #[must_use]
    pub fn max_registrations(self, max_registrations: usize) -> Self {
        Self {
            max_registrations,
            ..self
        }
    }

    /// Sets [`max_per_owner`](Self::max_per_owner).
    #[must_use]
    pub fn max_per_owner(self, max_per_owner: usize) -> Self {
        Self {
            max_per_owner,
            ..self
        }
    }
}

impl Default for RegistryPolicy {
    fn default() -> Self {
        Self {
            protected: vec![
                Program::new(100_003),
                Program::new(100_005),
                Program::new(100_021),
            ],
            unprivileged_loopback: false,
            max_registrations: 65_536,
            max_per_owner: 16_384,
        }
    }
}

impl RegistryPolicy {
    /// Returns the owner that `by` acts as.
    ///
    /// # Errors
    /// [`RegistryError::NotLocal`] or [`RegistryError::Unprivileged`] if `by` may not change
    /// anything.
    pub(super) const fn identify(&self, by: Authority) -> Result<Owner, RegistryError> {
        match by {
            Authority::Uid(uid) => Ok(Owner::Uid(uid)),
            Authority::Loopback if self.unprivileged_loopback => Ok(Owner::Unknown),
            Authority::Loopback => Err(RegistryError::Unprivileged),
            Authority::Remote => Err(RegistryError::NotLocal),
        }
    }

    /// Returns the owner if `by` may make this claim.
    pub(super) fn check(
        &self,
        claim: &Claim,
        by: Authority,
        host: &impl Host,
    ) -> Result<Owner, RegistryError> {
        let owner = self.identify(by)?;
        if claim.program == PROGRAM {
            return Err(RegistryError::Portmapper);
        }
        if owner != Owner::Uid(0) {
            if self.protected.contains(&claim.program) {
                return Err(RegistryError::Protected(claim.program));
            }
            if let Some(port) = claim.address.port().filter(|port| *port < 1024) {
                return Err(RegistryError::SystemPort(port));
            }
        }
        if let Some(address) = claim.address.socket_addr() {
            let ip = address.ip();
            if !ip.is_unspecified() && !ip.is_loopback() && !host.is_local(ip) {
                return Err(RegistryError::ForeignAddress);
            }
        }
        Ok(owner)
    }

    /// Checks that one more registration of `owner` fits.
    pub(super) fn check_capacity(&self, table: &Table, owner: Owner) -> Result<(), RegistryError> {
        let own_share = owner == Owner::Uid(0) || table.owned_by(owner) < self.max_per_owner;
        if table.len() < self.max_registrations && own_share {
            Ok(())
        } else {
            Err(RegistryError::Full)
        }
    }
}

/// The reason why a registration is not made or not removed. The reply carries only `FALSE`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The request came from another machine.
    #[error("only processes of this machine may change registrations")]
    NotLocal,
    /// The request came over IP from a port that is not privileged.
    #[error("over IP only source ports below 1024 may change registrations; use the unix socket")]
    Unprivileged,
    /// The portmapper's own registrations are fixed.
    #[error("program 100000 is the portmapper itself")]
    Portmapper,
    /// Only uid 0 may register this program.
    #[error("only uid 0 may register program {0}")]
    Protected(Program),
    /// Only uid 0 may register this port.
    #[error("only uid 0 may register port {0}, below 1024")]
    SystemPort(u16),
    /// The address is not one of this machine.
    #[error("the address belongs to another machine")]
    ForeignAddress,
    /// Another owner has registered another address, and its port is still held.
    #[error("the service is registered by {0}, and its port is still held")]
    Held(Owner),
    /// The limit on registrations is reached.
    #[error("the limit on registrations is reached")]
    Full,
    /// The request is malformed.
    #[error("the request is malformed")]
    Malformed(#[from] ClaimError),
}

impl RegistryError {
    /// Returns a label for counters and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotLocal => "not-local",
            Self::Unprivileged => "unprivileged",
            Self::Portmapper => "portmapper",
            Self::Protected(_) => "protected",
            Self::SystemPort(_) => "system-port",
            Self::ForeignAddress => "foreign-address",
            Self::Held(_) => "held",
            Self::Full => "full",
            Self::Malformed(_) => "malformed",
        }
    }
}
