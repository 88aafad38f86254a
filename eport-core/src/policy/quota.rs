//! The number of ports one client may have.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most leases that one client may have at the same time.
///
/// A client is a network prefix, because a host that can use one address of a network can often use
/// all of them. Leases without a peer count for no client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quota {
    /// The most leases of one client, in all spaces together.
    pub per_client: u32,
    /// Bits of an IPv4 address that distinguish clients (default 32).
    pub v4_prefix: u8,
    /// Bits of an IPv6 address that distinguish clients (default 64, what one customer has).
    pub v6_prefix: u8,
}

impl Quota {
    /// Returns a quota for each IPv4 address and each IPv6 network of 64 bits.
    pub const fn per_client(leases: u32) -> Self {
        Self {
            per_client: leases,
            v4_prefix: 32,
            v6_prefix: 64,
        }
    }

    /// Sets the lengths of the prefixes that distinguish clients; at most 32 and 128 count.
    #[must_use]
    pub const fn prefixes(self, v4: u8, v6: u8) -> Self {
        Self {
            v4_prefix: v4,
            v6_prefix: v6,
            ..self
        }
    }

    /// Returns the client that an address belongs to.
    pub(crate) fn client(self, ip: IpAddr) -> Client {
        match ip {
            IpAddr::V4(v4) => {
                let prefix = self.v4_prefix.min(32);
                let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
                Client {
                    network: Ipv4Addr::from_bits(v4.to_bits() & mask).into(),
                    prefix,
                }
            }
            IpAddr::V6(v6) => {
                let prefix = self.v6_prefix.min(128);
                let mask = u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0);
                Client {
                    network: Ipv6Addr::from_bits(v6.to_bits() & mask).into(),
                    prefix,
                }
            }
        }
    }
}

/// A network that counts as one client; prints like `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Client {
    network: IpAddr,
    prefix: u8,
}

impl Client {
    /// Returns the first address of the network.
    pub const fn network(self) -> IpAddr {
        self.network
    }

    /// Returns the number of bits that all addresses of the network have in common.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}
