//! Universal addresses ([RFC 5665 §5.2](https://www.rfc-editor.org/rfc/rfc5665#section-5.2)).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::netid::{Family, Netid};

/// The longest path of a unix socket, in bytes (`sun_path` on Linux).
const MAX_PATH: usize = 108;

/// The address of a service in the form of [RFC 5665
/// §5.2.3](https://www.rfc-editor.org/rfc/rfc5665#section-5.2.3): `192.0.2.1.3.120` is port 3 · 256
/// + 120 of 192.0.2.1, `::.0.111` port 111 of every IPv6 address.
///
/// ```
/// use rpc_portmap::rpcbind::{Netid, UniversalAddress};
///
/// let address = UniversalAddress::parse(Netid::Tcp, "192.0.2.1.3.120")?;
/// assert_eq!(address.socket_addr(), Some("192.0.2.1:888".parse()?));
/// assert_eq!(address.to_string(), "192.0.2.1.3.120");
/// assert!(UniversalAddress::parse(Netid::Tcp6, "192.0.2.1.3.120").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UniversalAddress {
    /// An IP address and a port.
    Ip(IpAddr, u16),
    /// The path of a unix socket; one that begins with `@` is abstract.
    Path(String),
}

impl UniversalAddress {
    /// Reads the address of a service on the transport `netid`.
    ///
    /// # Errors
    /// [`ParseAddressError`] if the text is no address of that family, or has port 0.
    pub fn parse(netid: Netid, text: &str) -> Result<Self, ParseAddressError> {
        match netid.family() {
            Family::Inet => ip::<Ipv4Addr>(text, ParseAddressError::NotInet),
            Family::Inet6 => ip::<Ipv6Addr>(text, ParseAddressError::NotInet6),
            Family::Loopback => path(text),
        }
    }

    /// Returns the IP address and the port, if it has them.
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(ip, port) => Some(SocketAddr::new(*ip, *port)),
            Self::Path(_) => None,
        }
    }

    /// Returns the port, if it has one.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(_, port) => Some(*port),
            Self::Path(_) => None,
        }
    }

    /// Returns the same port at `asked` if this is the wildcard address of the same family: the
    /// form that a client which reached the machine at `asked` can use.
    #[must_use]
    pub fn merged(&self, asked: IpAddr) -> Self {
        match self {
            Self::Ip(own, port) if own.is_unspecified() && own.is_ipv4() == asked.is_ipv4() => {
                Self::Ip(asked, *port)
            }
            _ => self.clone(),
        }
    }
}

impl From<SocketAddr> for UniversalAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address.ip(), address.port())
    }
}

impl fmt::Display for UniversalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip, port) => {
                let [high, low] = port.to_be_bytes();
                write!(f, "{ip}.{high}.{low}")
            }
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// The reason why a text is not the address of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// Not of the form `h1.h2.h3.h4.p1.p2`.
    #[error("not an IPv4 address of the form h1.h2.h3.h4.p1.p2")]
    NotInet,
    /// Not of the form `IPv6.p1.p2`.
    #[error("not an IPv6 address of the form x:x::x.p1.p2")]
    NotInet6,
    /// Not a path that a unix socket can have.
    #[error("not a path of a unix socket, which begins with / or @ and has at most 108 bytes")]
    NotAPath,
    /// Port 0, on which nothing can listen.
    #[error("port 0, on which nothing can listen")]
    PortZero,
}

fn ip<I: std::str::FromStr + Into<IpAddr>>(
    text: &str,
    wrong: ParseAddressError,
) -> Result<UniversalAddress, ParseAddressError> {
    let parsed = || {
        let (rest, low) = text.rsplit_once('.')?;
        let (host, high) = rest.rsplit_once('.')?;
        let host: I = host.parse().ok()?;
        Some((host.into(), u16::from_be_bytes([octet(high)?, octet(low)?])))
    };
    match parsed() {
        Some((_, 0)) => Err(ParseAddressError::PortZero),
        Some((host, port)) => Ok(UniversalAddress::Ip(host, port)),
        None => Err(wrong),
    }
}

