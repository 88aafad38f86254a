use super::*;
use crate::address::AddressFamily;
use crate::address::Protocol;
use crate::plan::Overlap;
use crate::ports::{Ephemeral, PortRange};
use crate::system::{BoundSocket, Conntrack, OpenFiles, Process, Service, SocketState};

/// A host with the defaults of Linux, on which every check passes.
fn stock() -> Snapshot {
    let range: PortRange = "32768-60999".parse().expect("a range");
    Snapshot {
        ephemeral: Ephemeral::both(range),
        sockets: Some(Vec::new()),
        unprivileged_from: Some(1024),
        may_bind_privileged: Some(true),
        open_files: Some(OpenFiles {
            soft: 20_000,
            hard: 20_000,
        }),
        receive_buffer_max: Some(4 << 20),
        send_buffer: Some(212_992),
        ..Snapshot::default()
    }
}

fn socket(local: &str, inode: u64) -> BoundSocket {
    let local: std::net::SocketAddr = local.parse().expect(local);
    BoundSocket {
        protocol: Protocol::Udp,
        family: if local.is_ipv4() {
            AddressFamily::Ipv4
        } else {
            AddressFamily::Ipv6
        },
        local,
        only_v6: None,
        interface: 0,
        peer: None,
        state: SocketState::Unconnected,
        uid: 107,
        inode,
    }
}

fn process(pid: u32, command: &str) -> Process {
    let command = command.into();
    Process { pid, command }
}

fn purpose(ports: &str) -> Purpose {
    Purpose::default().ports(ports.parse().expect(ports))
}

fn codes(snapshot: &Snapshot, purpose: &Purpose) -> Vec<&'static str> {
    let findings = examine(snapshot, purpose);
    findings.iter().map(|finding| finding.code).collect()
}

/// Returns the one finding with a code.
#[track_caller]
fn found(snapshot: &Snapshot, purpose: &Purpose, code: &str) -> Finding {
    let findings = examine(snapshot, purpose);
    let mut with_code = findings.iter().filter(|finding| finding.code == code);
    let found = with_code
        .next()
        .unwrap_or_else(|| panic!("{code}: {findings:#?}"));
    assert!(
        with_code.next().is_none(),
        "{code} comes once: {findings:#?}"
    );
    found.clone()
}

#[test]
fn a_host_with_nothing_wrong_gets_no_finding() {
    assert_eq!(codes(&stock(), &Purpose::default()), [""; 0]);
}

#[test]
fn an_empty_snapshot_gets_no_finding() {
    assert_eq!(codes(&Snapshot::default(), &Purpose::default()), [""; 0]);
}

#[test]
fn an_overlap_with_the_ephemeral_range_comes_with_its_sysctl_line() {
    let overlap = found(
        &stock(),
        &purpose("60000-61999"),
        "range-overlaps-ephemeral",
    );
    assert_eq!(overlap.severity, Severity::Warning);
    assert_eq!(
        overlap.fix.as_deref(),
        Some("run: sysctl -w net.ipv4.ip_local_reserved_ports=60000-60999")
    );
    let refused = purpose("60000-61999").overlap(Overlap::Refuse);
    let refused = found(&stock(), &refused, "range-overlaps-ephemeral");
    assert_eq!(refused.severity, Severity::Error);
}

#[test]
fn ports_set_aside_for_this_purpose_are_an_info() {
    let snapshot = Snapshot {
        kernel_reserved: "60000-60999".parse().expect("ports"),
        ..stock()
    };
    assert_eq!(
        codes(&snapshot, &purpose("60000-61999")),
        ["range-set-aside"]
    );
}

#[test]
fn nothing_left_to_hand_out_is_an_error() {
    let nothing = purpose("61000-61009").exclude("61000-62000".parse().expect("ports"));
    let empty = found(&stock(), &nothing, "range-empty");
    assert_eq!(empty.severity, Severity::Error);
}

#[test]
fn a_range_among_the_ports_of_services_names_them() {
    let service = |name: &str, port, protocol| Service {
        name: name.into(),
        port,
        protocol,
    };
    let snapshot = Snapshot {
        services: vec![
            service("nfs", 2049, Protocol::Udp),
            service("nfs", 2049, Protocol::Tcp),
            service("x11", 6000, Protocol::Tcp),
        ],
        ..stock()
    };
    let findings = codes(&snapshot, &purpose("2000-31000"));
    assert_eq!(
        findings,
        [
            "range-user-ports",
            "range-names-services",
            "range-overlaps-nodeport",
            "open-files"
        ]
    );
    let names = found(&snapshot, &purpose("2000-31000"), "range-names-services");
    assert_eq!(names.what, "/etc/services names 2049 (nfs)");
    let respectful = purpose("2000-31000").services(true);
    assert!(!codes(&snapshot, &respectful).contains(&"range-names-services"));
    let plan = planned(&snapshot, &respectful).expect("ports");
    assert!(!plan.ports().contains(2049) && !plan.ports().contains(6000));
    let nodes = found(&snapshot, &purpose("2000-31000"), "range-overlaps-nodeport");
    assert!(
        nodes.what.starts_with("ports 30000-31000 lie in"),
        "{nodes}"
    );
}

#[test]
fn sockets_in_the_range_are_named_with_their_holders_and_the_list_is_short() {
    let sockets = (61_000..61_008).map(|port| socket(&format!("127.0.0.1:{port}"), port));
    let mut snapshot = Snapshot {
        sockets: Some(sockets.collect()),
        ..stock()
    };
    snapshot.holders.insert(61_000, vec![process(7, "relay")]);
    let held = found(&snapshot, &purpose("61000-65535"), "range-in-use");
    assert!(
        held.what
            .starts_with("held at the moment: 127.0.0.1:61000 by relay (7), 127.0.0.1:61001, ")
            && held.what.ends_with(" and 3 more"),
        "{held}"
    );
    let tcp = purpose("61000-65535").protocol(Protocol::Tcp);
    assert!(codes(&snapshot, &tcp).is_empty(), "the sockets are UDP");
}

