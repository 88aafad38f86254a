//! Blocks of addresses.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net};

/// How many bits of an IPv6 address that holds an IPv4 address come before it.
const MAPPED_BITS: u8 = 96;

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`; without a length, one address.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:10.0.0.1`) are the IPv4 addresses they hold, in a
/// network as in a question about it; `::/0` is IPv6 alone. Bits behind the length do not count.
///
/// ```
/// use tftpd::policy::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("::ffff:10.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network(IpNet);

impl Network {
    /// Whether it holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// How many leading bits its addresses share: the more, the more specific.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    fn canonical(net: IpNet) -> Self {
        let mapped = match net {
            IpNet::V6(net) => net
                .network()
                .to_ipv4_mapped()
                .zip(net.prefix_len().checked_sub(MAPPED_BITS)),
            IpNet::V4(_) => None,
        };
        let v4 = mapped.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
        Self(v4.map_or(net, IpNet::V4).trunc())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<IpAddr> for Network {
    /// The network of this one address.
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = text.parse().map(Self::canonical);
        network
            .or_else(|_| text.parse().map(|address: IpAddr| address.into()))
            .map_err(|_| NetworkError(text.to_owned()))
    }
}

/// Text that is no network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a network: write an address, or an address and a length as in 10.0.0.0/8 or fd00::/8"
)]
pub struct NetworkError(String);

/// How much of an address makes a neighbourhood: addresses that one stranger can have at will, or
/// that share the link that a flood would fill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefixLengths {
    v4: u8,
    v6: u8,
}

impl PrefixLengths {
    /// `v4` bits of an IPv4 address (up to 32) and `v6` bits of an IPv6 address (up to 128); `None`
    /// if there are not so many.
    pub const fn new(v4: u8, v6: u8) -> Option<Self> {
        if v4 > 32 || v6 > 128 {
            return None;
        }
        Some(Self { v4, v6 })
    }

    /// The neighbourhood of this address.
    pub fn around(self, address: IpAddr) -> Network {
        let address = address.to_canonical();
        let bits = match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        };
        // `new` bounds the lengths, so the fallback is never taken.
        Network(IpNet::new(address, bits).map_or_else(|_| address.into(), |net| net.trunc()))
    }
}

impl Default for PrefixLengths {
    /// /24 and /64: what the smallest customer of a provider gets.
    fn default() -> Self {
        Self { v4: 24, v6: 64 }
    }
}

/// Spreads networks over a table so that nobody without the secret can aim two at one place.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    secret: [u64; 2],
}

impl Spread {
    pub(super) fn new(secret: [u64; 2]) -> Self {
        Self { secret }
    }

    /// The place of a network in a table of `places`.
    pub(super) fn place(self, network: &Network, places: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        network.hash(&mut hasher);
        let bytes = hasher.finish().to_le_bytes();
        let hash = bytes
            .first_chunk()
            .map_or(0, |low| usize::from_le_bytes(*low));
        hash % places.max(1)
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spread(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_is_read_with_or_without_a_length() {
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
            assert_eq!(network(text).to_string(), shown, "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0/8",
            "fd00::/129",
            "host",
            "10.0.0.0/",
        ] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.contains("as in 10.0.0.0/8"), "{error}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert!(network("10.0.0.0/8").contains(address("::ffff:10.1.2.3")));
        assert!(network("::ffff:10.0.0.0/104").contains(address("10.1.2.3")));
        assert!(!network("::/0").contains(address("::ffff:10.1.2.3")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
    }

    #[test]
    fn neighbours_share_a_prefix() {
        let lengths = PrefixLengths::default();
        let around = |text| lengths.around(address(text)).to_string();
        assert_eq!(around("192.0.2.169"), "192.0.2.0/24");
        assert_eq!(around("::ffff:192.0.2.1"), "192.0.2.0/24");
        assert_eq!(around("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(PrefixLengths::new(33, 64), None);
        assert_eq!(PrefixLengths::new(24, 129), None);
        let all = PrefixLengths::new(0, 0).expect("in bounds");
        assert_eq!(all.around(address("192.0.2.1")).to_string(), "0.0.0.0/0");
    }

    proptest! {
        #[test]
        fn every_address_is_in_its_own_neighbourhood(bits: u128, v4 in 0_u8..=32, v6 in 0_u8..=128) {
            let lengths = PrefixLengths::new(v4, v6).expect("in bounds");
            let low = u32::try_from(bits & u128::from(u32::MAX)).expect("masked");
            for address in [IpAddr::V6(bits.into()), IpAddr::V4(Ipv4Addr::from_bits(low))] {
                let around = lengths.around(address);
                prop_assert!(around.contains(address));
                prop_assert_eq!(around.to_string().parse(), Ok(around));
                prop_assert!(Spread::new([1, 2]).place(&around, 7) < 7);
            }
        }
    }
}
