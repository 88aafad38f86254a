//! Blocks of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The bits of an IPv6 address before the IPv4 address that is mapped into it.
const MAPPED_BITS: u8 = 96;

/// A block of addresses with the same leading bits: `10.0.0.0/8`, `fd00::/8`; without a length, one
/// address.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:10.0.0.1`) are the IPv4 addresses they hold, in a
/// prefix as in an address compared with it; `::/0` is IPv6 alone. Bits behind the length do not
/// count.
///
/// ```
/// use eport_core::limit::Prefix;
///
/// let prefix: Prefix = "10.0.0.0/8".parse()?;
/// assert!(prefix.contains("::ffff:10.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Prefix {
    /// Canonical, with zeros behind the length.
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// Returns the block of addresses whose first `bits` bits are those of `address`; `None` if an
    /// address has fewer.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        if bits > width(address) {
            return None;
        }
        let truncated = Self {
            address: truncated(address, bits),
            bits,
        };
        let IpAddr::V6(v6) = truncated.address else {
            return Some(truncated);
        };
        let mapped = v6.to_ipv4_mapped().zip(bits.checked_sub(MAPPED_BITS));
        Some(mapped.map_or(truncated, |(v4, bits)| Self {
            address: v4.into(),
            bits,
        }))
    }

    /// Returns true if the block holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && truncated(address, self.bits) == self.address
    }

    /// The number of leading bits that the addresses share: the more, the more specific.
    pub const fn bits(&self) -> u8 {
        self.bits
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with zeros behind its first `bits` bits.
fn truncated(address: IpAddr, bits: u8) -> IpAddr {
    let behind = u32::from(width(address).saturating_sub(bits));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<IpAddr> for Prefix {
    /// The block of this one address.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            bits: width(address),
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let prefix = match text.split_once('/') {
            None => text.parse().map(|address: IpAddr| address.into()).ok(),
            Some((address, bits)) => address
                .parse()
                .ok()
                .zip(length(bits))
                .and_then(|(address, bits)| Self::new(address, bits)),
        };
        prefix.ok_or_else(|| PrefixError(text.to_owned()))
    }
}

/// A number as it is written behind the slash: digits alone.
fn length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The error for a text that is no [`Prefix`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a network: write an address, or an address and a length as in 10.0.0.0/8 or fd00::/8"
)]
pub struct PrefixError(String);

/// The number of bits that make the [`Prefix`] of a client: addresses that one sender can have at
/// will, or that share the link which a flood would fill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefixLengths {
    v4: u8,
    v6: u8,
}

impl PrefixLengths {
    /// One host: an address of IPv4, or a /64 of IPv6, of which a host can take any number of
    /// addresses.
    pub const HOST: Self = Self { v4: 32, v6: 64 };

    /// `v4` bits of an IPv4 address (up to 32) and `v6` bits of an IPv6 address (up to 128); `None`
    /// beyond that.
    pub const fn new(v4: u8, v6: u8) -> Option<Self> {
        if v4 > 32 || v6 > 128 {
            return None;
        }
        Some(Self { v4, v6 })
    }

    /// Returns the prefix of this address.
    pub fn prefix(self, address: IpAddr) -> Prefix {
        let address = address.to_canonical();
        let bits = match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        };
        // `new` bounds the lengths, so the fallback is never taken.
        Prefix::new(address, bits).unwrap_or_else(|| address.into())
    }
}

impl Default for PrefixLengths {
    /// /24 and /64: the blocks that a provider's smallest customer gets.
    fn default() -> Self {
        Self { v4: 24, v6: 64 }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::limit::PrefixTable;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_prefix_is_read_with_or_without_a_length() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::/8", "fd00::/8"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(prefix(text).to_string(), shown, "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0/8",
            "fd00::/129",
            "host",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
        ] {
            let error = text.parse::<Prefix>().expect_err(text).to_string();
            assert!(error.contains("as in 10.0.0.0/8"), "{error}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert!(prefix("10.0.0.0/8").contains(address("::ffff:10.1.2.3")));
        assert!(prefix("::ffff:10.0.0.0/104").contains(address("10.1.2.3")));
        assert!(!prefix("::/0").contains(address("::ffff:10.1.2.3")));
        assert!(!prefix("0.0.0.0/0").contains(address("2001:db8::1")));
    }

    #[test]
    fn addresses_with_the_same_leading_bits_share_a_prefix() {
        let lengths = PrefixLengths::default();
        let prefix = |text| lengths.prefix(address(text)).to_string();
        assert_eq!(prefix("192.0.2.169"), "192.0.2.0/24");
        assert_eq!(prefix("::ffff:192.0.2.1"), "192.0.2.0/24");
        assert_eq!(prefix("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(PrefixLengths::new(33, 64), None);
        assert_eq!(PrefixLengths::new(24, 129), None);
        let all = PrefixLengths::new(0, 0).expect("in bounds");
        assert_eq!(all.prefix(address("192.0.2.1")).to_string(), "0.0.0.0/0");
    }

    proptest! {
        #[test]
        fn every_address_is_in_its_own_prefix(bits: u128, v4 in 0_u8..=32, v6 in 0_u8..=128) {
            let lengths = PrefixLengths::new(v4, v6).expect("in bounds");
            let low = u32::try_from(bits & u128::from(u32::MAX)).expect("masked");
            for address in [IpAddr::V6(bits.into()), IpAddr::V4(Ipv4Addr::from_bits(low))] {
                let prefix = lengths.prefix(address);
                prop_assert!(prefix.contains(address));
                prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
                let slots = NonZeroU32::new(7).expect("not zero");
                let table = PrefixTable::<u8>::new(lengths, slots, [1, 2]);
                prop_assert!(table.slot(&prefix) < 7);
            }
        }
    }
}
