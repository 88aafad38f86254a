//! `eport check` and `eport doctor`: findings.

use serde_json::json;

use super::Report;
use super::args::{Listener, Wish};
use crate::doctor::{Finding, Purpose, Severity, examine, examine_range, planned};
use crate::system::Host;

/// Whether anything can take ports of a range away. A warning is an alarm here.
pub(super) fn check(host: &Host, wish: &Wish) -> Report {
    let (snapshot, purpose) = (host.snapshot(), purpose(wish));
    let findings = examine_range(&snapshot, &purpose);
    let alarming = findings
        .iter()
        .any(|finding| finding.severity >= Severity::Warning);
    // Without a plan there is a finding that says why.
    let plan = planned(&snapshot, &purpose).ok();
    let mut text = list(&findings);
    if let Some(plan) = &plan {
        text += &plan.to_string();
        text += if alarming {
            ", not all of them safely ours"
        } else {
            ", safely ours"
        };
    }
    let json = json!({
        "safe": !alarming,
        "ports": plan.map(|plan| plan.ports().clone()),
        "findings": findings,
    });
    Report {
        alarming,
        ..Report::new(text, json)
    }
}

/// What is wrong, or could go wrong. Only what does not work is an alarm.
pub(super) fn doctor(host: &Host, wish: &Wish, leases: Option<u64>, listen: &[Listener]) -> Report {
    let mut purpose = purpose(wish);
    purpose.leases = leases;
    if !listen.is_empty() {
        purpose.listeners = listen.iter().map(|one| (one.0, one.1)).collect();
    }
    let findings = examine(&host.snapshot(), &purpose);
    let text = if findings.is_empty() {
        "nothing to report".into()
    } else {
        list(&findings)
    };
    let alarming = findings
        .iter()
        .any(|finding| finding.severity >= Severity::Error);
    Report {
        alarming,
        ..Report::new(text, json!({ "findings": findings }))
    }
}

fn purpose(wish: &Wish) -> Purpose {
    Purpose::default()
        .ports(wish.ports.clone())
        .exclude(wish.respect.excluded())
        .services(wish.respect.services)
        .overlap(wish.respect.overlap)
        .protocol(wish.respect.protocol.0)
}

fn list(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| format!("{finding}\n"));
    lines.collect()
}
