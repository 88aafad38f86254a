//! Ports that are not to be handed out, each with the reason.

use std::fmt;
use std::sync::Arc;

use super::range::PortRange;
use super::set::PortSet;

/// The source of a reservation, which keeps a port from being handed out.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Source {
    /// The system ports 0–1023 ([RFC 6335 §6](https://www.rfc-editor.org/rfc/rfc6335#section-6)).
    SystemPorts,
    /// `net.ipv4.ip_local_reserved_ports`: an administrator keeps the kernel from choosing them.
    KernelReserved,
    /// `net.ipv4.ip_local_port_range`: the kernel chooses from them for sockets bound to port 0.
    KernelEphemeral,
    /// `/etc/bindresvport.blacklist`: ports that no RPC service is to take by chance.
    BindresvportBlacklist,
    /// `/etc/services`: the port belongs to a service with a name.
    Services,
    /// A socket of this machine was bound to it when the sockets were listed.
    InUse,
    /// A service registered it with the portmapper.
    Portmapper(PortmapperEntry),
    /// The list the user gave.
    User,
    /// The slices of the range that other processes hand out.
    OtherShards,
}

/// An entry of the portmapper: the RPC program that has a port, and its owner.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct PortmapperEntry {
    /// The RPC program number, such as 100003 for NFS.
    pub program: u32,
    /// The owner in the portmapper's notation: a user name, a number or `superuser`.
    pub owner: Arc<str>,
}

impl PortmapperEntry {
    /// Makes an entry.
    pub fn new(program: u32, owner: impl Into<Arc<str>>) -> Self {
        Self {
            program,
            owner: owner.into(),
        }
    }
}

impl fmt::Display for PortmapperEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RPC program {} of {}", self.program, self.owner)
    }
}

impl Source {
    /// Returns the change after which the ports of this source can be handed out.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::SystemPorts => "name ports from 1024 upwards",
            Self::KernelReserved => {
                "name the ports explicitly, or take them out of net.ipv4.ip_local_reserved_ports"
            }
            Self::KernelEphemeral => "narrow net.ipv4.ip_local_port_range",
            Self::BindresvportBlacklist => "take the ports out of /etc/bindresvport.blacklist",
            Self::Services => "do not ask for /etc/services to be respected",
            Self::InUse => "stop the programs that hold the ports, then read the sockets again",
            Self::Portmapper(_) => "stop the RPC services that registered the ports",
            Self::User => "shorten the list of excluded ports",
            Self::OtherShards => "divide more ports, or divide them among fewer",
        }
    }
}

/// Completes the sentence "reserved: …".
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SystemPorts => "system ports below 1024",
            Self::KernelReserved => "net.ipv4.ip_local_reserved_ports",
            Self::KernelEphemeral => "the kernel's ephemeral range",
            Self::BindresvportBlacklist => "/etc/bindresvport.blacklist",
            Self::Services => "named in /etc/services",
            Self::InUse => "in use by another socket",
            Self::Portmapper(entry) => return write!(f, "registered with the portmapper: {entry}"),
            Self::User => "excluded by the user",
            Self::OtherShards => "handed out by another shard",
        })
    }
}

/// A set of reserved ports, each with the sources of its reservation.
///
/// ```
/// # use eport_core::{Reserved, Source};
/// let reserved = Reserved::default().with(Source::User, &"61000-61009".parse()?);
/// assert!(reserved.sources(61_000).eq([Source::User]));
/// assert!(reserved.sources(80).eq([Source::SystemPorts]));
/// assert_eq!(reserved.sources(8080).count(), 0);
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reserved {
    /// At most one entry for each source, in the order of [`Source`]; none of them empty.
    entries: Vec<(Source, PortSet)>,
}

impl Reserved {
    /// Reserves nothing, not even the system ports.
    pub fn nothing() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Adds ports to those that a source has already.
    #[must_use]
    pub fn with(mut self, source: Source, ports: &PortSet) -> Self {
        self.add(source, ports);
        self
    }