#[test]
fn two_servers_on_one_port_are_distinguished_by_their_processes() {
    let mut snapshot = Snapshot {
        sockets: Some(vec![socket("0.0.0.0:69", 1), socket("0.0.0.0:69", 2)]),
        ..stock()
    };
    let unknown = found(&snapshot, &Purpose::default(), "listener-shared");
    assert!(unknown.what.contains("uid 107 (inode 1)"), "{unknown}");
    snapshot.holders.insert(1, vec![process(412, "dnsmasq")]);
    snapshot.holders.insert(2, vec![process(977, "in.tftpd")]);
    let shared = found(&snapshot, &Purpose::default(), "listener-shared");
    assert_eq!(
        shared.what,
        "udp port 69 is bound more than once: dnsmasq (412) and in.tftpd (977)"
    );
    snapshot.holders.insert(2, vec![process(412, "dnsmasq")]);
    assert_eq!(
        codes(&snapshot, &Purpose::default()),
        ["listener-held"],
        "threads of one server share by design"
    );
}

#[test]
fn sockets_with_different_packets_are_no_rivals() {
    let on = |interface| BoundSocket {
        interface,
        ..socket("0.0.0.0:69", u64::from(interface))
    };
    for pair in [
        [socket("0.0.0.0:69", 1), socket("[::]:69", 2)],
        [socket("0.0.0.0:69", 1), socket("127.0.0.1:69", 2)],
        [socket("127.0.0.1:69", 1), socket("127.0.0.2:69", 2)],
        [on(2), on(3)],
    ] {
        let snapshot = Snapshot {
            sockets: Some(pair.into()),
            ..stock()
        };
        assert_eq!(codes(&snapshot, &Purpose::default()), ["listener-held"]);
    }
}

#[test]
fn a_dual_stack_socket_is_the_rival_of_one_of_ipv4() {
    let dual = |only_v6| BoundSocket {
        only_v6: Some(only_v6),
        ..socket("[::]:69", 2)
    };
    for (only_v6, expected) in [
        (false, &["listener-shared", "listener-held"][..]),
        (true, &["listener-held"]),
    ] {
        let snapshot = Snapshot {
            sockets: Some(vec![socket("0.0.0.0:69", 1), dual(only_v6)]),
            ..stock()
        };
        assert_eq!(codes(&snapshot, &Purpose::default()), expected);
    }
}

#[test]
fn a_privileged_port_without_privilege_comes_with_three_remedies() {
    let snapshot = Snapshot {
        may_bind_privileged: Some(false),
        ..stock()
    };
    let denied = found(&snapshot, &Purpose::default(), "listener-needs-privilege");
    let fix = denied.fix.expect("a remedy");
    for remedy in [
        "CAP_NET_BIND_SERVICE",
        "socket unit",
        "ip_unprivileged_port_start=69",
    ] {
        assert!(fix.contains(remedy), "{fix}");
    }
    let lowered = Snapshot {
        unprivileged_from: Some(69),
        ..snapshot
    };
    assert!(codes(&lowered, &Purpose::default()).is_empty());
}

#[test]
fn limits_are_compared_with_the_leases_that_are_needed() {
    let snapshot = Snapshot {
        open_files: Some(OpenFiles {
            soft: 1024,
            hard: 4096,
        }),
        conntrack: Some(Conntrack {
            entries: 262_000,
            limit: 262_144,
        }),
        receive_buffer_max: Some(212_992),
        send_buffer: Some(65_536),
        ..stock()
    };
    let modest = Purpose::default().leases(100);
    assert_eq!(codes(&snapshot, &modest), ["send-buffer", "receive-buffer"]);

    let many = Purpose::default().leases(2000);
    let files = found(&snapshot, &many, "open-files");
    assert_eq!(files.severity, Severity::Warning);
    assert!(files.fix.expect("a remedy").contains("ulimit -n 2064"));
    let tracker = found(&snapshot, &many, "conntrack-full");
    assert!(
        tracker
            .fix
            .expect("a remedy")
            .contains("nf_conntrack_max=524288")
    );

    let more = found(&snapshot, &Purpose::default().leases(5000), "open-files");
    assert!(
        more.fix
            .expect("a remedy")
            .contains("the hard limit is 4096")
    );
    let most = Purpose::default().leases(4537);
    assert_eq!(
        found(&snapshot, &most, "range-too-small").severity,
        Severity::Warning
    );
}

#[test]
fn a_kernel_with_few_ports_left_is_a_warning() {
    let snapshot = Snapshot {
        kernel_reserved: "32768-59999".parse().expect("ports"),
        ..stock()
    };
    let scarce = found(&snapshot, &purpose("50000-59999"), "ephemeral-scarce");
    assert!(scarce.what.contains("1000 ports left"), "{scarce}");
    assert!(
        scarce
            .what
            .contains("(10000 of the reserved ones are in this plan)"),
        "{scarce}"
    );
}

#[test]
fn the_gravest_finding_comes_first() {
    let snapshot = Snapshot {
        receive_buffer_max: Some(1),
        may_bind_privileged: Some(false),
        ..stock()
    };
    let refused = purpose("50000-50999").overlap(Overlap::Refuse);
    let severities: Vec<Severity> = examine(&snapshot, &refused)
        .iter()
        .map(|finding| finding.severity)
        .collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    assert_eq!(severities.first(), Some(&Severity::Error));
}
