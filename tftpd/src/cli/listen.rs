//! `--listen`: an address and a port as people write them.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// Where to listen: `192.0.2.1:69`, `[2001:db8::1]:69`, or `:69` for every address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Listen(pub(super) SocketAddr);

/// Every address of both families.
const EVERY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Listen {
    /// The port of RFC 1350 on every address.
    pub(super) const DEFAULT: Self = Self(SocketAddr::new(EVERY, 69));
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = match text.strip_prefix(':') {
            Some(port) => port.parse().map(|port| SocketAddr::new(EVERY, port)).ok(),
            None => text.parse().ok(),
        };
        address.map(Self).ok_or_else(|| {
            format!("{text:?} is no address with a port: write 192.0.2.1:69, [2001:db8::1]:69, or :69 for all")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_and_a_port_alone_means_all() {
        let listen = |text: &str| text.parse::<Listen>().map(|listen| listen.0.to_string());
        assert_eq!(listen("127.0.0.1:6969").as_deref(), Ok("127.0.0.1:6969"));
        assert_eq!(listen("[::1]:69").as_deref(), Ok("[::1]:69"));
        assert_eq!(listen(":6969").as_deref(), Ok("[::]:6969"));
        for wrong in [
            "",
            ":",
            "69",
            "127.0.0.1",
            "localhost:69",
            ":99999",
            "::1:69x",
        ] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }
}
