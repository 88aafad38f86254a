//! How many ports one client may have.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most leases that one client may have at the same time.
///
/// A client is a network prefix, because whoever can use one address of a network can often use all
/// of them. Leases without a peer are nobody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quota {
    /// The most leases of one client, in all spaces together.
    pub per_client: u32,
    /// Bits of an IPv4 address that tell clients apart (default 32).
    pub v4_prefix: u8,
    /// Bits of an IPv6 address that tell clients apart (default 64, what one customer has).
    pub v6_prefix: u8,
}

impl Quota {
    /// A quota for each IPv4 address and each IPv6 network of 64 bits.
    pub const fn per_client(leases: u32) -> Self {
        Self {
            per_client: leases,
            v4_prefix: 32,
            v6_prefix: 64,
        }
    }

    /// Sets the lengths of the prefixes that tell clients apart; at most 32 and 128 count.
    #[must_use]
    pub const fn prefixes(self, v4: u8, v6: u8) -> Self {
        Self {
            v4_prefix: v4,
            v6_prefix: v6,
            ..self
        }
    }

    fn client(self, ip: IpAddr) -> Client {
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
    /// The first address of the network.
    pub const fn network(self) -> IpAddr {
        self.network
    }

    /// The bits that all addresses of the network have in common.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// The leases of each client that has any.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    quota: Option<Quota>,
    leases: BTreeMap<Client, u32>,
}

impl Usage {
    pub(super) const fn new(quota: Option<Quota>) -> Self {
        Self {
            quota,
            leases: BTreeMap::new(),
        }
    }

    /// Whether the client at `ip` may have one lease more.
    ///
    /// # Errors
    /// The client and its limit.
    pub(super) fn admit(&self, ip: Option<IpAddr>) -> Result<(), (Client, u32)> {
        let (Some(quota), Some(ip)) = (self.quota, ip) else {
            return Ok(());
        };
        let client = quota.client(ip);
        let used = self.leases.get(&client).copied().unwrap_or(0);
        if used < quota.per_client {
            Ok(())
        } else {
            Err((client, quota.per_client))
        }
    }

    pub(super) fn add(&mut self, ip: Option<IpAddr>) {
        if let (Some(quota), Some(ip)) = (self.quota, ip) {
            *self.leases.entry(quota.client(ip)).or_insert(0) += 1;
        }
    }

    pub(super) fn subtract(&mut self, ip: Option<IpAddr>) {
        let (Some(quota), Some(ip)) = (self.quota, ip) else {
            return;
        };
        let client = quota.client(ip);
        if let Some(leases) = self.leases.get_mut(&client) {
            *leases -= 1;
            if *leases == 0 {
                self.leases.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address, as a request for a peer has one.
    #[expect(clippy::unnecessary_wraps, reason = "as a request has it")]
    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let mut usage = Usage::new(Some(Quota::per_client(2).prefixes(24, 48)));
        usage.add(ip("192.0.2.1"));
        usage.add(ip("192.0.2.200"));
        let (client, limit) = usage.admit(ip("192.0.2.7")).expect_err("full");
        assert_eq!((client.to_string().as_str(), limit), ("192.0.2.0/24", 2));
        assert_eq!(usage.admit(ip("192.0.3.1")), Ok(()));
        usage.add(ip("2001:db8:1::1"));
        usage.add(ip("2001:db8:1:ffff::1"));
        assert!(usage.admit(ip("2001:db8:1:2::3")).is_err());
        assert_eq!(usage.admit(ip("2001:db8:2::1")), Ok(()));
        usage.subtract(ip("192.0.2.1"));
        assert_eq!(usage.admit(ip("192.0.2.7")), Ok(()));
    }

    #[test]
    fn prefixes_of_any_length_are_possible() {
        for (v4, v6) in [(0, 0), (32, 128), (u8::MAX, u8::MAX)] {
            let mut usage = Usage::new(Some(Quota::per_client(1).prefixes(v4, v6)));
            for own in ["192.0.2.1", "2001:db8::1"] {
                usage.add(ip(own));
                assert!(usage.admit(ip(own)).is_err());
            }
            assert_eq!(usage.admit(ip("198.51.100.1")).is_ok(), v4 > 0);
        }
    }

    #[test]
    fn nothing_is_kept_for_clients_without_leases_or_without_a_quota() {
        let mut usage = Usage::new(Some(Quota::per_client(2)));
        usage.add(ip("192.0.2.1"));
        usage.add(None);
        usage.subtract(ip("192.0.2.1"));
        assert!(usage.leases.is_empty());
        let mut free = Usage::new(None);
        free.add(ip("192.0.2.1"));
        assert!(free.leases.is_empty() && free.admit(ip("192.0.2.1")).is_ok());
    }
}
