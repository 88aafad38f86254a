//! Checks of limits that a burst of transfers reaches before it runs out of ports.

use super::finding::Finding;
use super::purpose::Purpose;
use super::severity::Severity;
use crate::plan::Plan;
use crate::system::Snapshot;

/// Descriptors that a server needs besides its leases: listeners, files, logs, epoll.
const OTHER_FILES: u64 = 64;

pub(super) fn check(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Vec<Finding> {
    let checks = [
        open_files(snapshot, purpose, plan),
        receive_buffer(snapshot),
        send_buffer(snapshot),
        conntrack(snapshot, purpose, plan),
    ];
    checks.into_iter().flatten().collect()
}

fn ports_of(plan: &Plan) -> u64 {
    u64::try_from(plan.ports().len()).unwrap_or(u64::MAX)
}

fn open_files(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Option<Finding> {
    let limit = snapshot.open_files?;
    let wanted = purpose.leases.unwrap_or_else(|| ports_of(plan));
    let needed = wanted.saturating_add(OTHER_FILES);
    if needed <= limit.soft {
        return None;
    }
    let severity = match purpose.leases {
        Some(_) => Severity::Warning,
        None => Severity::Info,
    };
    let what = format!(
        "{} file descriptors may be open; {wanted} leases need {needed}",
        limit.soft
    );
    let why = "each lease is an open socket: beyond the limit no socket can be made, although ports are free";
    let fix = if needed <= limit.hard {
        format!("run: ulimit -n {needed}, or LimitNOFILE={needed} in a unit")
    } else {
        format!(
            "LimitNOFILE={needed} in a unit, or nofile in limits.conf: the hard limit is {}",
            limit.hard
        )
    };
    Some(Finding::new("open-files", severity, what, why).fix(fix))
}

/// A listener's buffer holds the requests of machines that are switched on together. Small datagrams
/// are charged about 768 bytes each, so Linux's default holds some 277 of them.
fn receive_buffer(snapshot: &Snapshot) -> Option<Finding> {
    const ROOMY: u64 = 1 << 20;
    const CHARGE: u64 = 768;
    let bytes = snapshot.receive_buffer_max.filter(|bytes| *bytes < ROOMY)?;
    Some(
        Finding::new(
            "receive-buffer",
            Severity::Info,
            format!(
                "a socket's receive buffer is at most {bytes} bytes: about {} small datagrams",
                bytes / CHARGE
            ),
            "when more clients than that send a request together, the kernel drops requests",
        )
        .fix(format!("run: sysctl -w net.core.rmem_max={}", 4 * ROOMY)),
    )
}

/// A window is sent as one piece of up to 64 KiB, to which the kernel adds its overhead.
fn send_buffer(snapshot: &Snapshot) -> Option<Finding> {
    const WINDOW: u64 = 128 << 10;
    let bytes = snapshot.send_buffer.filter(|bytes| *bytes < WINDOW)?;
    Some(
        Finding::new(
            "send-buffer",
            Severity::Warning,
            format!("a socket's send buffer is {bytes} bytes"),
            "a window of 64 KiB fills it, and nothing more can be sent before the window has left",
        )
        .fix("run: sysctl -w net.core.wmem_default=212992"),
    )
}

/// The connection tracker needs an entry for each transfer on a port of its own.
fn conntrack(snapshot: &Snapshot, purpose: &Purpose, plan: &Plan) -> Option<Finding> {
    let table = snapshot.conntrack?;
    let free = table.limit.saturating_sub(table.entries);
    let wanted = purpose.leases.unwrap_or_else(|| ports_of(plan));
    // Limit 0 means that there is none.
    if table.limit == 0 || wanted <= free {
        return None;
    }
    let raised = table.entries.saturating_add(wanted).next_power_of_two();
    Some(
        Finding::new(
            "conntrack-full",
            Severity::Warning,
            format!(
                "the connection tracker has {} of {} entries; {wanted} leases need {wanted} more",
                table.entries, table.limit
            ),
            "when its table is full, the kernel drops the packets of new connections",
        )
        .fix(format!(
            "run: sysctl -w net.netfilter.nf_conntrack_max={raised}, or leave these ports untracked"
        )),
    )
}
