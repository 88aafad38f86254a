//! Users that register, and users that own registrations.

use std::fmt;

/// Where a request comes from, as far as that gives it rights.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Authority {
    /// A process of this machine that runs as this user. Over IP that is uid 0 for a source port
    /// below 1024 of the loopback interface, to which others cannot bind.
    Uid(u32),
    /// Some process of this machine.
    Loopback,
    /// Another machine.
    Remote,
}

/// Whose a registration is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Owner {
    /// A user's.
    Uid(u32),
    /// That of some process of this machine.
    Unknown,
}

impl Owner {
    /// Whether `self` may replace or remove what `holder` registered.
    pub fn may_change(self, holder: Self) -> bool {
        self == Self::Uid(0) || self == holder
    }

    pub(super) const fn authority(self) -> Authority {
        match self {
            Self::Uid(uid) => Authority::Uid(uid),
            Self::Unknown => Authority::Loopback,
        }
    }
}

/// As `rpcinfo` shows it.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(0) => f.pad("superuser"),
            Self::Uid(uid) => f.pad(&uid.to_string()),
            Self::Unknown => f.pad("unknown"),
        }
    }
}
