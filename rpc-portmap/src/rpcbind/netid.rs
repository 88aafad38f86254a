//! The names of transports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A transport, as [RFC 5665 §5.1.1](https://www.rfc-editor.org/rfc/rfc5665#section-5.1) and the
/// file `/etc/netconfig` name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Netid {
    /// UDP over IPv4.
    Udp,
    /// TCP over IPv4.
    Tcp,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
    /// A unix stream socket.
    Local,
    /// SCTP over IPv4.
    Sctp,
    /// SCTP over IPv6.
    Sctp6,
    /// RDMA over IPv4.
    Rdma,
    /// RDMA over IPv6.
    Rdma6,
}

/// The way in which a transport carries messages (`nc_semantics`, [RFC 1833
/// §2.1](https://www.rfc-editor.org/rfc/rfc1833#section-2.1)). Closed: the wire has these three
/// values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: `nc_semantics` of RFC 1833 §2.1 has three values"
)]
pub enum Semantics {
    /// `NC_TPI_CLTS`: datagrams.
    Datagrams = 1,
    /// `NC_TPI_COTS`: a connection.
    Connection = 2,
    /// `NC_TPI_COTS_ORD`: a connection with an orderly release.
    OrderlyConnection = 3,
}

/// The address family of a transport. Closed: every [`Netid`] belongs to one of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: every netid belongs to one of these"
)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// A path, or an abstract name.
    Loopback,
}

impl Family {
    /// Returns the family of an IP address; IPv4 also for an IPv4-mapped IPv6 address.
    pub fn from_ip(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() {
            Self::Inet
        } else {
            Self::Inet6
        }
    }

    /// Returns the name of the family (`nc_protofmly`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
            Self::Loopback => "loopback",
        }
    }
}

impl Netid {
    /// All transports.
    pub const ALL: [Self; 9] = [
        Self::Udp,
        Self::Tcp,
        Self::Udp6,
        Self::Tcp6,
        Self::Local,
        Self::Sctp,
        Self::Sctp6,
        Self::Rdma,
        Self::Rdma6,
    ];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Udp6 => "udp6",
            Self::Tcp6 => "tcp6",
            Self::Local => "local",
            Self::Sctp => "sctp",
            Self::Sctp6 => "sctp6",
            Self::Rdma => "rdma",
            Self::Rdma6 => "rdma6",
        }
    }

    /// Returns the family of its addresses.
    pub const fn family(self) -> Family {
        match self {
            Self::Udp | Self::Tcp | Self::Sctp | Self::Rdma => Family::Inet,
            Self::Udp6 | Self::Tcp6 | Self::Sctp6 | Self::Rdma6 => Family::Inet6,
            Self::Local => Family::Loopback,
        }
    }

    /// Returns the way in which it carries messages.
    pub const fn semantics(self) -> Semantics {
        match self {
            Self::Udp | Self::Udp6 => Semantics::Datagrams,
            Self::Local | Self::Rdma | Self::Rdma6 => Semantics::Connection,
            Self::Tcp | Self::Tcp6 | Self::Sctp | Self::Sctp6 => Semantics::OrderlyConnection,
        }
    }

    /// Returns the protocol above the family (`nc_proto`); `-` if there is none.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Udp | Self::Udp6 => "udp",
            Self::Tcp | Self::Tcp6 => "tcp",
            Self::Sctp | Self::Sctp6 => "sctp",
            Self::Local | Self::Rdma | Self::Rdma6 => "-",
        }
    }

    /// Returns the same transport over the other family of IP addresses, or itself.
    #[must_use]
    pub const fn over(self, family: Family) -> Self {
        match (self, family) {
            (Self::Udp | Self::Udp6, Family::Inet) => Self::Udp,
            (Self::Udp | Self::Udp6, Family::Inet6) => Self::Udp6,
            (Self::Tcp | Self::Tcp6, Family::Inet) => Self::Tcp,
            (Self::Tcp | Self::Tcp6, Family::Inet6) => Self::Tcp6,
            (other, _) => other,
        }
    }

    /// Returns the transport with this number in version 2: 6 for TCP, 17 for UDP.
    pub const fn from_protocol_number(number: u32) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }

    /// Returns the number in version 2, if that version can name the transport.
    pub const fn protocol_number(self) -> Option<u32> {
        match self {
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            _ => None,
        }
    }
}

impl fmt::Display for Netid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Netid {
    type Err = NetidError;

    fn from_str(text: &str) -> Result<Self, NetidError> {
        // The name of `local` in Solaris.
        if text == "unix" {
            return Ok(Self::Local);
        }
        Self::ALL
            .into_iter()
            .find(|netid| netid.name() == text)
            .ok_or(NetidError)
    }
}

/// The text is not the name of a transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such transport; there are udp, tcp, udp6, tcp6, local, sctp, sctp6, rdma and rdma6")]
#[non_exhaustive]
pub struct NetidError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_no_other_does() {
        for netid in Netid::ALL {
            assert_eq!(netid.to_string().parse(), Ok(netid));
        }
        for wrong in ["", "UDP", "udp ", "tcp4", "ticlts"] {
            assert_eq!(wrong.parse::<Netid>(), Err(NetidError), "{wrong:?}");
        }
    }

    #[test]
    fn version_2_has_two_transports() {
        for number in 0..=256 {
            let known = Netid::from_protocol_number(number);
            assert_eq!(known.is_some(), number == 6 || number == 17);
            assert!(known.is_none_or(|netid| netid.protocol_number() == Some(number)));
        }
    }
}
