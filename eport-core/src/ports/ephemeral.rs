//! The ports that systems hand out by themselves, and those that well-known programs take.

use std::fmt;

use super::range::PortRange;
use super::set::PortSet;
use crate::address::AddressFamily;

/// The ports that the kernel hands out by itself, as far as they are known.
///
/// A socket that calls `bind` with port 0, or `connect` without `bind`, gets an *ephemeral* port that
/// the kernel chooses. A configured range that overlaps the kernel's works, but any other program may
/// be given one of its ports at any moment: [`plan_with`](crate::plan_with) decides by
/// [`Overlap`](crate::Overlap) whether that is avoided, allowed or refused.
///
/// # Default ephemeral ranges
///
/// | System | Range | Ports | Source |
/// |---|---|---|---|
/// | IANA, dynamic ports | 49152–65535 | 16,384 | RFC 6335 §6: never assigned |
/// | advice to implementers | 1024–65535 without local services | up to 64,512 | RFC 6056 §3.2 |
/// | Linux since 4.2 | 32768–60999 | 28,232 | commit `07f4c90062f8`: an even first and an odd last port |
/// | Linux 2.6.22 to 4.1 | 32768–61000 | 28,233 | commit `3f196eb519a4` |
/// | Linux before, on small machines | 1024–4999 | 3,976 | message of the same commit |
/// | FreeBSD since 8 | 10000–65535 | 55,536 | `sys/netinet/in.h`, `net.inet.ip.portrange.first` |
/// | OpenBSD | 1024–49151 | 48,128 | `sys/netinet/in.h`; RFC 6056 A.4 |
/// | NetBSD | 49152–65535 | 16,384 | `IPPORT_ANONMIN`, `IPPORT_ANONMAX`; RFC 6056 A.3 |
/// | macOS | 49152–65535 | 16,384 | XNU `bsd/netinet/in.h` |
/// | Windows since Vista and Server 2008 | 49152–65535 | 16,384 | Microsoft KB 929851; per protocol and family |
/// | Windows XP, 2000, Server 2003 | 1025–5000 | 3,976 | Microsoft KB 929851 (`MaxUserPort`) |
/// | Solaris, illumos | 32768–65535 | 32,768 | `udp_smallest_anon_port`; RFC 6056 A.5 |
/// | AIX | 32768–65535 | 32,768 | IBM RSCT manual, "Ephemeral ports" |
/// | HP-UX 11 | 49152–65535 | 16,384 | HP white paper of 2008 for the upper end; the lower end is unconfirmed |
/// | HP `NonStop` | 1024–65024, a sixteenth for each processor | 64,001 | manual 522271-006 p. 5-29 |
///
/// On all of them an administrator can change the range. On Linux `net.ipv4.ip_local_port_range`
/// counts for IPv6 as well; Windows has one range for each family, which is why [`Ephemeral`] keeps
/// two.
///
/// # Other programs
///
/// [`ProgramRange::ALL`] lists ranges that widespread programs take unless they are configured
/// otherwise. Most of them lie in the ephemeral range of some system.
///
/// ```
/// # use eport_core::Ephemeral;
/// let stock_linux = Ephemeral::both("32768-60999".parse()?);
/// assert_eq!(stock_linux.to_string(), "32768-60999");
/// assert!(stock_linux.ports().contains(40_000));
/// assert!(Ephemeral::default().is_unknown());
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: a range for each IP version"
)]
pub struct Ephemeral {
    /// The range for IPv4 sockets; `None` if it is unknown.
    pub ipv4: Option<PortRange>,
    /// The range for IPv6 sockets; `None` if it is unknown.
    pub ipv6: Option<PortRange>,
}

impl Ephemeral {
    /// Makes one range for both families, as Linux has it.
    pub const fn both(range: PortRange) -> Self {
        Self {
            ipv4: Some(range),
            ipv6: Some(range),
        }
    }

    /// Returns the ports of either family.
    pub fn ports(self) -> PortSet {
        self.ipv4.into_iter().chain(self.ipv6).collect()
    }

    /// Returns true if both ranges are unknown.
    pub const fn is_unknown(self) -> bool {
        self.ipv4.is_none() && self.ipv6.is_none()
    }

    /// Returns the families for which the kernel may choose `port`.
    pub fn families(self, port: u16) -> impl Iterator<Item = AddressFamily> {
        [
            (AddressFamily::Ipv4, self.ipv4),
            (AddressFamily::Ipv6, self.ipv6),
        ]
        .into_iter()
        .filter(move |(_, range)| range.is_some_and(|range| range.contains(port)))
        .map(|(family, _)| family)
    }
}

impl From<PortRange> for Ephemeral {
    fn from(range: PortRange) -> Self {
        Self::both(range)
    }
}

