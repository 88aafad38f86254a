//! Notes for the operator about a plan, each in one line with its remedy.

use std::fmt;

use crate::ports::{Ephemeral, PortRange, PortSet};

/// The importance of a [`Note`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum NoteLevel {
    /// Information; no change is needed.
    Info,
    /// Works, but other programs can take ports of the plan at any time.
    Warning,
}

/// A fact about a plan for its operator; it prints as one line, which ends with
/// the [`fix`](Self::fix) if there is one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// `auto` found too few ports outside the kernel's ephemeral range and overlaps it.
    AutoOverlaps {
        /// The ports that would have been left outside it.
        left_apart: usize,
        /// The kernel's range.
        ephemeral: Ephemeral,
    },
    /// Named ports lie in the kernel's ephemeral range and are not set aside.
    OverlapsEphemeral {
        /// The ports both sides hand out.
        ports: PortSet,
        /// The kernel's range.
        ephemeral: Ephemeral,
        /// The value of `ip_local_reserved_ports` that ends the overlap and keeps what is in it.
        reserve: PortSet,
    },
    /// `auto` is left with few ports, and not because of the kernel's range.
    FewPorts {
        /// The number of ports.
        left: usize,
    },
    /// `auto` is left with few ports, because an overlap is to be avoided.
    FewApart {
        /// The number of ports.
        left: usize,
        /// The kernel's range.
        ephemeral: Ephemeral,
    },
    /// Named ports that `ip_local_reserved_ports` keeps the kernel away from; they are used.
    SetAside {
        /// Those ports.
        ports: PortSet,
    },
    /// Named ports in the kernel's ephemeral range were left out, because an overlap is to be
    /// avoided.
    OverlapLeftOut {
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
    /// Returns the importance of the note.
    pub const fn level(&self) -> NoteLevel {
        match self {
            Self::AutoOverlaps { .. }
            | Self::OverlapsEphemeral { .. }
            | Self::FewPorts { .. }
            | Self::FewApart { .. } => NoteLevel::Warning,
            Self::SetAside { .. }
            | Self::OverlapLeftOut { .. }
            | Self::SystemPortsLeftOut { .. }
            | Self::SystemPortsUsed { .. } => NoteLevel::Info,
        }
    }

    /// Returns a stable name for the note: lower-case words with hyphens.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AutoOverlaps { .. } | Self::OverlapsEphemeral { .. } => {
                "range-overlaps-ephemeral"
            }
            Self::FewPorts { .. } | Self::FewApart { .. } => "range-few-ports",
            Self::SetAside { .. } => "range-set-aside",
            Self::OverlapLeftOut { .. } => "range-overlap-left-out",
            Self::SystemPortsLeftOut { .. } => "range-system-ports-left-out",
            Self::SystemPortsUsed { .. } => "range-system-ports",
        }
    }

    /// Returns the fact without the remedy.
    pub fn what(&self) -> String {
        let dynamic = PortRange::DYNAMIC;
        match self {
            Self::AutoOverlaps {
                left_apart,
                ephemeral,
            } => format!(
                "only {left_apart} of the dynamic ports {dynamic} lie outside the kernel's ephemeral range {ephemeral}, \
                 so both hand out the same ports"
            ),
            Self::FewApart { left, ephemeral } => format!(
                "only {left} of the dynamic ports {dynamic} lie outside the kernel's ephemeral range {ephemeral}"
            ),
            Self::OverlapsEphemeral {
                ports, ephemeral, ..
            } => format!(
                "ports {ports} lie in the kernel's ephemeral range {ephemeral}, which hands them out to other programs"
            ),
            Self::FewPorts { left } => {
                format!("only {left} of the dynamic ports {dynamic} are not reserved")
            }
            Self::SetAside { ports } => format!(
                "ports {ports} are in net.ipv4.ip_local_reserved_ports and were named: taken as set aside for this purpose"
            ),
            Self::OverlapLeftOut { ports } => {
                format!("ports {ports} are left out: the kernel hands them out to other programs")
            }
            Self::SystemPortsLeftOut { ports } => format!(
                "ports {ports} are left out: a range that reaches across 1024 seldom means them"
            ),
            Self::SystemPortsUsed { ports } => {
                format!("ports {ports} are below 1024: binding them needs CAP_NET_BIND_SERVICE")
            }
        }
    }

    /// Returns the remedy, if there is one: a command is introduced by `run: `.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::AutoOverlaps { ephemeral, .. } | Self::FewApart { ephemeral, .. } => {
                Some(format!(
                    "run: sysctl -w net.ipv4.ip_local_port_range=\"{} {}\"",
                    kernels_first(*ephemeral),
                    PortRange::DYNAMIC.first() - 1,
                ))
            }
            Self::OverlapsEphemeral { reserve, .. } => Some(format!(
                "run: sysctl -w net.ipv4.ip_local_reserved_ports={reserve}"
            )),
            Self::FewPorts { .. } => Some("reserve fewer, or name the ports to use".into()),
            Self::SystemPortsLeftOut { .. } => {
                Some("to use them, name them without port 1024".into())
            }
            Self::SetAside { .. } | Self::OverlapLeftOut { .. } | Self::SystemPortsUsed { .. } => {
                None
            }
        }
    }

    /// Returns true if the kernel hands out ports of the plan as well.
    pub(super) const fn is_overlap(&self) -> bool {
        matches!(
            self,
            Self::AutoOverlaps { .. } | Self::OverlapsEphemeral { .. }
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.fix() {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

/// Returns the first port of a range for the kernel that ends below the dynamic ports: its current
/// first port or, if that leaves it too few, Linux's own default.
fn kernels_first(ephemeral: Ephemeral) -> u16 {
    const LINUX_DEFAULT: u16 = 32_768;
    let roomy = PortRange::DYNAMIC.first() - 1024;
    match ephemeral.ipv4.or(ephemeral.ipv6) {
        Some(range) if range.first() <= roomy => range.first(),
        _ => LINUX_DEFAULT,
    }
}