/// Parses one to three digits; `u8::from_str` alone would accept a sign.
fn octet(text: &str) -> Option<u8> {
    let digits = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn path(text: &str) -> Result<UniversalAddress, ParseAddressError> {
    let named = text.len() > 1 && text.starts_with(['/', '@']);
    if named && text.len() <= MAX_PATH && !text.contains('\0') {
        Ok(UniversalAddress::Path(text.to_owned()))
    } else {
        Err(ParseAddressError::NotAPath)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_of_real_services_are_read() {
        for (netid, text, expected) in [
            (Netid::Udp, "0.0.0.0.0.111", "0.0.0.0:111"),
            (Netid::Tcp, "127.0.0.1.8.1", "127.0.0.1:2049"),
            (Netid::Udp6, "::.0.111", "[::]:111"),
            (Netid::Tcp6, "fe80::1.255.255", "[fe80::1]:65535"),
            (
                Netid::Tcp6,
                "::ffff:192.0.2.1.3.4",
                "[::ffff:192.0.2.1]:772",
            ),
        ] {
            let address = UniversalAddress::parse(netid, text).expect(text);
            assert_eq!(address.socket_addr(), expected.parse().ok());
            assert_eq!(address.to_string(), text);
        }
        let path = UniversalAddress::parse(Netid::Local, "/run/rpcbind.sock").expect("a path");
        assert_eq!(path.port(), None);
    }

    #[test]
    fn malformed_addresses_are_rejected() {
        for text in [
            "",
            ".",
            "..",
            "1.2.3.4",
            "1.2.3.4.5",
            "1.2.3.4.5.256",
            "1.2.3.4.+1.2",
            "1.2.3.4.5.",
            "1.2.3.4.5.6.7",
            "01.2.3.4.5.6",
            "1.2.3.4.0001.6",
            "::.0.111",
            " 1.2.3.4.5.6",
            "1.2.3.4.5.6 ",
        ] {
            let error = UniversalAddress::parse(Netid::Udp, text).expect_err(text);
            assert_eq!(error, ParseAddressError::NotInet, "{text:?}");
        }
        for text in ["0.0.0.0.0.111", ":::.0.1", "fe80::1%eth0.0.1", "::"] {
            let error = UniversalAddress::parse(Netid::Udp6, text).expect_err(text);
            assert_eq!(error, ParseAddressError::NotInet6, "{text:?}");
        }
        for text in ["", "/", "run", "/a\0b", &format!("/{}", "x".repeat(108))] {
            assert!(
                UniversalAddress::parse(Netid::Local, text).is_err(),
                "{text:?}"
            );
        }
        let zero = UniversalAddress::parse(Netid::Udp, "1.2.3.4.0.0");
        assert_eq!(zero, Err(ParseAddressError::PortZero));
    }

    #[test]
    fn the_wildcard_becomes_the_address_that_was_asked() {
        let any = UniversalAddress::Ip("0.0.0.0".parse().expect("an address"), 2049);
        let merged = |text: &str| any.merged(text.parse().expect("an address")).to_string();
        assert_eq!(merged("192.0.2.7"), "192.0.2.7.8.1");
        assert_eq!(merged("2001:db8::1"), "0.0.0.0.8.1");
        let own = UniversalAddress::Ip("192.0.2.1".parse().expect("an address"), 2049);
        assert_eq!(own.merged("192.0.2.7".parse().expect("an address")), own);
    }

    proptest! {
        #[test]
        fn every_address_reads_back(ip: IpAddr, port in 1_u16..) {
            let netid = Netid::Tcp.over(if ip.is_ipv4() { Family::Inet } else { Family::Inet6 });
            let address = UniversalAddress::Ip(ip, port);
            prop_assert_eq!(UniversalAddress::parse(netid, &address.to_string()), Ok(address));
        }

        #[test]
        fn no_text_is_read_as_something_else(text in "[0-9a-f:.]{0,24}") {
            for netid in [Netid::Udp, Netid::Udp6] {
                if let Ok(address) = UniversalAddress::parse(netid, &text) {
                    prop_assert_eq!(UniversalAddress::parse(netid, &address.to_string()), Ok(address));
                }
            }
        }
    }
}
