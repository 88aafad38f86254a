//! Which ports would be handed out here, which not, and why: a decision without any effect.

mod note;
mod shard;

use std::fmt;
use std::str::FromStr;

pub use note::{Note, Severity};

use crate::range::{ParsePortsError, PortRange};
use crate::reserved::{Reserved, Source};
use crate::set::PortSet;

/// Fewer ports than this are not enough for `auto` to stay out of the kernel's ephemeral range.
pub const AUTO_MINIMUM: usize = 1024;

/// Which ports the user asked for.
///
/// ```
/// # use eport_core::PortSpec;
/// assert_eq!("auto".parse(), Ok(PortSpec::Auto));
/// assert_eq!("7000,6000-6009".parse::<PortSpec>()?.to_string(), "6000-6009,7000");
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PortSpec {
    /// The dynamic ports 49152–65535 without those the kernel hands out itself.
    #[default]
    Auto,
    /// These ports.
    Ports(PortSet),
}

impl PortSpec {
    /// The ports before anything is left out.
    pub fn wanted(&self) -> PortSet {
        match self {
            Self::Auto => PortRange::DYNAMIC.into(),
            Self::Ports(ports) => ports.clone(),
        }
    }
}

impl From<PortRange> for PortSpec {
    fn from(range: PortRange) -> Self {
        Self::Ports(range.into())
    }
}

impl From<PortSet> for PortSpec {
    fn from(ports: PortSet) -> Self {
        Self::Ports(ports)
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Ports(ports) => ports.fmt(f),
        }
    }
}

/// Reads `auto` or a list of ranges such as `61000-65535,7000`.
impl FromStr for PortSpec {
    type Err = ParsePortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let ports: PortSet = text.parse()?;
        if ports.is_empty() {
            Err(ParsePortsError::Nothing)
        } else {
            Ok(Self::Ports(ports))
        }
    }
}

/// The ports to hand out, those left out with their reasons, and what the operator should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    spec: PortSpec,
    ports: PortSet,
    left_out: Reserved,
    notes: Vec<Note>,
}

impl Plan {
    /// What was asked for.
    pub const fn spec(&self) -> &PortSpec {
        &self.spec
    }

    /// The ports that are handed out; never empty.
    pub const fn ports(&self) -> &PortSet {
        &self.ports
    }

    /// The ports that were asked for and are not handed out, each with its sources.
    pub const fn left_out(&self) -> &Reserved {
        &self.left_out
    }

    /// What the operator should know, warnings first.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Prints a line such as `4536 ports: 61000-65535`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.ports.len();
        write!(
            f,
            "{count} port{}: {}",
            if count == 1 { "" } else { "s" },
            self.ports
        )
    }
}

/// Decides which ports are handed out.
///
/// `ephemeral` is the range the kernel chooses from for everybody who does not name a port, as far
/// as it is known; `reserved` holds everything else there is to respect, the user's exclusions
/// ([`Source::User`]) included.
///
/// * **`auto`** takes the dynamic ports 49152–65535 minus `ephemeral` minus everything reserved.
///   When fewer than [`AUTO_MINIMUM`] are left, it keeps the dynamic ports minus everything
///   reserved, and warns: the kernel may then hand out our ports to others.
/// * **Named ports** inside `ip_local_reserved_ports` are ours: that sysctl does not stop anybody
///   from binding a port, it only keeps the kernel from choosing it, which is how an administrator
///   sets a range aside. Ports inside `ephemeral` are used with a warning. Everything else that is
///   reserved is left out, the user's exclusions above all.
/// * **System ports** (below 1024) are used only where they are meant: a run of named ports that
///   lies wholly below 1024 is (`600-1023`), a run that reaches across (`1-65535`, `512-2000`) is
///   not, and loses the part below 1024.
///
/// # Errors
/// [`PlanError::Empty`] when no port is left.
///
/// ```
/// # use eport_core::{Reserved, plan};
/// let stock_linux = "32768-60999".parse()?;
/// let plan = plan(&"auto".parse()?, Some(stock_linux), &Reserved::default())?;
/// assert_eq!(plan.to_string(), "4536 ports: 61000-65535");
/// assert!(plan.notes().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(
    spec: &PortSpec,
    ephemeral: Option<PortRange>,
    reserved: &Reserved,
) -> Result<Plan, PlanError> {
    let ephemeral_ports = ephemeral.map(PortSet::from).unwrap_or_default();
    let (left_out, mut notes) = match spec {
        PortSpec::Auto => auto(ephemeral, &ephemeral_ports, reserved),
        PortSpec::Ports(wanted) => named(wanted, ephemeral, &ephemeral_ports, reserved),
    };
    let ports = spec.wanted().minus(&left_out.union());
    if ports.is_empty() {
        return Err(PlanError::Empty {
            spec: spec.clone(),
            left_out,
        });
    }
    notes.sort_by_key(|note| std::cmp::Reverse(note.severity()));
    Ok(Plan {
        spec: spec.clone(),
        ports,
        left_out,
        notes,
    })
}

