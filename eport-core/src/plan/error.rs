//! The reasons for a plan without ports.

use std::fmt;

use super::{Note, PortSpec};
use crate::ports::{ParsePortsError, PortRange, Reserved};

/// The reason why a plan has no ports to hand out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// Every port that was asked for is reserved, or none was asked for.
    Empty {
        /// The requested ports.
        spec: PortSpec,
        /// The sources that reserve them.
        left_out: Reserved,
    },
    /// The ports overlap the kernel's ephemeral range, and [`Overlap`](super::Overlap) refuses that.
    Overlap {
        /// The warning that would have been given otherwise.
        warning: Note,
    },
}

impl std::error::Error for PlanError {}

/// Prints one line: the range, what took its ports away, and the remedies.
impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { spec, left_out } => empty(f, spec, left_out),
            Self::Overlap { warning } => write!(f, "{warning}; or allow the overlap"),
        }
    }
}

fn empty(f: &mut fmt::Formatter<'_>, spec: &PortSpec, left_out: &Reserved) -> fmt::Result {
    match spec {
        PortSpec::Ports(ports) if ports.is_empty() => {
            return write!(f, "{}", ParsePortsError::Nothing);
        }
        PortSpec::Ports(ports) => write!(f, "no port of {ports} is left")?,
        PortSpec::Auto => write!(f, "no port of auto ({}) is left", PortRange::DYNAMIC)?,
    }
    for (index, (source, ports)) in left_out.iter().enumerate() {
        let separator = if index == 0 { ":" } else { "," };
        write!(f, "{separator} {} {source}", ports.len())?;
    }
    for (index, (source, _)) in left_out.iter().enumerate() {
        let separator = if index == 0 { ";" } else { " or" };
        write!(f, "{separator} {}", source.remedy())?;
    }
    Ok(())
}
