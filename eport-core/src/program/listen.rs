//! The value of `--listen`: an address, a port, or both.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::str::FromStr;

use nix::net::if_::if_nametoindex;

use super::exit::Exit;
use super::failure::Failure;

/// An address to listen on as it is written on a command line.
///
/// | written | listens on |
/// |---|---|
/// | `192.0.2.1` | this address, the program's default port |
/// | `192.0.2.1:6969` | this address and port |
/// | `:6969` | every address of both families, this port |
/// | `[2001:db8::1]:6969`, `[2001:db8::1]` | the same for IPv6 |
/// | `2001:db8::1` | the same, if its end cannot be taken for a port |
/// | `fe80::1%eth0`, `[fe80::1%2]:6969` | a link-local address on an interface, by name or number |
///
/// ```
/// use eport_core::program::ListenAddress;
///
/// let listen: ListenAddress = "[::1]".parse()?;
/// assert_eq!(listen.resolve(69).expect("it has no zone"), "[::1]:69".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenAddress {
    ip: IpAddr,
    zone: Option<Zone>,
    port: Option<u16>,
}

/// The interface of a link-local address.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Zone {
    Index(u32),
    Name(String),
}

/// The reason why a text is no address to listen on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseListenError {
    /// The text has none of the forms.
    #[error(
        "{0:?} is no address: write 192.0.2.1, 192.0.2.1:PORT, [2001:db8::1]:PORT, fe80::1%eth0, \
         or :PORT for every address"
    )]
    Form(String),
    /// The part after the last colon is no number from 0 to 65535.
    #[error("{0:?} is no port: write a number from 1 to 65535")]
    Port(String),
    /// The end of an IPv6 address without brackets could be a port.
    #[error(
        "{address} is ambiguous: write [{address}] for the address, or [{head}]:{port} for port {port}"
    )]
    Ambiguous {
        /// The whole text.
        address: Ipv6Addr,
        /// The address that is left without the last number.
        head: Ipv6Addr,
        /// The last number.
        port: u16,
    },
    /// A link-local address exists on every interface.
    #[error("{0} is a link-local address: write the interface after it, such as {0}%eth0")]
    NoZone(Ipv6Addr),
    /// The part after the `%` names no interface.
    #[error("{0:?} is no interface: write its name or number after the %, such as fe80::1%eth0")]
    Zone(String),
    /// IPv4 addresses have no zone.
    #[error("{0} is an IPv4 address, which has no zone: leave out the % and what follows it")]
    ZoneOfIpv4(IpAddr),
}

impl ListenAddress {
    /// The default port on every address of both families.
    pub const EVERY: Self = Self {
        ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        zone: None,
        port: None,
    };

    /// Returns the socket address, with `default_port` if none was written. Looks up the number of
    /// an interface that was named.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] when this machine has no interface of that name.
    pub fn resolve(&self, default_port: u16) -> Result<SocketAddr, Failure> {
        let port = self.port.unwrap_or(default_port);
        let IpAddr::V6(v6) = self.ip else {
            return Ok(SocketAddr::new(self.ip, port));
        };
        let scope = match &self.zone {
            None => 0,
            Some(Zone::Index(index)) => *index,
            Some(Zone::Name(name)) => if_nametoindex(name.as_str()).map_err(|error| {
                let what = format!("cannot listen on {v6}%{name}: no interface is named {name}");
                let failure = Failure::new(Exit::Unavailable, what).because(&error);
                failure.hint("ip link shows the interfaces of this machine")
            })?,
        };
        Ok(SocketAddrV6::new(v6, port, 0, scope).into())
    }
}

impl FromStr for ListenAddress {
    type Err = ParseListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no_form = || ParseListenError::Form(text.to_owned());
        if let Some(digits) = text.strip_prefix(':')
            && !digits.contains(':')
        {
            let port = Some(port(digits)?);
            return Ok(Self {
                port,
                ..Self::EVERY
            });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(no_form)?;
            let port = match rest.strip_prefix(':') {
                Some(digits) => Some(port(digits)?),
                None if rest.is_empty() => None,
                None => return Err(no_form()),
            };
            let (ip, zone) = host_and_zone(host)?.ok_or_else(no_form)?;
            return match ip {
                IpAddr::V6(_) => Ok(Self { ip, zone, port }),
                IpAddr::V4(_) => Err(no_form()),
            };
        }
        if let Some((ip, zone)) = host_and_zone(text)? {
            unambiguous(ip, text)?;
            return Ok(Self {
                ip,
                zone,
                port: None,
            });
        }
        // Only an IPv4 address is followed by a port without brackets.
        let (host, digits) = text.rsplit_once(':').ok_or_else(no_form)?;
        let ip = host.parse().map(IpAddr::V4).map_err(|_| no_form())?;
        let port = Some(port(digits)?);
        Ok(Self {
            ip,
            zone: None,
            port,
        })
    }
}

/// Parses a port. The standard library takes a plus sign as well.
fn port(digits: &str) -> Result<u16, ParseListenError> {
    let number = digits.parse().ok();
    number
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| ParseListenError::Port(digits.to_owned()))
}

