//! The leases of each client, counted against its quota.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::limit::Prefix;
use crate::policy::Quota;

/// The leases of each client that has any.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    quota: Option<Quota>,
    leases: BTreeMap<Prefix, u32>,
}

impl Usage {
    pub(super) const fn new(quota: Option<Quota>) -> Self {
        Self {
            quota,
            leases: BTreeMap::new(),
        }
    }

    /// Checks that the client at `ip` may have one more lease.
    ///
    /// # Errors
    /// The client and its limit.
    pub(super) fn check(&self, ip: Option<IpAddr>) -> Result<(), (Prefix, u32)> {
        let (Some(quota), Some(ip)) = (self.quota, ip) else {
            return Ok(());
        };
        let prefix = quota.prefixes.prefix(ip);
        let used = self.leases.get(&prefix).copied().unwrap_or(0);
        if used < quota.per_prefix {
            Ok(())
        } else {
            Err((prefix, quota.per_prefix))
        }
    }

    pub(super) fn add(&mut self, ip: Option<IpAddr>) {
        if let (Some(quota), Some(ip)) = (self.quota, ip) {
            *self.leases.entry(quota.prefixes.prefix(ip)).or_insert(0) += 1;
        }
    }

    pub(super) fn subtract(&mut self, ip: Option<IpAddr>) {
        let (Some(quota), Some(ip)) = (self.quota, ip) else {
            return;
        };
        let prefix = quota.prefixes.prefix(ip);
        if let Some(leases) = self.leases.get_mut(&prefix) {
            *leases -= 1;
            if *leases == 0 {
                self.leases.remove(&prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::PrefixLengths;

    /// An address, as a request for a peer has one.
    #[expect(clippy::unnecessary_wraps, reason = "as a request has it")]
    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    fn lengths(v4: u8, v6: u8) -> PrefixLengths {
        PrefixLengths::new(v4, v6).expect("within the widths")
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let mut usage = Usage::new(Some(Quota::per_prefix(2).prefixes(lengths(24, 48))));
        usage.add(ip("192.0.2.1"));
        usage.add(ip("192.0.2.200"));
        let (prefix, limit) = usage.check(ip("192.0.2.7")).expect_err("full");
        assert_eq!((prefix.to_string().as_str(), limit), ("192.0.2.0/24", 2));
        assert_eq!(usage.check(ip("192.0.3.1")), Ok(()));
        usage.add(ip("2001:db8:1::1"));
        usage.add(ip("2001:db8:1:ffff::1"));
        assert!(usage.check(ip("2001:db8:1:2::3")).is_err());
        assert_eq!(usage.check(ip("2001:db8:2::1")), Ok(()));
        usage.subtract(ip("192.0.2.1"));
        assert_eq!(usage.check(ip("192.0.2.7")), Ok(()));
    }

    #[test]
    fn prefixes_of_any_length_are_possible() {
        for (v4, v6) in [(0, 0), (32, 128)] {
            let mut usage = Usage::new(Some(Quota::per_prefix(1).prefixes(lengths(v4, v6))));
            for own in ["192.0.2.1", "2001:db8::1"] {
                usage.add(ip(own));
                assert!(usage.check(ip(own)).is_err());
            }
            assert_eq!(usage.check(ip("198.51.100.1")).is_ok(), v4 > 0);
        }
    }

    #[test]
    fn nothing_is_kept_for_clients_without_leases_or_without_a_quota() {
        let mut usage = Usage::new(Some(Quota::per_prefix(2)));
        usage.add(ip("192.0.2.1"));
        usage.add(None);
        usage.subtract(ip("192.0.2.1"));
        assert!(usage.leases.is_empty());
        let mut free = Usage::new(None);
        free.add(ip("192.0.2.1"));
        assert!(free.leases.is_empty() && free.check(ip("192.0.2.1")).is_ok());
    }
}
