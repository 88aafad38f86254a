//! Checks of the ports that are handed out.

use super::finding::Finding;
use super::purpose::Purpose;
use super::severity::Severity;
use crate::plan::Plan;
use crate::ports::{PortClass, PortRange, PortSet};
use crate::system::Snapshot;

/// The number of sockets or services that one finding names at most.
const NAMED: usize = 5;

pub(super) fn check(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Vec<Finding> {
    let notes = plan.notes().iter().map(Finding::from_note);
    let checks = [
        user_ports(plan),
        services(snapshot, purpose, plan),
        node_ports(plan),
        sockets(snapshot, purpose, plan),
        too_few(purpose, plan),
        reserved_list_is_long(snapshot, plan),
    ];
    notes.chain(checks.into_iter().flatten()).collect()
}

/// RFC 6335 §6: only the dynamic ports are never assigned.
fn user_ports(plan: &Plan) -> Option<Finding> {
    let ports = PortClass::User.within(plan.ports());
    (!ports.is_empty()).then(|| {
        Finding::new(
            "range-user-ports",
            Severity::Info,
            format!("ports {ports} are user ports"),
            "IANA assigns them to services, one of which may be started on this host later",
        )
        .fix(format!("name ports from {} if you can", PortRange::DYNAMIC))
    })
}

fn services(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Option<Finding> {
    let named: Vec<String> = snapshot
        .services
        .iter()
        .filter(|service| service.protocol == purpose.protocol)
        .filter(|service| plan.ports().contains(service.port))
        .map(|service| format!("{} ({})", service.port, service.name))
        .collect();
    (!named.is_empty()).then(|| {
        Finding::new(
            "range-names-services",
            Severity::Info,
            format!("/etc/services names {}", some_of(&named)),
            "such a service fails to start while its port is leased",
        )
        .fix("exclude the ports of services that run here")
    })
}

fn node_ports(plan: &Plan) -> Option<Finding> {
    let range = PortRange::NODE_PORTS;
    let ports = plan.ports().intersect(&range.into());
    (!ports.is_empty()).then(|| {
        Finding::new(
            "range-overlaps-nodeport",
            Severity::Info,
            format!("ports {ports} lie in {range}, where Kubernetes puts NodePort services"),
            "on a node of a cluster, packets to such a port may be sent elsewhere before they \
             reach a socket",
        )
        .fix(format!(
            "exclude {range}, or give the API server another --service-node-port-range"
        ))
    })
}

fn sockets(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Option<Finding> {
    let held: Vec<String> = snapshot
        .known_sockets()
        .iter()
        .filter(|socket| socket.protocol == purpose.protocol)
        .filter(|socket| plan.ports().contains(socket.port()))
        .map(|socket| match snapshot.holders_of(socket).first() {
            Some(process) => format!("{} by {process}", socket.local),
            None => socket.local.to_string(),
        })
        .collect();
    (!held.is_empty()).then(|| {
        Finding::new(
            "range-in-use",
            Severity::Info,
            format!("held at the moment: {}", some_of(&held)),
            "such a port is skipped as long as it is held",
        )
    })
}

fn too_few(purpose: &Purpose, plan: &Plan) -> Option<Finding> {
    let ports = u64::try_from(plan.ports().len()).unwrap_or(u64::MAX);
    let leases = purpose.leases.filter(|leases| *leases > ports)?;
    Some(
        Finding::new(
            "range-too-small",
            Severity::Warning,
            format!("{leases} leases are needed and there are {ports} ports"),
            "each lease on the same address needs a port of its own",
        )
        .fix("name more ports, or allow fewer leases"),
    )
}

/// A kernel whose ephemeral range is mostly reserved has few ports left for other programs.
fn reserved_list_is_long(snapshot: &Snapshot, plan: &Plan) -> Option<Finding> {
    const ENOUGH: usize = 4096;
    let ephemeral = snapshot.ephemeral.ports();
    let left = ephemeral.minus(&snapshot.kernel_reserved);
    let planned: PortSet = plan.ports().intersect(&snapshot.kernel_reserved);
    let scarce = !ephemeral.is_empty() && left.len() < ENOUGH;
    scarce.then(|| {
        let (left, range) = (left.len(), snapshot.ephemeral);
        let planned = planned.intersect(&ephemeral).len();
        Finding::new(
            "ephemeral-scarce",
            Severity::Warning,
            format!(
                "the kernel has {left} ports left of its ephemeral range {range} ({planned} of the reserved ones are in this plan)"
            ),
            "each outgoing connection and each socket bound to port 0 needs one",
        )
        .fix("widen net.ipv4.ip_local_port_range, or shorten net.ipv4.ip_local_reserved_ports")
    })
}

/// Returns the first few items of a list and the number of the others.
fn some_of(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let first = first.join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