/// Parses an address with or without a zone; `None` if the text begins with no address.
fn host_and_zone(text: &str) -> Result<Option<(IpAddr, Option<Zone>)>, ParseListenError> {
    let (host, zone) = match text.split_once('%') {
        Some((host, zone)) => (host, Some(zone)),
        None => (text, None),
    };
    let Ok(ip) = host.parse() else {
        return Ok(None);
    };
    match (ip, zone) {
        (IpAddr::V4(_), Some(_)) => Err(ParseListenError::ZoneOfIpv4(ip)),
        (IpAddr::V6(v6), None) if v6.is_unicast_link_local() => Err(ParseListenError::NoZone(v6)),
        (_, None) => Ok(Some((ip, None))),
        (_, Some(zone)) => Ok(Some((ip, Some(zone.parse()?)))),
    }
}

impl FromStr for Zone {
    type Err = ParseListenError;

    /// Parses the number or the name of an interface. The kernel refuses names with a slash, a colon
    /// or white space, and those longer than 15 bytes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseListenError::Zone(text.to_owned());
        if let Ok(index) = text.parse::<NonZeroU32>() {
            return Ok(Self::Index(index.get()));
        }
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
        let is_name = (1..=15).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.bytes().all(|byte| byte.is_ascii_digit());
        is_name
            .then(|| Self::Name(text.to_owned()))
            .ok_or_else(wrong)
    }
}

/// Refuses an IPv6 address without brackets that is one too without its last number, if that could
/// be a port.
fn unambiguous(ip: IpAddr, text: &str) -> Result<(), ParseListenError> {
    let IpAddr::V6(address) = ip else {
        return Ok(());
    };
    let split = text.rsplit_once(':').and_then(|(head, last)| {
        let head = head.parse::<Ipv6Addr>().ok()?;
        Some((head, port(last).ok()?))
    });
    match split {
        Some((head, port)) => Err(ParseListenError::Ambiguous {
            address,
            head,
            port,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The socket address of a text, with 69 as the default port.
    fn resolved(text: &str) -> Result<String, String> {
        let listen: ListenAddress = text
            .parse()
            .map_err(|error: ParseListenError| error.to_string())?;
        let address = listen.resolve(69).map_err(|failure| failure.to_string())?;
        Ok(address.to_string())
    }

    #[test]
    fn an_address_a_port_or_both_may_be_written() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:69"),
            ("192.0.2.1:6969", "192.0.2.1:6969"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            (":6969", "[::]:6969"),
            ("[::1]:6969", "[::1]:6969"),
            ("[2001:db8::1]", "[2001:db8::1]:69"),
            ("2001:db8::1", "[2001:db8::1]:69"),
            ("2001:db8::a:b", "[2001:db8::a:b]:69"),
            ("::1", "[::1]:69"),
            ("::", "[::]:69"),
            ("2001:db8:0:0:0:0:0:69", "[2001:db8::69]:69"),
            ("::ffff:192.0.2.1", "[::ffff:192.0.2.1]:69"),
        ] {
            assert_eq!(resolved(text).as_deref(), Ok(address), "{text}");
        }
        assert_eq!(
            ListenAddress::EVERY
                .resolve(69)
                .expect("no zone")
                .to_string(),
            "[::]:69"
        );
    }

    #[test]
    fn a_zone_is_the_name_or_the_number_of_an_interface() {
        for (text, address) in [
            ("fe80::1%lo", "[fe80::1%1]:69"),
            ("fe80::1%1", "[fe80::1%1]:69"),
            ("[fe80::1%lo]:6969", "[fe80::1%1]:6969"),
            ("[fe80::1%7]", "[fe80::1%7]:69"),
        ] {
            assert_eq!(resolved(text).as_deref(), Ok(address), "{text}");
        }
        let unknown: ListenAddress = "fe80::1%no-such-if".parse().expect("a form");
        let failure = unknown.resolve(69).expect_err("it does not exist");
        assert_eq!(failure.exit(), Exit::Unavailable);
        let text = failure.to_string();
        assert!(
            text.contains("fe80::1%no-such-if") && text.contains("hint: ip link"),
            "{text}"
        );
    }

    #[test]
    fn an_ipv6_address_whose_end_could_be_a_port_needs_brackets() {
        assert_eq!(
            resolved("::1:69").expect_err("ambiguous"),
            "::1:69 is ambiguous: write [::1:69] for the address, or [::1]:69 for port 69"
        );
        assert_eq!(resolved("[::1:69]").as_deref(), Ok("[::1:69]:69"));
        assert!(resolved("2001:db8::1:2").is_err());
    }

    #[test]
    fn a_wrong_text_is_refused_with_its_remedy() {
        for (text, remedy) in [
            ("", "write 192.0.2.1"),
            (":", "\"\" is no port"),
            ("69", "write 192.0.2.1"),
            ("localhost:69", "write 192.0.2.1"),
            (":99999", "\"99999\" is no port"),
            ("127.0.0.1:+69", "\"+69\" is no port"),
            ("127.0.0.1:", "\"\" is no port"),
            ("::1:69x", "write 192.0.2.1"),
            ("[::1]69", "write 192.0.2.1"),
            ("[::1", "write 192.0.2.1"),
            ("[127.0.0.1]:69", "write 192.0.2.1"),
            (" 127.0.0.1", "write 192.0.2.1"),
            ("fe80::1", "such as fe80::1%eth0"),
            ("[fe80::1]:69", "such as fe80::1%eth0"),
            ("fe80::1%", "\"\" is no interface"),
            ("fe80::1%0", "\"0\" is no interface"),
            ("fe80::1%eth0:69", "\"eth0:69\" is no interface"),
            ("fe80::1%name-of-16-bytes", "is no interface"),
            ("192.0.2.1%eth0", "leave out the %"),
        ] {
            let error = resolved(text).expect_err(text);
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
