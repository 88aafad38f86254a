//! Fault injection: each system call of a lease fails at each of its places, and no descriptor and no
//! port is lost. `strace` injects the errors; without it the test is skipped.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use files and the environment directly"
)]
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::system::{Host, Sources};
use eport_core::{Allocator, PortPolicy, Protocol, Sharing, WhenFull};

const NAME: &str = "a_failing_system_call_loses_no_port_and_no_descriptor";

/// Set in the process whose system calls fail.
const FAILING: &str = "EPORT_TEST_FAILING";

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The system calls of a lease, each with its errors.
const FAULTS: [(&str, &[&str]); 9] = [
    ("socket", &["EMFILE", "ENOBUFS", "EACCES", "EAFNOSUPPORT"]),
    ("bind", &["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM"]),
    ("connect", &["EHOSTUNREACH", "EACCES"]),
    ("listen", &["EADDRINUSE", "ENOBUFS"]),
    ("setsockopt", &["ENOPROTOOPT"]),
    ("recvfrom", &["ECONNREFUSED"]),
    ("getsockname", &["ENOBUFS"]),
    ("getpeername", &["ENOBUFS"]),
    ("sendto", &["ENOBUFS"]),
];

/// The calls that fail: all, every second, or every third, from different first ones.
const WHICH: [&str; 4] = ["1+", "1+2", "2+3", "3+3"];

#[test]
fn a_failing_system_call_loses_no_port_and_no_descriptor() {
    in_namespace(NAME, || {
        if std::env::var_os(FAILING).is_some() {
            return lease_everything();
        }
        if Command::new("strace").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "strace is not installed");
            eprintln!("skipped: {NAME}: strace is not installed");
            return;
        }
        for (call, errors) in FAULTS {
            for error in errors {
                let failed: usize = WHICH.map(|which| run(call, error, which)).iter().sum();
                assert!(failed > 0, "{call} never failed with {error}");
            }
        }
    });
}

/// Runs the test again with some of its system calls failing; returns the number of failures.
fn run(call: &str, error: &str, which: &str) -> usize {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={call}"), "-e"])
        .arg(format!("inject={call}:error={error}:when={which}"))
        .arg("-o")
        .arg(log.path())
        .arg(std::env::current_exe().expect("a path"))
        .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
        .env(FAILING, "1")
        .output()
        .expect("strace runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{call}, {error}, {which}: {stdout}{stderr}"
    );
    let log = sh(&format!("cat {}", log.path().display()));
    log.matches("(INJECTED)").count()
}

/// Makes every kind of lease several times; after each, no port is leased.
fn lease_everything() {
    let sharing = WhenFull::FAIL.share(Sharing::last_ports(20));
    for policy in [
        PortPolicy::default(),
        PortPolicy::default().when_full(sharing),
    ] {
        let built = Allocator::builder()
            .ports("61000-61019".parse().expect("a range"))
            .policy(policy)
            .build();
        // Without kernel support, sharing is not tested.
        let Ok(allocator) = built else { continue };
        let requests = requests();
        for round in 0..2 {
            for (name, request) in &requests {
                let before = descriptors();
                request(&allocator);
                assert_eq!(descriptors(), before, "{name}, round {round}");
                assert_even(&allocator, name);
            }
        }
    }
}

type Request = fn(&Allocator);

/// Each drops its result, a lease or an error.
fn requests() -> [(&'static str, Request); 8] {
    [
        ("unconnected", |allocator| {
            drop(allocator.udp(V4).lease());
        }),
        ("connected", |allocator| {
            let Ok(peer) = foreign_socket((V4, 0)) else {
                return;
            };
            let Ok(to) = peer.local_addr() else { return };
            if let Ok(lease) = allocator.udp(V4).peer(to).lease()
                && lease.send(b"works").is_ok()
                && let Ok(bytes) = received(&peer)
            {
                assert_eq!(bytes, b"works");
            }
        }),
        ("several", |allocator| {
            let lease = |number| {
                let peer = address(&format!("127.0.0.1:{number}"));
                allocator.udp(V4).peer(peer).lease()
            };
            let leases: Vec<_> = (1..=30).map(lease).collect();
            drop(leases);
        }),
        ("listener", |allocator| {
            drop(allocator.tcp_listener(ANY_V6).lease());
        }),
        ("set", |allocator| {
            let set = [
                (Protocol::Udp, V4),
                (Protocol::Tcp, V4),
                (Protocol::Udp, ANY_V6),
            ];
            drop(allocator.set(set).lease());
        }),
        ("pair", |allocator| drop(allocator.pair(V4))),
        ("adopted", |allocator| {
            if let Ok(socket) = foreign_socket((V4, 61_007)) {
                drop(socket.connect((V4, 9)));
                drop(allocator.adopt(socket));
            }
        }),
        ("reload", |allocator| {
            let sources = Sources::nothing().known_sockets(Protocol::Udp);
            drop(allocator.reload(&sources, &Host::new()));
        }),
    ]
}

fn descriptors() -> usize {
    let own = std::fs::read_dir("/proc/self/fd");
    own.expect("procfs").count()
}

#[track_caller]
fn assert_even(allocator: &Allocator, name: &str) {
    let stats = allocator.stats();
    assert_eq!((stats.leases, stats.shared), (0, 0), "{name}: {stats:?}");
    for space in &stats.spaces {
        let counts = space.counts;
        assert_eq!(counts.leased + counts.overlapped, 0, "{name}: {stats:?}");
        let unleased = counts.free + counts.resting + counts.foreign;
        assert_eq!(unleased, 20, "{name}: {stats:?}");
    }
}
