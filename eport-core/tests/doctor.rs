//! The doctor on recorded hosts, and on a live kernel in a network namespace.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use the environment directly"
)]
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::doctor::{Finding, Purpose, Severity, examine};
use eport_core::system::{Host, Snapshot};

fn fixture(name: &str) -> Snapshot {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hosts");
    let snapshot = Host::at(hosts.join(name)).snapshot();
    assert!(snapshot.unread.is_empty(), "{:?}", snapshot.unread);
    assert!(!snapshot.ephemeral.is_unknown(), "{name} is there");
    snapshot
}

fn summary(findings: &[Finding]) -> Vec<(Severity, &str)> {
    let all = findings.iter();
    all.map(|finding| (finding.severity, finding.code))
        .collect()
}

#[test]
fn each_recorded_machine_gets_its_findings() {
    use Severity::{Info, Warning};
    // The findings common to all, without a capability and with Linux's default limits.
    let everyday = [
        (Warning, "listener-needs-privilege"),
        (Info, "open-files"),
        (Info, "receive-buffer"),
    ];
    for (machine, own) in [
        ("stock", &[][..]),
        ("busy", &[(Info, "listener-held"), (Info, "range-in-use")]),
        (
            "two-servers",
            &[(Info, "listener-held"), (Warning, "listener-shared")],
        ),
        ("widened", &[(Warning, "range-overlaps-ephemeral")]),
    ] {
        let mut expected: Vec<_> = everyday.iter().chain(own).copied().collect();
        let findings = examine(&fixture(machine), &Purpose::default());
        let mut found = summary(&findings);
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{machine}");
    }
}

#[test]
fn each_limit_below_the_leases_is_a_warning() {
    let findings = examine(&fixture("busy"), &Purpose::default().leases(20_000));
    let warnings: Vec<_> = summary(&findings)
        .into_iter()
        .filter(|(severity, _)| *severity == Severity::Warning)
        .map(|(_, code)| code)
        .collect();
    assert_eq!(
        warnings,
        [
            "range-too-small",
            "open-files",
            "conntrack-full",
            "listener-needs-privilege"
        ]
    );
}

#[test]
fn every_finding_is_two_or_three_lines() {
    for machine in ["busy", "two-servers", "widened"] {
        for finding in examine(&fixture(machine), &Purpose::default()) {
            let text = finding.to_string();
            assert!((2..=3).contains(&text.lines().count()), "{text}");
            assert!(
                text.contains(finding.code) && text.contains("\n  why: "),
                "{text}"
            );
            assert!(
                finding
                    .code
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
            );
        }
    }
}

#[test]
fn a_second_server_on_the_port_is_named_with_its_process() {
    const TEST: &str = "a_second_server_on_the_port_is_named_with_its_process";
    const RIVAL: &str = "EPORT_TEST_RIVAL";
    if std::env::var_os(RIVAL).is_some() {
        let socket = sharing_69();
        println!("bound");
        let bytes = received(&socket).expect("the later socket receives the packets");
        println!("received {} bytes", bytes.len());
        let _ = std::io::stdin().read(&mut [0]); // until the other side ends
        return;
    }
    in_namespace(TEST, || {
        let ours = sharing_69();
        let mut rival = Command::new(std::env::current_exe().expect("a path"))
            .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
            .env(RIVAL, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(rival.stdout.take().expect("piped")).lines();
        let mut prints = |text: &str| lines.any(|line| line.expect("UTF-8").contains(text));
        assert!(prints("bound"), "the rival has its socket");
        let client = foreign_socket(address("127.0.0.1:0")).expect("free");
        client
            .send_to(b"request", address("127.0.0.1:69"))
            .expect("loopback");
        assert!(prints("received 7 bytes"), "the rival has the request");
        ours.set_nonblocking(true).expect("an option");
        let error = received(&ours).expect_err("the first socket has nothing");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);

        let findings = examine(&Host::new().snapshot(), &Purpose::default());
        drop(rival.stdin.take());
        let rival_pid = rival.id();
        assert!(rival.wait().expect("an exit status").success());
        let shared = findings
            .iter()
            .find(|finding| finding.code == "listener-shared")
            .unwrap_or_else(|| panic!("{findings:#?}"));
        for pid in [own_pid(), rival_pid] {
            assert!(shared.what.contains(&format!("({pid})")), "{shared}");
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "what the doctor should name")]
fn own_pid() -> u32 {
    std::process::id()
}

/// Returns a socket on port 69 as dnsmasq makes it: another program may bind the port, too.
#[expect(clippy::disallowed_methods, reason = "the rival shares its port")]
fn sharing_69() -> UdpSocket {
    let domain = socket2::Domain::IPV4;
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("an option");
    socket
        .bind(&address("0.0.0.0:69").into())
        .expect("the port is shared");
    socket.into()
}

#[test]
fn the_fix_of_a_finding_removes_it() {
    in_namespace("the_fix_of_a_finding_removes_it", || {
        let purpose = Purpose::default().ports("60000-61999".parse().expect("ports"));
        let before = examine(&Host::new().snapshot(), &purpose);
        let overlap = before
            .iter()
            .find(|finding| finding.code == "range-overlaps-ephemeral")
            .unwrap_or_else(|| panic!("{before:#?}"));
        let fix = overlap
            .fix
            .as_deref()
            .and_then(|fix| fix.strip_prefix("run: "));
        sh(fix.expect("a command"));
        let _foreign = foreign_socket(address("127.0.0.1:60001")).expect("free");
        let after = examine(&Host::new().snapshot(), &purpose);
        let codes: Vec<_> = after.iter().map(|finding| finding.code).collect();
        assert!(!codes.contains(&"range-overlaps-ephemeral"), "{codes:?}");
        assert!(codes.contains(&"range-set-aside"), "{codes:?}");
        assert!(codes.contains(&"range-in-use"), "{codes:?}");
    });
}
