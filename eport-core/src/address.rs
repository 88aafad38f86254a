//! The namespace of a port number: a protocol and a local address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A transport protocol; each has port numbers of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Returns the number of the protocol in an IP header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Sctp => "sctp",
        })
    }
}

/// An address family.
///
/// Closed: ports are bound by IPv4 or by IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "closed: IP has two versions")]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A local address to bind to, in its canonical form.
///
/// * An IPv4 address inside an IPv6 one (`::ffff:192.0.2.1`, as a dual-stack socket reports it) is
///   the IPv4 address.
/// * The interface number (scope) is kept for link-local IPv6 addresses only; elsewhere the kernel
///   ignores it.
/// * `::` means IPv6 and IPv4, unless [`only_v6`](Self::only_v6).
///
/// It is made from an [`IpAddr`], or from a [`SocketAddr`], whose port is dropped and whose scope
/// is kept.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalAddress {
    /// The halves of the address, an IPv4 one in the low half. As an [`IpAddr`] it would have an odd
    /// length, and every copy of a lease would stall on its end.
    halves: [u64; 2],
    scope_id: u32,
    family: Kind,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Kind {
    V4,
    V6,
    /// `::` without IPv4.
    OnlyV6,
}

impl LocalAddress {
    /// The address `ip`, on the interface number `scope_id` if it is link-local.
    pub fn new(ip: IpAddr, scope_id: u32) -> Self {
        let ip = ip.to_canonical();
        let scope_id = if is_link_local(ip) { scope_id } else { 0 };
        let (halves, family) = match ip {
            IpAddr::V4(v4) => ([0, v4.to_bits().into()], Kind::V4),
            IpAddr::V6(v6) => (halves(v6), Kind::V6),
        };
        Self {
            halves,
            scope_id,
            family,
        }
    }

    /// Returns the same address without IPv4: a difference for `::` alone.
    #[must_use]
    pub fn only_v6(self) -> Self {
        let is_any_v6 = self.family != Kind::V4 && self.is_unspecified();
        Self {
            family: if is_any_v6 { Kind::OnlyV6 } else { self.family },
            ..self
        }
    }

    /// Returns the same address, on the interface number `scope_id` if it needs one and has none.
    #[must_use]
    pub fn or_scope(self, scope_id: u32) -> Self {
        if self.lacks_scope() {
            Self { scope_id, ..self }
        } else {
            self
        }
    }

    /// Returns the address.
    pub fn ip(self) -> IpAddr {
        let [high, low] = self.halves;
        match self.family {
            // Made from 32 bits.
            Kind::V4 => Ipv4Addr::from_bits(u32::try_from(low).unwrap_or(0)).into(),
            Kind::V6 | Kind::OnlyV6 => {
                Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).into()
            }
        }
    }

    /// Returns the interface number of a link-local IPv6 address, otherwise 0.
    pub const fn scope_id(self) -> u32 {
        self.scope_id
    }

    /// Returns true for `::` without IPv4.
    pub const fn is_only_v6(self) -> bool {
        matches!(self.family, Kind::OnlyV6)
    }

    /// Returns true for an IPv4 address.
    pub const fn is_v4(self) -> bool {
        matches!(self.family, Kind::V4)
    }

    /// Returns true if this stands for all addresses of a family.
    pub fn is_unspecified(self) -> bool {
        self.halves == [0, 0]
    }

    /// Returns true if the address is link-local and lacks the interface it belongs to.
    pub fn lacks_scope(self) -> bool {
        self.scope_id == 0 && is_link_local(self.ip())
    }

    /// Returns the address with a port.
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self.ip() {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.scope_id).into(),
        }
    }

    /// Returns true if a port bound to one of the addresses is taken for the other.
    ///
    /// Linux (and every BSD) lets `0.0.0.0` collide with each IPv4 address, `::` with each IPv6
    /// address and, being dual-stack, with each IPv4 address too; all else is apart.
    pub fn overlaps(self, other: Self) -> bool {
        if self.is_unspecified() || other.is_unspecified() {
            (self.takes_v4() && other.takes_v4()) || !(self.is_v4() || other.is_v4())
        } else {
            self == other
        }
    }

    fn takes_v4(self) -> bool {
        self.is_v4() || (self.is_unspecified() && !self.is_only_v6())
    }
}

fn halves(ip: Ipv6Addr) -> [u64; 2] {
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    [half(ip.to_bits() >> 64), half(ip.to_bits())]
}

/// Returns true if the kernel requires an interface with the address (`fe80::/10`).
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

