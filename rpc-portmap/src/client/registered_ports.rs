//! Ports that are registered with a portmapper.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use eport_core::system::Sources;
use eport_core::{PortRange, PortSet, PortmapperEntry, Reserved, Source};

use super::error::{CallError, ConnectError};
use super::rpcbind::Rpcbind;
use crate::rpc::Program;
use crate::rpcbind::{Netid, Rpcb, UniversalAddress};

/// The ports that services registered with a portmapper, at the moment of the query.
///
/// An allocator avoids them if it is built from [`Sources`] that contain them; its plan and its
/// `explain` then name the program of a port and its owner. To see later changes, query again.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use eport_core::Allocator;
/// use eport_core::system::Sources;
/// use rpc_portmap::client::RegisteredPorts;
///
/// let registered = RegisteredPorts::read(Duration::from_secs(3)).await?;
/// let sources = registered.add_to(Sources::default());
/// let allocator = Allocator::builder().sources(sources).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegisteredPorts {
    entries: BTreeMap<PortmapperEntry, PortSet>,
}

impl RegisteredPorts {
    /// Queries this machine's portmapper, by its unix sockets or over the loopback interface.
    /// Without a portmapper nothing is registered, which is no error.
    ///
    /// # Errors
    /// [`CallError`] if a portmapper runs and does not answer within the time, or access is denied.
    pub async fn read(within: Duration) -> Result<Self, CallError> {
        let answer = async {
            match Rpcbind::local().await {
                Ok(rpcbind) => Self::read_from(&rpcbind.with_timeout(within)).await,
                Err(failed) => no_portmapper(failed),
            }
        };
        tokio::time::timeout(within, answer)
            .await
            .unwrap_or(Err(CallError::TimedOut(within)))
    }

    /// Queries a portmapper in the latest version it supports. Version 2 does not carry owners;
    /// they appear as `unknown` then, as in the portmapper's own lists.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn read_from(rpcbind: &Rpcbind) -> Result<Self, CallError> {
        match rpcbind.dump().await {
            Ok(list) => Ok(list.iter().filter_map(with_port).collect()),
            Err(failed) if failed.is_unsupported() => {
                let list = rpcbind.mappings().await?;
                let unknown = |mapping: &crate::rpcbind::Mapping| {
                    let port = u16::try_from(mapping.port).ok()?;
                    Some((registration(mapping.program, "unknown"), port))
                };
                Ok(list.iter().filter_map(unknown).collect())
            }
            Err(failed) => Err(failed),
        }
    }

    /// Removes some ports: those that this process holds itself.
    #[must_use]
    pub fn without(mut self, own: &PortSet) -> Self {
        for ports in self.entries.values_mut() {
            *ports = ports.minus(own);
        }
        self.entries.retain(|_, ports| !ports.is_empty());
        self
    }

    /// Returns the ports, each reserved with its registration as the source.
    pub fn reserved(&self) -> Reserved {
        let mut reserved = Reserved::nothing();
        for (entry, ports) in &self.entries {
            reserved.add(Source::Portmapper(entry.clone()), ports);
        }
        reserved
    }

    /// Adds the ports to an allocator's sources.
    pub fn add_to(&self, sources: Sources) -> Sources {
        let each = self
            .entries
            .iter()
            .flat_map(|(entry, ports)| ports.iter().map(move |port| (entry, port)));
        each.fold(sources, |sources, (entry, port)| {
            let respected = sources.registered(entry.clone(), port);
            respected.unwrap_or_else(|_| unreachable!("a set of ports never holds port 0"))
        })
    }
}

