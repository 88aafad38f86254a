//! Checks of a host for everything that can keep a program from its ports.
//!
//! The checks compare a [`Snapshot`] of the host with the [`Purpose`] of a program. They are
//! functions of plain values and read nothing from the host themselves.
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
mod purpose;
mod severity;

pub use finding::Finding;
pub use purpose::Purpose;
pub use severity::Severity;

use crate::plan::{Plan, PlanError, plan_with};
use crate::ports::Source;
use crate::system::Snapshot;

/// Returns all findings about the host for this purpose, the gravest first.
pub fn examine(snapshot: &Snapshot, purpose: &Purpose) -> Vec<Finding> {
    let mut findings = examine_range(snapshot, purpose);
    if let Ok(plan) = planned(snapshot, purpose) {
        findings.extend(limits::check(snapshot, purpose, &plan));
    }
    findings.extend(listeners::check(snapshot, purpose));
    gravest_first(findings)
}

/// Returns the findings about the ports to hand out, and no others.
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

/// Returns the plan for a purpose on the host of the snapshot, with the reasons for what it leaves out.
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

/// Returns a finding for each file that could not be read, because the checks skip it.
fn unread(snapshot: &Snapshot) -> Vec<Finding> {
    let errors = snapshot.unread.iter();
    errors.map(Finding::from_host_error).collect()
}

#[cfg(test)]
mod tests;