/// What `auto` leaves out.
fn auto(
    ephemeral: Option<PortRange>,
    ephemeral_ports: &PortSet,
    reserved: &Reserved,
) -> (Reserved, Vec<Note>) {
    let dynamic = PortSet::from(PortRange::DYNAMIC);
    let respected = reserved.restricted_to(&dynamic);
    let apart = respected.clone().with(
        Source::KernelEphemeral,
        &ephemeral_ports.intersect(&dynamic),
    );
    let left_apart = dynamic.minus(&apart.union()).len();
    let left_overlapping = dynamic.minus(&respected.union()).len();
    if left_apart >= AUTO_MINIMUM {
        return (apart, Vec::new());
    }
    match ephemeral {
        Some(ephemeral) if left_overlapping > left_apart => (
            respected,
            vec![Note::AutoOverlaps {
                left_apart,
                ephemeral,
            }],
        ),
        _ => (apart, vec![Note::FewPorts { left: left_apart }]),
    }
}

/// What is left out of ports that the user named.
fn named(
    wanted: &PortSet,
    ephemeral: Option<PortRange>,
    ephemeral_ports: &PortSet,
    reserved: &Reserved,
) -> (Reserved, Vec<Note>) {
    let meant: PortSet = wanted
        .runs()
        .filter(|run| run.last() <= PortRange::SYSTEM.last())
        .collect();
    let mut left_out = Reserved::nothing();
    for (source, ports) in reserved.restricted_to(wanted).iter() {
        match source {
            Source::KernelReserved => {}
            Source::SystemPorts => left_out.add(source, &ports.minus(&meant)),
            _ => left_out.add(source, ports),
        }
    }
    let used = wanted.minus(&left_out.union());
    let notes = named_notes(&used, &left_out, ephemeral, ephemeral_ports, reserved);
    (left_out, notes)
}

fn named_notes(
    used: &PortSet,
    left_out: &Reserved,
    ephemeral: Option<PortRange>,
    ephemeral_ports: &PortSet,
    reserved: &Reserved,
) -> Vec<Note> {
    let set_aside = reserved.of(Source::KernelReserved);
    let contested = used.intersect(ephemeral_ports).minus(&set_aside);
    let mut notes = Vec::new();
    if let Some(ephemeral) = ephemeral.filter(|_| !contested.is_empty()) {
        let reserve = set_aside.union(&contested);
        notes.push(Note::OverlapsEphemeral {
            ports: contested,
            ephemeral,
            reserve,
        });
    }
    let ours = used.intersect(&set_aside);
    if !ours.is_empty() {
        notes.push(Note::SetAsideForUs { ports: ours });
    }
    let system = PortSet::from(PortRange::SYSTEM);
    let skipped = left_out.of(Source::SystemPorts);
    if !skipped.is_empty() {
        notes.push(Note::SystemPortsLeftOut { ports: skipped });
    }
    let privileged = used.intersect(&system);
    if !privileged.is_empty() {
        notes.push(Note::SystemPortsUsed { ports: privileged });
    }
    notes
}

/// Why there is nothing to hand out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// Every port that was asked for is reserved, or none was asked for.
    Empty {
        /// What was asked for.
        spec: PortSpec,
        /// What took the ports away.
        left_out: Reserved,
    },
}

impl std::error::Error for PlanError {}

/// Prints one line: the range, what took its ports away, and the remedies.
impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Empty { spec, left_out } = self;
        match spec {
            PortSpec::Ports(ports) if ports.is_empty() => return ParsePortsError::Nothing.fmt(f),
            PortSpec::Ports(ports) => write!(f, "no port of {ports} is left")?,
            PortSpec::Auto => write!(f, "no port of auto ({}) is left", PortRange::DYNAMIC)?,
        }
        for (index, (source, ports)) in left_out.iter().enumerate() {
            write!(
                f,
                "{} {} {source}",
                if index == 0 { ":" } else { "," },
                ports.len()
            )?;
        }
        for (index, (source, _)) in left_out.iter().enumerate() {
            write!(
                f,
                "{} {}",
                if index == 0 { ";" } else { " or" },
                source.remedy()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
