//! A network namespace for the measurements.

use std::process::Command;

/// Set in the process that runs inside.
const INSIDE: &str = "EPORT_BENCH_NAMESPACE";

/// Brings loopback up, gives the kernel the same range as the allocator, and raises the descriptor limit.
const PREPARE: &str = "ip link set lo up \
    && echo 49152 65535 > /proc/sys/net/ipv4/ip_local_port_range \
    && ulimit -n 17000 && exec \"$0\" --bench";

/// Runs `measure` in a network namespace, or without sockets if none can be created.
pub(crate) fn enter(measure: impl FnOnce(bool)) {
    if std::env::var_os(INSIDE).is_some() {
        return measure(true);
    }
    let executable = std::env::current_exe().expect("a path");
    for flags in ["-n", "-rn"] {
        let inside = Command::new("unshare")
            .args([flags, "--", "sh", "-c", PREPARE])
            .arg(&executable)
            .env(INSIDE, "1")
            .status();
        if inside.is_ok_and(|status| status.success()) {
            return;
        }
    }
    println!(
        "no network namespace or too few descriptors (17,000): measurements with sockets are skipped\n"
    );
    measure(false);
}