impl From<IpAddr> for LocalAddress {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip, 0)
    }
}

impl From<Ipv4Addr> for LocalAddress {
    fn from(ip: Ipv4Addr) -> Self {
        Self::new(ip.into(), 0)
    }
}

impl From<Ipv6Addr> for LocalAddress {
    fn from(ip: Ipv6Addr) -> Self {
        Self::new(ip.into(), 0)
    }
}

impl From<SocketAddr> for LocalAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => (*v4.ip()).into(),
            SocketAddr::V6(v6) => Self::new((*v6.ip()).into(), v6.scope_id()),
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip())?;
        if self.scope_id != 0 {
            write!(f, "%{}", self.scope_id)?;
        }
        f.write_str(if self.is_only_v6() {
            " (IPv6 only)"
        } else {
            ""
        })
    }
}

impl fmt::Debug for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalAddress({self})")
    }
}

/// A protocol on a local address, in which a port number can be held once.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Space {
    protocol: Protocol,
    local: LocalAddress,
}

impl Space {
    /// Returns the ports of `protocol` on `local`.
    pub fn new(protocol: Protocol, local: impl Into<LocalAddress>) -> Self {
        Self {
            protocol,
            local: local.into(),
        }
    }

    /// Returns the UDP ports of `local`.
    pub fn udp(local: impl Into<LocalAddress>) -> Self {
        Self::new(Protocol::Udp, local)
    }

    /// Returns the TCP ports of `local`.
    pub fn tcp(local: impl Into<LocalAddress>) -> Self {
        Self::new(Protocol::Tcp, local)
    }

    /// Returns the protocol.
    pub const fn protocol(self) -> Protocol {
        self.protocol
    }

    /// Returns the local address.
    pub const fn local(self) -> LocalAddress {
        self.local
    }

    /// Returns true if a port held in one of the spaces is taken in the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.protocol == other.protocol && self.local.overlaps(other.local)
    }
}

impl<L: Into<LocalAddress>> From<(Protocol, L)> for Space {
    fn from((protocol, local): (Protocol, L)) -> Self {
        Self::new(protocol, local)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.protocol, self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> LocalAddress {
        let (text, only_v6) = text
            .strip_prefix("only ")
            .map_or((text, false), |rest| (rest, true));
        let address = match text.split_once('%') {
            Some((ip, scope)) => {
                LocalAddress::new(ip.parse().expect(ip), scope.parse().expect(scope))
            }
            None => text.parse::<IpAddr>().expect(text).into(),
        };
        if only_v6 { address.only_v6() } else { address }
    }

    #[test]
    fn addresses_overlap_as_the_kernel_sees_it() {
        let all = [
            "0.0.0.0",
            "::",
            "only ::",
            "127.0.0.1",
            "127.0.0.2",
            "::1",
            "fe80::1%2",
            "fe80::1%3",
        ];
        let overlapping = [
            ("0.0.0.0", "::"),
            ("0.0.0.0", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.2"),
            ("::", "only ::"),
            ("::", "127.0.0.1"),
            ("::", "127.0.0.2"),
            ("::", "::1"),
            ("::", "fe80::1%2"),
            ("::", "fe80::1%3"),
            ("only ::", "::1"),
            ("only ::", "fe80::1%2"),
            ("only ::", "fe80::1%3"),
        ];
        for a in all {
            for b in all {
                let expected =
                    a == b || overlapping.contains(&(a, b)) || overlapping.contains(&(b, a));
                assert_eq!(local(a).overlaps(local(b)), expected, "{a} and {b}");
            }
        }
    }

    #[test]
    fn protocols_are_apart() {
        let any = Ipv4Addr::UNSPECIFIED;
        assert!(!Space::udp(any).overlaps(Space::new(Protocol::Tcp, any)));
        assert!(Space::udp(any).overlaps(Space::udp(any)));
    }

    #[test]
    fn an_address_has_one_form() {
        assert_eq!(local("::ffff:192.0.2.1"), local("192.0.2.1"));
        assert_eq!(local("2001:db8::1%7"), local("2001:db8::1"));
        assert_eq!(local("only ::1"), local("::1"));
        let received: SocketAddr = "[fe80::1%4]:69".parse().expect("an address");
        assert_eq!(LocalAddress::from(received), local("fe80::1%4"));
        assert_eq!(local("fe80::1%4").with_port(69), received);
        assert!(local("fe80::1").lacks_scope() && !local("fe80::1").or_scope(4).lacks_scope());
    }
}
