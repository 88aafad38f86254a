//! `eport check` and `eport doctor`: findings.

use serde_json::json;

use super::args::{Request, Server};
use super::report::Report;
use crate::doctor::{Purpose, Severity, examine, examine_range, planned};
use crate::program::{Exit, Findings};
use crate::system::Host;

/// Reports everything that can take ports of a range away. The answer is yes or no, so a warning is
/// enough for the exit status of an error.
pub(super) fn check(host: &Host, request: &Request) -> Report {
    let (snapshot, purpose) = (host.snapshot(), purpose(request));
    let findings = Findings::new(examine_range(&snapshot, &purpose));
    let safe = !findings.reach(Severity::Warning);
    // Without a plan there is a finding with the reason.
    let plan = planned(&snapshot, &purpose).ok();
    let mut text = if findings.is_empty() {
        String::new()
    } else {
        findings.text()
    };
    if let Some(plan) = &plan {
        text += &plan.to_string();
        text += if safe {
            ", none of which anything else is known to use"
        } else {
            ", some of which other programs can take"
        };
    }
    let json = json!({
        "safe": safe,
        "ports": plan.map(|plan| plan.ports().clone()),
        "findings": findings,
    });
    Report::new(text, json).exit(if safe { Exit::Success } else { Exit::Config })
}

/// Reports what is wrong with the host, or could go wrong.
pub(super) fn doctor(
    host: &Host,
    request: &Request,
    leases: Option<u64>,
    servers: &[Server],
) -> Report {
    let mut purpose = purpose(request);
    purpose.leases = leases;
    if !servers.is_empty() {
        purpose.listeners = servers.iter().map(|server| (server.0, server.1)).collect();
    }
    let findings = Findings::new(examine(&host.snapshot(), &purpose));
    Report::new(findings.text(), findings.json()).exit(findings.exit())
}

fn purpose(request: &Request) -> Purpose {
    Purpose::default()
        .ports(request.ports.clone())
        .exclude(request.respect.excluded())
        .services(request.respect.services)
        .overlap(request.respect.overlap)
        .protocol(request.respect.protocol.0)
}
