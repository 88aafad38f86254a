//! What an operator should know about a plan, each in one line with its remedy.

use std::fmt;

use crate::range::PortRange;
use crate::set::PortSet;

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Good to know; nothing needs to change.
    Info,
    /// Works, but something outside can take ports away from us at any time.
    Warning,
}

/// Something about a plan that its operator should know; it prints as one line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// `auto` found too few ports outside the kernel's ephemeral range and overlaps it.
    AutoOverlaps {
        /// How many ports would have been left outside it.
        left_apart: usize,
        /// The kernel's range.
        ephemeral: PortRange,
    },
    /// Named ports lie in the kernel's ephemeral range and are not set aside.
    OverlapsEphemeral {
        /// The ports both sides hand out.
        ports: PortSet,
        /// The kernel's range.
        ephemeral: PortRange,
        /// The value of `ip_local_reserved_ports` that ends the overlap and keeps what is in it.
        reserve: PortSet,
    },
    /// `auto` is left with few ports, and not because of the kernel's range.
    FewPorts {
        /// How many.
        left: usize,
    },
    /// Named ports that `ip_local_reserved_ports` keeps the kernel away from: they are ours.
    SetAsideForUs {
        /// Those ports.
        ports: PortSet,
    },
    /// Ports below 1024 were left out, because the run they belong to reaches across 1024.
    SystemPortsLeftOut {
        /// Those ports.
        ports: PortSet,
    },
    /// Ports below 1024 are used, because they were named on their own.
    SystemPortsUsed {
        /// Those ports.
        ports: PortSet,
    },
}

impl Note {
    /// Whether the note is a warning.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::AutoOverlaps { .. } | Self::OverlapsEphemeral { .. } | Self::FewPorts { .. } => {
                Severity::Warning
            }
            Self::SetAsideForUs { .. }
            | Self::SystemPortsLeftOut { .. }
            | Self::SystemPortsUsed { .. } => Severity::Info,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoOverlaps {
                left_apart,
                ephemeral,
            } => write!(
                f,
                "only {left_apart} of the dynamic ports {dynamic} lie outside the kernel's ephemeral range {ephemeral}, \
                 so both hand out the same ports; run: sysctl -w net.ipv4.ip_local_port_range=\"{first} {last}\"",
                dynamic = PortRange::DYNAMIC,
                first = kernels_first(*ephemeral),
                last = PortRange::DYNAMIC.first() - 1,
            ),
            Self::OverlapsEphemeral {
                ports,
                ephemeral,
                reserve,
            } => write!(
                f,
                "ports {ports} lie in the kernel's ephemeral range {ephemeral}, which hands them out to other programs; \
                 run: sysctl -w net.ipv4.ip_local_reserved_ports={reserve}",
            ),
            Self::FewPorts { left } => write!(
                f,
                "only {left} of the dynamic ports {} are not reserved; reserve fewer, or name the ports to use",
                PortRange::DYNAMIC,
            ),
            Self::SetAsideForUs { ports } => write!(
                f,
                "ports {ports} are in net.ipv4.ip_local_reserved_ports and were named: taken as set aside for this purpose",
            ),
            Self::SystemPortsLeftOut { ports } => write!(
                f,
                "ports {ports} are left out: a range that reaches across 1024 seldom means them; \
                 to use them, name them without port 1024",
            ),
            Self::SystemPortsUsed { ports } => {
                write!(
                    f,
                    "ports {ports} are below 1024: binding them needs CAP_NET_BIND_SERVICE"
                )
            }
        }
    }
}

/// Where the kernel's range can begin once it ends below the dynamic ports: where it begins now,
/// or, if that leaves it too few, at Linux's own default.
fn kernels_first(ephemeral: PortRange) -> u16 {
    const LINUX_DEFAULT: u16 = 32_768;
    let roomy = PortRange::DYNAMIC.first() - 1024;
    if ephemeral.first() <= roomy {
        ephemeral.first()
    } else {
        LINUX_DEFAULT
    }
}
