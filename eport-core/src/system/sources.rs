//! The host's answers that reserve ports.

use super::{BoundSocket, Host, HostError};
use crate::address::Protocol;
use crate::ports::{ParsePortsError, PortRange, PortSet, PortmapperEntry, Reserved, Source};

/// The places that are read for ports that are not to be handed out; each answer keeps its
/// [provenance](Source).
///
/// By default that is what an administrator wrote down for this very purpose:
/// `ip_local_reserved_ports` and `/etc/bindresvport.blacklist`. The names in `/etc/services` and the
/// sockets in use are asked for on request: most of those names mean nothing on a given machine,
/// and an allocator passes over a socket in use by itself, for as long as it is there. Where many
/// are, it is faster with [the list of them](Self::known_sockets) from the start.
///
/// ```
/// # use eport_core::system::{Host, Sources};
/// # use eport_core::{Protocol, Source};
/// let sources = Sources::default()
///     .sockets(Protocol::Udp)
///     .exclude(&"62000-62009".parse()?);
/// let reserved = sources.read(&Host::new())?; // reads everything again at each call
/// assert!(reserved.sources(62_000).any(|source| source == Source::User));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "nothing is read before `read` is called"]
pub struct Sources {
    kernel_reserved: bool,
    blacklist: bool,
    services: bool,
    sockets: Vec<Protocol>,
    known_sockets: Vec<Protocol>,
    given: Reserved,
}

impl Sources {
    /// Nothing but the system ports.
    pub fn nothing() -> Self {
        Self {
            kernel_reserved: false,
            blacklist: false,
            services: false,
            sockets: Vec::new(),
            known_sockets: Vec::new(),
            given: Reserved::default(),
        }
    }

    /// Respect `net.ipv4.ip_local_reserved_ports`.
    pub fn kernel_reserved(self) -> Self {
        Self {
            kernel_reserved: true,
            ..self
        }
    }

    /// Respect `/etc/bindresvport.blacklist`.
    pub fn bindresvport_blacklist(self) -> Self {
        Self {
            blacklist: true,
            ..self
        }
    }

    /// Respect the names in `/etc/services`, of any protocol.
    pub fn services(self) -> Self {
        Self {
            services: true,
            ..self
        }
    }

    /// Reserve the ports of the sockets of a protocol that exist at the moment of reading, for as
    /// long as the answer is used.
    pub fn sockets(mut self, protocol: Protocol) -> Self {
        if !self.sockets.contains(&protocol) {
            self.sockets.push(protocol);
        }
        self
    }

    /// Give an allocator the sockets of a protocol that exist at the moment of reading. It passes
    /// over their ports without trying them, but only while it may be assumed that they are there:
    /// nothing is reserved. One question to the kernel, where each port found in use would cost a
    /// system call of its own.
    pub fn known_sockets(mut self, protocol: Protocol) -> Self {
        if !self.known_sockets.contains(&protocol) {
            self.known_sockets.push(protocol);
        }
        self
    }

    /// Respect what a service registered with the portmapper, as read by the caller.
    ///
    /// # Errors
    /// [`ParsePortsError::Zero`] for port 0, with which some programs register that they have no
    /// port.
    pub fn registered(self, entry: PortmapperEntry, port: u16) -> Result<Self, ParsePortsError> {
        let port = PortRange::new(port, port)?;
        Ok(self.given(Source::Portmapper(entry), &port.into()))
    }

    /// Respect a list of the user.
    pub fn exclude(self, ports: &PortSet) -> Self {
        self.given(Source::User, ports)
    }

    fn given(mut self, source: Source, ports: &PortSet) -> Self {
        self.given.add(source, ports);
        self
    }

    /// Asks the host.
    ///
    /// # Errors
    /// [`HostError`], which names the source that cannot be read or understood. One that does not
    /// exist is not an error.
    pub fn read(&self, host: &Host) -> Result<Reserved, HostError> {
        let mut reserved = self.given.clone();
        if self.kernel_reserved {
            reserved.add(Source::KernelReserved, &host.reserved_ports()?);
        }
        if self.blacklist {
            reserved.add(
                Source::BindresvportBlacklist,
                &host.bindresvport_blacklist()?,
            );
        }
        if self.services {
            let services = host.services()?;
            let ports = services.iter().map(|service| service.port);
            reserved.add(Source::Services, &set(ports));
        }
        for protocol in &self.sockets {
            let sockets = host.sockets(*protocol)?.unwrap_or_default();
            let ports = sockets.iter().map(BoundSocket::port);
            reserved.add(Source::InUse, &set(ports));
        }
        Ok(reserved)
    }

    /// Asks the host for the sockets that an allocator is to [know](Self::known_sockets); `None` if
    /// there are none to ask for.
    ///
    /// # Errors
    /// [`HostError`] when the kernel does not list them.
    pub fn read_sockets(&self, host: &Host) -> Result<Option<Vec<BoundSocket>>, HostError> {
        let mut all = None;
        for protocol in &self.known_sockets {
            let sockets = host.sockets(*protocol)?.unwrap_or_default();
            all.get_or_insert_with(Vec::new).extend(sockets);
        }
        Ok(all)
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::nothing().kernel_reserved().bindresvport_blacklist()
    }
}

fn set(ports: impl Iterator<Item = u16>) -> PortSet {
    ports
        .filter_map(|port| PortRange::new(port, port).ok())
        .collect()
}
