//! What is wrong with a host, or could go wrong, as far as ports are concerned.
//!
//! The doctor looks at a [`Snapshot`] and at what a program is meant to do ([`Purpose`]), and never
//! at the host itself: each check is a function of plain values.
//!
//! ```
//! use eport_core::doctor::{Purpose, Severity, examine};
//! use eport_core::system::Host;
//!
//! let purpose = Purpose::default().ports("61000-65535".parse()?);
//! for finding in examine(&Host::new().snapshot(), &purpose) {
//!     if finding.severity >= Severity::Warning {
//!         eprintln!("{finding}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod finding;
mod limits;
mod listeners;
mod ports;

use std::time::Duration;

pub use finding::{Finding, Severity};

use crate::address::Protocol;
use crate::plan::{Overlap, Plan, PlanError, PortSpec, plan_with};
use crate::ports::{PortSet, Source};
use crate::system::Snapshot;

/// What a program is meant to do with ports.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Purpose {
    /// Which ports it hands out.
    pub ports: PortSpec,
    /// Ports it is not to hand out.
    pub exclude: PortSet,
    /// Whether it leaves out the ports that `/etc/services` names.
    pub services: bool,
    /// What it does about ports that the kernel hands out as well.
    pub overlap: Overlap,
    /// The protocol of these ports.
    pub protocol: Protocol,
    /// How many leases it needs at the same time; `None` if nobody said.
    pub leases: Option<u64>,
    /// How long a port rests after its use.
    pub rest: Duration,
    /// The well-known ports it listens on.
    pub listeners: Vec<(Protocol, u16)>,
}

impl Purpose {
    /// Sets the ports to hand out.
    #[must_use]
    pub fn ports(self, ports: PortSpec) -> Self {
        Self { ports, ..self }
    }

    /// Sets the ports not to hand out.
    #[must_use]
    pub fn exclude(self, exclude: PortSet) -> Self {
        Self { exclude, ..self }
    }

    /// Sets whether the ports that `/etc/services` names are left out.
    #[must_use]
    pub fn services(self, services: bool) -> Self {
        Self { services, ..self }
    }

    /// Sets what is done about ports that the kernel hands out as well.
    #[must_use]
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Sets the protocol of the ports.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Sets how many leases are needed at the same time.
    #[must_use]
    pub fn leases(self, leases: u64) -> Self {
        Self {
            leases: Some(leases),
            ..self
        }
    }

    /// Sets how long a port rests after its use.
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

/// UDP ports as `auto` chooses them, and the two servers that need such ports most: TFTP on 69 and
/// the portmapper on 111.
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

/// Everything worth saying about the host for this purpose, the gravest first.
pub fn examine(snapshot: &Snapshot, purpose: &Purpose) -> Vec<Finding> {
    let mut findings = examine_range(snapshot, purpose);
    if let Ok(plan) = planned(snapshot, purpose) {
        findings.extend(limits::check(snapshot, purpose, &plan));
    }
    findings.extend(listeners::check(snapshot, purpose));
    gravest_first(findings)
}

/// What there is to say about the ports to hand out, and about nothing else.
pub fn examine_range(snapshot: &Snapshot, purpose: &Purpose) -> Vec<Finding> {
    let mut findings = unread(snapshot);
    match planned(snapshot, purpose) {
        Ok(plan) => findings.extend(ports::check(snapshot, purpose, &plan)),
        Err(error) => findings.push(Finding::from_plan_error(&error)),
    }
    gravest_first(findings)
}

fn gravest_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// The plan for a purpose on the host of the snapshot, with the reasons for what it leaves out.
/// It respects what [`Sources::default`](crate::system::Sources) does, and the services if asked to.
///
/// # Errors
/// [`PlanError`] when no port is left, or an overlap is refused.
pub fn planned(snapshot: &Snapshot, purpose: &Purpose) -> Result<Plan, PlanError> {
    let mut reserved = snapshot.reserved().with(Source::User, &purpose.exclude);
    if purpose.services {
        reserved.add(Source::Services, &snapshot.service_ports());
    }
    plan_with(
        &purpose.ports,
        snapshot.ephemeral,
        &reserved,
        purpose.overlap,
    )
}

/// What could not be read, since no check can speak about it.
fn unread(snapshot: &Snapshot) -> Vec<Finding> {
    let errors = snapshot.unread.iter();
    errors.map(Finding::from_host_error).collect()
}

#[cfg(test)]
mod tests;
