//! The decision which ports are handed out, with reasons and without effects.

mod capacity;
mod error;
mod note;
mod overlap;
mod shard;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use capacity::Capacity;
pub use error::PlanError;
pub use note::{Note, NoteLevel};
pub use overlap::{Overlap, ParseOverlapError};

use crate::ports::{Ephemeral, ParsePortsError, PortRange, PortSet, Reserved, Source};

/// The fewest ports with which `auto` stays out of the kernel's ephemeral range.
pub const AUTO_MINIMUM: usize = 1024;

/// The ports that the user asked for.
///
/// ```
/// # use eport_core::PortSpec;
/// assert_eq!("auto".parse(), Ok(PortSpec::Auto));
/// assert_eq!("7000,6000-6009".parse::<PortSpec>()?.to_string(), "6000-6009,7000");
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PortSpec {
    /// The dynamic ports 49152–65535 without those the kernel hands out itself.
    #[default]
    Auto,
    /// These ports.
    Ports(PortSet),
}

impl PortSpec {
    /// Returns the ports before any are left out.
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

/// The ports to hand out, those left out with their reasons, and notes for the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    spec: PortSpec,
    ports: PortSet,
    left_out: Reserved,
    notes: Vec<Note>,
}

impl Plan {
    /// Returns the requested ports.
    pub const fn spec(&self) -> &PortSpec {
        &self.spec
    }

    /// Returns the ports that are handed out; never empty.
    pub const fn ports(&self) -> &PortSet {
        &self.ports
    }

    /// Returns the ports that were asked for and are not handed out, each with its sources.
    pub const fn left_out(&self) -> &Reserved {
        &self.left_out
    }

    /// Returns the notes for the operator, warnings first.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Returns the load that the ports can carry; see [`Capacity::new`].
    pub fn capacity(&self, rest: Duration, descriptors: Option<u64>) -> Capacity {
        Capacity::new(self.ports.len(), rest, descriptors)
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

/// Decides which ports are handed out, and allows an overlap with the kernel's ephemeral range:
/// [`plan_with`] with [`Overlap::Allow`].
///
/// # Errors
/// [`PlanError::Empty`] when no port is left.
///
/// ```
/// # use eport_core::{PortRange, Reserved, plan};
/// let stock_linux: PortRange = "32768-60999".parse()?;
/// let plan = plan(&"auto".parse()?, stock_linux, &Reserved::default())?;
/// assert_eq!(plan.to_string(), "4536 ports: 61000-65535");
/// assert!(plan.notes().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(
    spec: &PortSpec,
    ephemeral: impl Into<Ephemeral>,
    reserved: &Reserved,
) -> Result<Plan, PlanError> {
    plan_with(spec, ephemeral, reserved, Overlap::Allow)
}

/// Decides which ports are handed out.
///
/// `ephemeral` is the range from which the kernel chooses for sockets bound to port 0, as far as it
/// is known; `reserved` holds all other reservations, the user's exclusions
/// ([`Source::User`]) included.
///
/// * **`auto`** takes the dynamic ports 49152–65535 minus `ephemeral` minus everything reserved.
///   When fewer than [`AUTO_MINIMUM`] are left, it keeps the dynamic ports minus everything
///   reserved, and warns: the kernel may then hand out ports of the plan to other programs.
/// * **Named ports** inside `ip_local_reserved_ports` are used: that sysctl does not prevent
///   programs from binding a port, it only keeps the kernel from choosing it, which is how an
///   administrator sets a range aside. Ports inside `ephemeral` are used with a warning. Everything else that is
///   reserved is left out, the user's exclusions above all.
/// * **System ports** (below 1024) are used only where they are named on their own: a run of named
///   ports that lies wholly below 1024 is (`600-1023`), a run that reaches across (`1-65535`,
///   `512-2000`) is not, and loses the part below 1024.
///
/// Where these rules warn of an overlap with `ephemeral`, `overlap` decides whether it happens.
///
/// # Errors
/// [`PlanError::Empty`] when no port is left, [`PlanError::Overlap`] for [`Overlap::Refuse`].
///
/// ```
/// # use eport_core::{Overlap, PortRange, Reserved, plan_with};
/// let (spec, stock_linux) = ("60000-61999".parse()?, "32768-60999".parse::<PortRange>()?);
/// let avoiding = plan_with(&spec, stock_linux, &Reserved::default(), Overlap::Avoid)?;
/// assert_eq!(avoiding.to_string(), "1000 ports: 61000-61999");
/// let refused = plan_with(&spec, stock_linux, &Reserved::default(), Overlap::Refuse);
/// assert!(refused.unwrap_err().to_string().contains("ip_local_reserved_ports=60000-60999"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan_with(
    spec: &PortSpec,
    ephemeral: impl Into<Ephemeral>,
    reserved: &Reserved,
    overlap: Overlap,
) -> Result<Plan, PlanError> {
    let ephemeral = ephemeral.into();
    let (left_out, mut notes) = match spec {
        PortSpec::Auto => auto(ephemeral, reserved, overlap),
        PortSpec::Ports(wanted) => named(wanted, ephemeral, reserved, overlap),
    };
    if overlap == Overlap::Refuse
        && let Some(warning) = notes.iter().find(|note| note.is_overlap())
    {
        let warning = warning.clone();
        return Err(PlanError::Overlap { warning });
    }
    let ports = spec.wanted().minus(&left_out.union());
    if ports.is_empty() {
        return Err(PlanError::Empty {
            spec: spec.clone(),
            left_out,
        });
    }
    notes.sort_by_key(|note| std::cmp::Reverse(note.level()));
    Ok(Plan {
        spec: spec.clone(),
        ports,
        left_out,
        notes,
    })
}

