//! The purpose of a program: the ports and listeners that it needs.

use std::time::Duration;

use crate::address::Protocol;
use crate::plan::{Overlap, PortSpec};
use crate::ports::PortSet;

/// The ports and listeners that a program needs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Purpose {
    /// The ports to hand out.
    pub ports: PortSpec,
    /// Ports never to hand out.
    pub exclude: PortSet,
    /// Set to leave out the ports that `/etc/services` names.
    pub services: bool,
    /// The policy for ports that the kernel hands out as well.
    pub overlap: Overlap,
    /// The protocol of these ports.
    pub protocol: Protocol,
    /// The number of leases that are needed at the same time; `None` if unknown.
    pub leases: Option<u64>,
    /// The time that a port rests after its use.
    pub rest: Duration,
    /// The well-known ports to listen on.
    pub listeners: Vec<(Protocol, u16)>,
}

impl Purpose {
    /// Sets the ports to hand out.
    #[must_use]
    pub fn ports(self, ports: PortSpec) -> Self {
        Self { ports, ..self }
    }

    /// Sets the ports never to hand out.
    #[must_use]
    pub fn exclude(self, exclude: PortSet) -> Self {
        Self { exclude, ..self }
    }

    /// Leaves out the ports that `/etc/services` names, or hands them out.
    #[must_use]
    pub fn services(self, services: bool) -> Self {
        Self { services, ..self }
    }

    /// Sets the policy for ports that the kernel hands out as well.
    #[must_use]
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Sets the protocol of the ports.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Sets the number of leases that are needed at the same time.
    #[must_use]
    pub fn leases(self, leases: u64) -> Self {
        Self {
            leases: Some(leases),
            ..self
        }
    }

    /// Sets the time that a port rests after its use.
    #[must_use]
    pub fn rest(self, rest: Duration) -> Self {
        Self { rest, ..self }
    }

    /// Sets the well-known ports to listen on.
    #[must_use]
    pub fn listeners(self, listeners: impl Into<Vec<(Protocol, u16)>>) -> Self {
        Self {
            listeners: listeners.into(),
            ..self
        }
    }
}

/// The UDP ports of `auto`, and the listeners of TFTP (69) and of the portmapper (111).
impl Default for Purpose {
    fn default() -> Self {
        Self {
            ports: PortSpec::Auto,
            exclude: PortSet::empty(),
            services: false,
            overlap: Overlap::default(),
            protocol: Protocol::Udp,
            leases: None,
            rest: Duration::ZERO,
            listeners: vec![
                (Protocol::Udp, 69),
                (Protocol::Udp, 111),
                (Protocol::Tcp, 111),
            ],
        }
    }
}