    /// Adds ports to those that a source has already.
    pub fn add(&mut self, source: Source, ports: &PortSet) {
        if ports.is_empty() {
            return;
        }
        match self
            .entries
            .binary_search_by(|(known, _)| known.cmp(&source))
        {
            Ok(at) => {
                if let Some((_, known)) = self.entries.get_mut(at) {
                    *known = known.union(ports);
                }
            }
            Err(at) => self.entries.insert(at, (source, ports.clone())),
        }
    }

    /// Returns the sources that reserve `port`; none when it is not reserved.
    pub fn sources(&self, port: u16) -> impl Iterator<Item = Source> + '_ {
        self.iter()
            .filter(move |(_, ports)| ports.contains(port))
            .map(|(source, _)| source.clone())
    }

    /// Returns the ports of one source.
    pub fn ports_of(&self, source: &Source) -> PortSet {
        let found = self.iter().find(|(known, _)| *known == source);
        found.map(|(_, ports)| ports.clone()).unwrap_or_default()
    }

    /// Returns every source with its ports; a port with several sources comes several times.
    pub fn iter(&self) -> impl Iterator<Item = (&Source, &PortSet)> + '_ {
        self.entries.iter().map(|(source, ports)| (source, ports))
    }

    /// Returns all reserved ports.
    pub fn union(&self) -> PortSet {
        self.iter()
            .fold(PortSet::empty(), |all, (_, ports)| all.union(ports))
    }

    /// Returns the part that concerns the ports of `within`.
    #[must_use]
    pub fn restricted_to(&self, within: &PortSet) -> Self {
        let mut part = Self::nothing();
        for (source, ports) in self.iter() {
            part.add(source.clone(), &ports.intersect(within));
        }
        part
    }
}

/// Reserves the system ports and nothing else.
impl Default for Reserved {
    fn default() -> Self {
        Self::nothing().with(Source::SystemPorts, &PortRange::SYSTEM.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> PortSet {
        text.parse().expect(text)
    }

    #[test]
    fn a_port_reserved_twice_names_both_sources() {
        let reserved = Reserved::default()
            .with(Source::User, &set("1000-2000"))
            .with(Source::KernelReserved, &set("1000"));
        let expected = [Source::SystemPorts, Source::KernelReserved, Source::User];
        assert!(reserved.sources(1000).eq(expected));
        assert!(reserved.sources(1024).eq([Source::User]));
        assert_eq!(reserved.sources(2001).count(), 0);
    }

    #[test]
    fn a_source_that_is_added_twice_keeps_what_it_had() {
        let reserved = Reserved::nothing()
            .with(Source::User, &set("5-6"))
            .with(Source::User, &set("6-9"));
        assert_eq!(reserved.ports_of(&Source::User), set("5-9"));
        assert_eq!(reserved.iter().count(), 1);
    }

    #[test]
    fn each_registration_is_a_source_of_its_own() {
        let registered = |program, owner: &str| {
            Source::Portmapper(PortmapperEntry {
                program,
                owner: owner.into(),
            })
        };
        let reserved = Reserved::nothing()
            .with(registered(100_003, "superuser"), &set("2049"))
            .with(registered(100_005, "29"), &set("2049,20048"));
        let texts: Vec<_> = reserved
            .sources(2049)
            .map(|source| source.to_string())
            .collect();
        assert_eq!(
            texts,
            [
                "registered with the portmapper: RPC program 100003 of superuser",
                "registered with the portmapper: RPC program 100005 of 29"
            ]
        );
        assert!(reserved.sources(20_048).eq([registered(100_005, "29")]));
    }

    #[test]
    fn the_restriction_forgets_ports_elsewhere_and_sources_without_any() {
        let reserved = Reserved::default().with(Source::User, &set("5000-6000"));
        let part = reserved.restricted_to(&set("5990-7000"));
        assert!(part.iter().eq([(&Source::User, &set("5990-6000"))]));
        assert_eq!(part.union(), set("5990-6000"));
    }
}
