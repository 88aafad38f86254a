//! Who may register what.

use super::claim::{Claim, ClaimError};
use super::host::Host;
use super::owner::{Authority, Owner};
use super::table::Table;
use crate::rpc::Program;
use crate::rpcbind::PROGRAM;

/// What is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RegistryPolicy {
    /// Programs that only uid 0 may register; by default those whose impostor would be trusted
    /// with files: NFS, its mount daemon and its lock manager.
    pub protected: Vec<Program>,
    /// Whether processes of this machine may register over IP from any source port. Their
    /// registrations are nobody's in particular, so each may undo the other's.
    pub unprivileged_loopback: bool,
    /// How many registrations there may be.
    pub max_registrations: usize,
    /// How many of them may be those of one user other than uid 0.
    pub max_per_owner: usize,
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
    /// Who `by` is.
    ///
    /// # Errors
    /// [`RegistryError::NotLocal`] or [`RegistryError::Unprivileged`] if that is nobody who may change anything.
    pub(super) const fn identify(&self, by: Authority) -> Result<Owner, RegistryError> {
        match by {
            Authority::Uid(uid) => Ok(Owner::Uid(uid)),
            Authority::Loopback if self.unprivileged_loopback => Ok(Owner::Unknown),
            Authority::Loopback => Err(RegistryError::Unprivileged),
            Authority::Remote => Err(RegistryError::NotLocal),
        }
    }

    /// Whether `by` may claim this at all, and as whom.
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

    /// Whether there is room for one more of `owner`.
    pub(super) fn check_capacity(&self, table: &Table, owner: Owner) -> Result<(), RegistryError> {
        let own_share = owner == Owner::Uid(0) || table.owned_by(owner) < self.max_per_owner;
        if table.len() < self.max_registrations && own_share {
            Ok(())
        } else {
            Err(RegistryError::Full)
        }
    }
}

/// Why a registration is not made or not taken back. On the wire that is just `FALSE`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The request came from another machine.
    #[error("only processes of this machine may change registrations")]
    NotLocal,
    /// The request came over IP from a port that anybody can use.
    #[error(
        "over IP only source ports below 1024 may change registrations; \
         use the unix socket, or allow others with --insecure-set"
    )]
    Unprivileged,
    /// The portmapper's own registrations do not change.
    #[error("program 100000 is the portmapper itself")]
    Portmapper,
    /// Only uid 0 may register this program.
    #[error("only uid 0 may register program {0}")]
    Protected(Program),
    /// Only uid 0 may register this port.
    #[error("only uid 0 may register port {0}, below 1024")]
    SystemPort(u16),
    /// The address is not this machine's.
    #[error("the address is that of another machine")]
    ForeignAddress,
    /// Somebody else has registered another address, and is still there.
    #[error("it is registered by {0}, who still holds the port")]
    Held(Owner),
    /// There are as many registrations as may be.
    #[error("there are too many registrations")]
    Full,
    /// The request makes no sense.
    #[error("the request makes no sense")]
    Malformed(#[from] ClaimError),
}

impl RegistryError {
    /// A word for counters and logs.
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