/// Registrations with their ports; those with port 0 have none.
impl FromIterator<(PortmapperEntry, u16)> for RegisteredPorts {
    fn from_iter<I: IntoIterator<Item = (PortmapperEntry, u16)>>(entries: I) -> Self {
        let mut ranges: BTreeMap<PortmapperEntry, Vec<PortRange>> = BTreeMap::new();
        for (entry, port) in entries {
            if let Ok(range) = PortRange::new(port, port) {
                ranges.entry(entry).or_default().push(range);
            }
        }
        let entries = ranges.into_iter();
        Self {
            entries: entries
                .map(|(entry, ranges)| (entry, ranges.into_iter().collect()))
                .collect(),
        }
    }
}

fn no_portmapper(failed: ConnectError) -> Result<RegisteredPorts, CallError> {
    match failed {
        ConnectError::Unix { source, .. } | ConnectError::Ip { source, .. } => {
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Ok(RegisteredPorts::default())
                }
                _ => Err(CallError::Unreachable(source)),
            }
        }
        ConnectError::NoSocket { source, .. } => {
            Err(CallError::Unreachable(io::Error::other(source)))
        }
    }
}

/// Returns the registration and port of a list entry; `None` for unix sockets and malformed
/// entries.
fn with_port(entry: &Rpcb) -> Option<(PortmapperEntry, u16)> {
    let netid: Netid = entry.netid.parse().ok()?;
    let port = UniversalAddress::parse(netid, &entry.address)
        .ok()?
        .port()?;
    Some((registration(entry.program, &entry.owner), port))
}

fn registration(program: Program, owner: &str) -> PortmapperEntry {
    PortmapperEntry::new(program.get(), owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpcbind::Name;

    #[test]
    fn each_port_is_reserved_in_the_name_of_its_program_and_owner() {
        let list = [
            entry(100_003, "tcp", "0.0.0.0.8.1", "superuser"),
            entry(100_003, "udp6", "::.8.1", "superuser"),
            entry(100_005, "udp", "0.0.0.0.8.1", "29"),
            entry(100_024, "local", "/run/rpc.sock", "29"),
            entry(100_024, "nonsense", "0.0.0.0.8.2", "29"),
            entry(100_024, "tcp", "0.0.0.0.0.0", "29"),
        ];
        let registered: RegisteredPorts = list.iter().filter_map(with_port).collect();
        let texts: Vec<_> = registered
            .reserved()
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
        assert_eq!(registered.reserved().union().to_string(), "2049");
        let own = "2049".parse().expect("a port");
        assert_eq!(registered.without(&own), RegisteredPorts::default());
    }

    #[test]
    fn an_allocator_avoids_registered_ports_and_explains_them() {
        let list = [entry(100_024, "udp", "127.0.0.1.240.3", "107")];
        let registered: RegisteredPorts = list.iter().filter_map(with_port).collect();
        let allocator = eport_core::Allocator::builder()
            .ports("61440-61443".parse().expect("ports"))
            .sources(registered.add_to(Sources::nothing()))
            .build()
            .expect("three ports are left");
        let space = eport_core::Space::udp(std::net::Ipv4Addr::LOCALHOST);
        assert_eq!(
            allocator.explain(space, 61_443).to_string(),
            "reserved: registered with the portmapper: RPC program 100024 of 107"
        );
        assert!(!allocator.plan().ports().contains(61_443));
    }

    #[test]
    fn a_machine_without_a_portmapper_has_nothing_registered() {
        let failed = |kind: io::ErrorKind| ConnectError::Unix {
            name: "@none".to_owned(),
            source: kind.into(),
        };
        let none = no_portmapper(failed(io::ErrorKind::ConnectionRefused));
        assert_eq!(
            none.expect("no portmapper listens"),
            RegisteredPorts::default()
        );
        let forbidden = no_portmapper(failed(io::ErrorKind::PermissionDenied));
        assert!(matches!(forbidden, Err(CallError::Unreachable(_))));
    }

    fn entry(program: u32, netid: &str, address: &str, owner: &str) -> Rpcb {
        Rpcb {
            program: program.into(),
            version: 1.into(),
            netid: Name::truncated(netid),
            address: Name::truncated(address),
            owner: Name::truncated(owner),
        }
    }
}
