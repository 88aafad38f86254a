//! Checks of well-known ports: their holders, and the permission to bind them.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::purpose::Purpose;
use super::severity::Severity;
use crate::address::Protocol;
use crate::system::{BoundSocket, Process, Snapshot};

pub(super) fn check(snapshot: &Snapshot, purpose: &Purpose) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (protocol, port) in &purpose.listeners {
        let open: Vec<&BoundSocket> = snapshot
            .known_sockets()
            .iter()
            .filter(|socket| socket.protocol == *protocol && socket.port() == *port)
            .filter(|socket| socket.is_open())
            .collect();
        findings.extend(held(snapshot, *protocol, *port, &open));
        findings.extend(shared(snapshot, *protocol, *port, &open));
    }
    findings.extend(privilege(snapshot, purpose));
    findings
}

fn held(
    snapshot: &Snapshot,
    protocol: Protocol,
    port: u16,
    open: &[&BoundSocket],
) -> Option<Finding> {
    let lines: BTreeSet<String> = open
        .iter()
        .map(|socket| format!("{} by {}", socket.local, holder(snapshot, socket)))
        .collect();
    let lines: Vec<String> = lines.into_iter().collect();
    (!lines.is_empty()).then(|| {
        Finding::new(
            "listener-held",
            Severity::Info,
            format!("{protocol} port {port} is held: {}", lines.join(", ")),
            "another server on this port fails to start",
        )
    })
}

/// Finds sockets of several processes that receive the same packets. Threads of one process share a
/// port by design.
fn shared(
    snapshot: &Snapshot,
    protocol: Protocol,
    port: u16,
    open: &[&BoundSocket],
) -> Option<Finding> {
    let mut rivals: BTreeSet<String> = BTreeSet::new();
    for (index, one) in open.iter().enumerate() {
        for other in open.iter().skip(index + 1) {
            if rival(one, other) && !related(snapshot, one, other) {
                rivals.insert(describe(snapshot, one));
                rivals.insert(describe(snapshot, other));
            }
        }
    }
    let rivals: Vec<String> = rivals.into_iter().collect();
    (!rivals.is_empty()).then(|| {
        Finding::new(
            "listener-shared",
            Severity::Warning,
            format!(
                "{protocol} port {port} is bound more than once: {}",
                rivals.join(" and ")
            ),
            "SO_REUSEADDR or SO_REUSEPORT permits that; one program receives all packets, the \
             others none",
        )
        .fix("stop all but one of these programs")
    })
}

/// Returns true if two sockets receive the same packets. A specific address beside the wildcard is
/// no rival: the kernel divides the packets between them.
fn rival(one: &BoundSocket, other: &BoundSocket) -> bool {
    let reached_alike =
        one.interface == other.interface || one.interface == 0 || other.interface == 0;
    let (a, b) = (one.local.ip(), other.local.ip());
    let both_take_v4 = a.is_unspecified() && b.is_unspecified() && takes_v4(one) && takes_v4(other);
    reached_alike && (one.local == other.local || both_take_v4)
}

/// Returns true if a wildcard socket is known to receive packets of IPv4.
fn takes_v4(socket: &BoundSocket) -> bool {
    socket.local.is_ipv4() || socket.only_v6 == Some(false)
}

/// Returns true if two sockets belong to the same process.
fn related(snapshot: &Snapshot, one: &BoundSocket, other: &BoundSocket) -> bool {
    let (some, others) = (snapshot.holders_of(one), snapshot.holders_of(other));
    some.iter().any(|process| others.contains(process))
}

fn describe(snapshot: &Snapshot, socket: &BoundSocket) -> String {
    match snapshot.holders_of(socket) {
        [] => format!("a socket of uid {} (inode {})", socket.uid, socket.inode),
        processes => names(processes),
    }
}

fn holder(snapshot: &Snapshot, socket: &BoundSocket) -> String {
    match snapshot.holders_of(socket) {
        [] => format!("a process of uid {} that is not visible", socket.uid),
        processes => names(processes),
    }
}

fn names(processes: &[Process]) -> String {
    let names: Vec<String> = processes.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn privilege(snapshot: &Snapshot, purpose: &Purpose) -> Option<Finding> {
    let from = snapshot.unprivileged_from?;
    let denied: BTreeSet<u16> = purpose
        .listeners
        .iter()
        .map(|(_, port)| *port)
        .filter(|port| u64::from(*port) < from)
        .collect();
    let lowest = *denied.first()?;
    if snapshot.may_bind_privileged? {
        return None;
    }
    let denied: Vec<String> = denied.iter().map(ToString::to_string).collect();
    Some(
        Finding::new(
            "listener-needs-privilege",
            Severity::Warning,
            format!(
                "this process may not bind ports {}: those below {from} are privileged",
                denied.join(", ")
            ),
            "a server with the permissions of this process cannot bind its port",
        )
        .fix(format!(
            "grant CAP_NET_BIND_SERVICE (AmbientCapabilities= in a unit), start from a socket unit, \
             or run: sysctl -w net.ipv4.ip_unprivileged_port_start={lowest}"
        )),
    )
}
