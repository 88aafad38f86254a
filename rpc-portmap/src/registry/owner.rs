//! Users that register, and users that own registrations.

use std::fmt;

use super::host::Liveness;

/// The origin of a request, as far as it gives rights.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Authority {
    /// A process of this machine that runs as this user. Over IP, a source port below 1024 of the
    /// loopback interface counts as uid 0, since other users cannot bind to it.
    Uid(u32),
    /// An unidentified process of this machine.
    Loopback,
    /// Another machine.
    Remote,
}

/// The owner of a registration.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Owner {
    /// A user.
    Uid(u32),
    /// An unidentified process of this machine.
    Unknown,
}

impl Owner {
    /// Returns true if `self` may replace or remove a registration of `holder`: its owner and root
    /// may, and every user once the service is dead. `liveness` is called only if it decides.
    pub(super) fn may_replace(self, holder: Self, liveness: impl FnOnce() -> Liveness) -> bool {
        self == Self::Uid(0) || self == holder || liveness() == Liveness::Dead
    }

    pub(super) const fn authority(self) -> Authority {
        match self {
            Self::Uid(uid) => Authority::Uid(uid),
            Self::Unknown => Authority::Loopback,
        }
    }
}

/// Prints the owner as `rpcinfo` does.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(0) => f.pad("superuser"),
            Self::Uid(uid) => f.pad(&uid.to_string()),
            Self::Unknown => f.pad("unknown"),
        }
    }
}
