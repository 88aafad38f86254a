//! The number of leases of one client.

use crate::limit::PrefixLengths;

/// The most leases that one client may have at the same time.
///
/// A client is a prefix, because a host that can use one address of a network can often use all of
/// them. Leases without a peer count for no client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quota {
    /// The most leases of one prefix, in all spaces together.
    pub per_prefix: u32,
    /// The lengths of the prefixes (default 32 bits of IPv4, 64 of IPv6: one customer).
    pub prefixes: PrefixLengths,
}

impl Quota {
    /// Returns a quota for each IPv4 address and each IPv6 network of 64 bits.
    pub const fn per_prefix(leases: u32) -> Self {
        Self {
            per_prefix: leases,
            prefixes: PrefixLengths::HOST,
        }
    }

    /// Sets [`prefixes`](Self::prefixes).
    #[must_use]
    pub const fn prefixes(self, prefixes: PrefixLengths) -> Self {
        Self { prefixes, ..self }
    }
}