impl From<Option<PortRange>> for Ephemeral {
    fn from(range: Option<PortRange>) -> Self {
        range.map(Self::both).unwrap_or_default()
    }
}

/// Prints `32768-60999`, or both ranges where the families differ.
impl fmt::Display for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ipv4, self.ipv6) {
            (None, None) => f.write_str("unknown"),
            (Some(v4), Some(v6)) if v4 == v6 => v4.fmt(f),
            (Some(v4), Some(v6)) => write!(f, "{v4} (IPv4) and {v6} (IPv6)"),
            (Some(v4), None) => write!(f, "{v4} (IPv4)"),
            (None, Some(v6)) => write!(f, "{v6} (IPv6)"),
        }
    }
}

/// The three kinds of port numbers
/// ([RFC 6335 §6](https://www.rfc-editor.org/rfc/rfc6335#section-6)).
///
/// Closed: the RFC divides all ports into these.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: RFC 6335 divides the ports into these"
)]
pub enum PortClass {
    /// 1–1023: assigned by IANA; on most systems binding one needs a privilege.
    System,
    /// 1024–49151: assigned by IANA to registered services.
    User,
    /// 49152–65535: never assigned, free for every use.
    Dynamic,
}

impl PortClass {
    /// All classes, lowest ports first.
    pub const ALL: [Self; 3] = [Self::System, Self::User, Self::Dynamic];

    /// Returns the class of a port.
    pub const fn from_port(port: u16) -> Self {
        if port <= PortRange::SYSTEM.last() {
            Self::System
        } else if port < PortRange::DYNAMIC.first() {
            Self::User
        } else {
            Self::Dynamic
        }
    }

    /// The ports of `ports` that belong to the class.
    pub fn within(self, ports: &PortSet) -> PortSet {
        let (system, dynamic) = (PortRange::SYSTEM.into(), PortRange::DYNAMIC.into());
        match self {
            Self::System => ports.intersect(&system),
            Self::User => ports.minus(&system).minus(&dynamic),
            Self::Dynamic => ports.intersect(&dynamic),
        }
    }
}

impl fmt::Display for PortClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
            Self::Dynamic => "dynamic",
        })
    }
}

/// Ports that a program takes for itself unless it is configured otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProgramRange {
    /// The program, or the part of it.
    pub program: &'static str,
    /// Its default range.
    pub range: PortRange,
}

impl ProgramRange {
    /// Default ranges of widespread programs, as their sources or manuals name them.
    pub const ALL: [Self; 9] = [
        Self::new("bindresvport", 512, 1023),
        Self::new("portserver", 15_000, 24_999),
        Self::new("Nomad", 20_000, 32_000),
        Self {
            program: "Kubernetes NodePort",
            range: PortRange::NODE_PORTS,
        },
        Self::new("rtpengine", 30_000, 39_999),
        Self::new("rtpproxy", 35_000, 65_000),
        Self::new("libtirpc", 49_152, 65_534),
        Self::new("coturn", 49_152, 65_535),
        Self::new("LiveKit", 50_000, 60_000),
    ];

    const fn new(program: &'static str, first: u16, last: u16) -> Self {
        Self {
            program,
            range: PortRange::constant(first, last),
        }
    }
}

impl fmt::Display for ProgramRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.program, self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_cover_every_port_once() {
        let all = PortSet::from(PortRange::new(1, u16::MAX).expect("a range"));
        let counts = PortClass::ALL.map(|class| class.within(&all).len());
        assert_eq!(counts, [1023, 48_128, 16_384]);
        for port in all.iter() {
            let classes = PortClass::ALL.map(|class| class.within(&all).contains(port));
            let expected = PortClass::ALL.map(|class| class == PortClass::from_port(port));
            assert_eq!(classes, expected, "{port}");
        }
    }

    #[test]
    fn families_with_ranges_of_their_own_are_named() {
        let range = |text: &str| text.parse::<PortRange>().expect(text);
        let apart = Ephemeral {
            ipv4: Some(range("1024-5000")),
            ipv6: Some(range("5000-6000")),
        };
        assert_eq!(apart.to_string(), "1024-5000 (IPv4) and 5000-6000 (IPv6)");
        assert_eq!(apart.ports().to_string(), "1024-6000");
        assert!(
            apart
                .families(5000)
                .eq([AddressFamily::Ipv4, AddressFamily::Ipv6])
        );
        assert!(apart.families(5001).eq([AddressFamily::Ipv6]));
        assert_eq!(apart.families(6001).count(), 0);
        let only = Ephemeral {
            ipv6: None,
            ..apart
        };
        assert_eq!(only.to_string(), "1024-5000 (IPv4)");
    }
}
