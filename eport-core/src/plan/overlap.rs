//! The treatment of ports that the kernel hands out as well.

use std::fmt;
use std::str::FromStr;

/// The treatment of ports that lie in the kernel's ephemeral range and are not set aside in
/// `net.ipv4.ip_local_reserved_ports`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overlap {
    /// Leave such ports out, however few are left.
    Avoid,
    /// Use them, and warn with the sysctl line that ends the overlap. `auto` does so only when
    /// fewer than [`AUTO_MINIMUM`](super::AUTO_MINIMUM) ports are left without them.
    #[default]
    Allow,
    /// Fail with the same line in cases where [`Allow`](Self::Allow) would warn.
    Refuse,
}

impl Overlap {
    /// All treatments.
    pub const ALL: [Self; 3] = [Self::Avoid, Self::Allow, Self::Refuse];
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avoid => "avoid",
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        })
    }
}

/// Reads `avoid`, `allow` or `refuse`.
impl FromStr for Overlap {
    type Err = ParseOverlapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.to_string() == text);
        found.ok_or_else(|| ParseOverlapError(text.chars().take(24).collect()))
    }
}

/// The text names no [`Overlap`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no policy for overlaps; write avoid, allow or refuse")]
pub struct ParseOverlapError(String);