/// Returns the ports that `auto` leaves out.
fn auto(ephemeral: Ephemeral, reserved: &Reserved, overlap: Overlap) -> (Reserved, Vec<Note>) {
    let dynamic = PortSet::from(PortRange::DYNAMIC);
    let respected = reserved.restricted_to(&dynamic);
    let apart = respected.clone().with(
        Source::KernelEphemeral,
        &ephemeral.ports().intersect(&dynamic),
    );
    let left = dynamic.minus(&apart.union()).len();
    let left_overlapping = dynamic.minus(&respected.union()).len();
    if left >= AUTO_MINIMUM {
        (apart, Vec::new())
    } else if left_overlapping == left {
        (apart, vec![Note::FewPorts { left }])
    } else if overlap == Overlap::Avoid {
        (apart, vec![Note::FewApart { left, ephemeral }])
    } else {
        let left_apart = left;
        let note = Note::AutoOverlaps {
            left_apart,
            ephemeral,
        };
        (respected, vec![note])
    }
}

/// Returns the ports left out of those that the user named.
fn named(
    wanted: &PortSet,
    ephemeral: Ephemeral,
    reserved: &Reserved,
    overlap: Overlap,
) -> (Reserved, Vec<Note>) {
    let meant: PortSet = wanted
        .runs()
        .filter(|run| run.last() <= PortRange::SYSTEM.last())
        .collect();
    let mut left_out = Reserved::nothing();
    for (source, ports) in reserved.restricted_to(wanted).iter() {
        match source {
            Source::KernelReserved => {}
            Source::SystemPorts => left_out.add(source.clone(), &ports.minus(&meant)),
            _ => left_out.add(source.clone(), ports),
        }
    }
    let set_aside = reserved.ports_of(&Source::KernelReserved);
    let used = wanted.minus(&left_out.union());
    let contested = used.intersect(&ephemeral.ports()).minus(&set_aside);
    if overlap == Overlap::Avoid {
        left_out.add(Source::KernelEphemeral, &contested);
        let notes = named_notes(&used.minus(&contested), &left_out, &set_aside);
        return (left_out, notes);
    }
    let mut notes = named_notes(&used, &left_out, &set_aside);
    if !contested.is_empty() {
        let reserve = set_aside.union(&contested);
        notes.push(Note::OverlapsEphemeral {
            ports: contested,
            ephemeral,
            reserve,
        });
    }
    (left_out, notes)
}

/// Returns the notes about named ports besides an overlap.
fn named_notes(used: &PortSet, left_out: &Reserved, set_aside: &PortSet) -> Vec<Note> {
    let mut notes = Vec::new();
    let ours = used.intersect(set_aside);
    if !ours.is_empty() {
        notes.push(Note::SetAside { ports: ours });
    }
    let contested = left_out.ports_of(&Source::KernelEphemeral);
    if !contested.is_empty() {
        notes.push(Note::OverlapLeftOut { ports: contested });
    }
    let skipped = left_out.ports_of(&Source::SystemPorts);
    if !skipped.is_empty() {
        notes.push(Note::SystemPortsLeftOut { ports: skipped });
    }
    let privileged = used.intersect(&PortRange::SYSTEM.into());
    if !privileged.is_empty() {
        notes.push(Note::SystemPortsUsed { ports: privileged });
    }
    notes
}

#[cfg(test)]
mod tests;
