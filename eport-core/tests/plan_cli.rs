//! The binary `eport`: its output for people and for scripts.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use files and the environment directly"
)]
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{address, foreign_socket, in_namespace, received, sh};
use serde_json::Value;

const EPORT: &str = env!("CARGO_BIN_EXE_eport");

const COMMANDS: [&str; 6] = ["plan", "explain", "check", "sockets", "firewall", "doctor"];

fn eport(arguments: &[&str]) -> Output {
    let mut eport = Command::new(EPORT);
    eport.args(arguments).output().expect("it runs")
}

/// Returns the output of a call that has to succeed.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = eport(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout)
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    let output = eport(&[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn machine(name: &str) -> String {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hosts");
    let root = hosts.join(name);
    assert!(root.is_dir(), "{}", root.display());
    root.to_str().expect("UTF-8").into()
}

#[test]
fn the_help_is_that_of_the_snapshots() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let pages = COMMANDS.map(|command| (command, vec![command, "--help"]));
    for (name, arguments) in pages.into_iter().chain([("eport", vec!["--help"])]) {
        let page = folder.join(format!("{name}.txt"));
        let help = printed(&arguments);
        let expected = sh(&format!("cat '{}'", page.display()));
        assert_eq!(
            help,
            expected,
            "if this is meant: eport {} > {}",
            arguments.join(" "),
            page.display()
        );
    }
}

#[test]
fn the_short_help_fits_a_screen() {
    for command in COMMANDS {
        let help = printed(&[command, "-h"]);
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    }
}

#[test]
fn a_plan_shows_the_ports_it_hands_out_and_the_reasons_for_the_others() {
    let busy = machine("busy");
    let plan = printed(&["plan", "--root", &busy, "--rest", "120"]);
    for line in [
        "4436 ports: 61000-61499,61600-65535\n",
        "12.12 bits to guess, 37.0 transfers/s with a rest of 120 s per port; at most 1024 at once",
        "    100  net.ipv4.ip_local_reserved_ports: 61500-61599\n",
        "  11848  the kernel's ephemeral range: 49152-60999\n",
        "  udp 127.0.0.1:61001 connected to 127.0.0.1:4000  uid 1000   relay (311)\n",
    ] {
        assert!(plan.contains(line), "{line:?} is not in\n{plan}");
    }
    let json = json(&["plan", "--root", &busy, "--rest", "120"]);
    assert_eq!(json["plan"]["ports"], "61000-61499,61600-65535");
    assert_eq!(json["plan"]["left_out"][1]["count"], 11_848);
    assert_eq!(json["capacity"]["at_once"], 1024);
    assert_eq!(json["held"][0]["holders"][0]["pid"], 311);
}

#[test]
fn an_overlap_is_noted_avoided_or_refused_by_the_policy() {
    let stock = machine("stock");
    let with = |policy| {
        let output = eport(&["plan", "60000-61999", "--root", &stock, "--overlap", policy]);
        let streams = (text(&output.stdout), text(&output.stderr));
        (output.status.code(), streams.0, streams.1)
    };
    let line = "sysctl -w net.ipv4.ip_local_reserved_ports=60000-60999";
    let (code, out, err) = with("allow");
    assert!(
        code == Some(0) && out.contains(line) && err.is_empty(),
        "{out}{err}"
    );
    let (code, out, _) = with("avoid");
    assert!(
        code == Some(0) && out.starts_with("1000 ports: 61000-61999\n"),
        "{out}"
    );
    let (code, out, err) = with("refuse");
    assert!(
        code == Some(78) && out.is_empty() && err.contains(line),
        "{out}{err}"
    );
}

#[test]
fn one_port_is_explained_with_all_its_facts() {
    let busy = machine("busy");
    for (port, verdict, facts) in [
        (
            "61001",
            "udp port 61001: handed out as soon as it is free",
            &["  default of     rtpproxy", "relay (311)"][..],
        ),
        (
            "61500",
            "udp port 61500: not handed out: net.ipv4.ip_local_reserved_ports; name the ports",
            &["  reserved by    net.ipv4.ip_local_reserved_ports\n"],
        ),
        (
            "2049",
            "udp port 2049: not handed out: it is not among",
            &["  class          user\n", "  services       nfs\n"],
        ),
        (
            "50000",
            "udp port 50000: not handed out: the kernel's ephemeral range; narrow",
            &["  ephemeral for  IPv4, IPv6\n"],
        ),
    ] {
        let explained = printed(&["explain", port, "--root", &busy]);
        assert!(explained.starts_with(verdict), "{explained}");
        for fact in facts {
            assert!(explained.contains(fact), "{fact:?} is not in\n{explained}");
        }
    }
    let json = json(&[
        "explain",
        "2049",
        "--ports",
        "2000-3000",
        "--services",
        "--root",
        &busy,
    ]);
    assert_eq!(json["handed_out"], false);
    assert_eq!(json["reserved_by"][0], "named in /etc/services");
    assert_eq!(json["class"], "user");
}

#[test]
fn the_exit_code_of_a_check_is_its_answer() {
    let stock = machine("stock");
    for (ports, code, safe) in [("61000-65535", 0, true), ("60000-65535", 78, false)] {
        let arguments = ["check", ports, "--root", &stock];
        assert_eq!(eport(&arguments).status.code(), Some(code), "{ports}");
        assert_eq!(json(&arguments)["safe"], safe, "{ports}");
    }
    let nothing = eport(&["check", "61000", "--exclude", "61000", "--root", &stock]);
    assert_eq!(nothing.status.code(), Some(78));
    assert!(
        text(&nothing.stdout).contains("[range-empty]"),
        "{nothing:?}"
    );
}

#[test]
fn the_doctor_prints_findings_and_fails_only_for_errors() {
    let servers = machine("two-servers");
    let findings = printed(&["doctor", "--root", &servers]);
    assert!(
        findings.starts_with(
            "warning: udp port 69 is bound more than once: dnsmasq (412) and in.tftpd (977) \
             [listener-shared]\n  why: "
        ),
        "{findings}"
    );
    let json = json(&["doctor", "--root", &servers, "--server", "tcp/2049"]);
    let codes: Vec<_> = json["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| finding["code"].as_str().expect("a text"))
        .collect();
    assert_eq!(
        codes,
        ["open-files", "receive-buffer"],
        "no socket holds 2049, which needs no privilege"
    );
    let refused = ["doctor", "1024-2000", "--overlap", "refuse", "--root"];
    let widened = eport(&[&refused[..], &[&machine("widened")]].concat());
    assert_eq!(widened.status.code(), Some(78), "{widened:?}");
}

#[test]
fn a_mistake_is_one_message_on_standard_error_with_its_own_exit_code() {
    for (arguments, code, message) in [
        (&["plan", "0-5"][..], 64, "port 0 cannot be bound"),
        (&["explain", "0"], 64, "0 is not in 1..=65535"),
        (
            &["plan", "--overlap", "maybe"],
            64,
            "write avoid, allow or refuse",
        ),
        (
            &["sockets", "--protocol", "icmp"],
            64,
            "write udp, tcp or sctp",
        ),
        (&["doctor", "--server", "69"], 64, "write protocol/port"),
        (&["plan", "--rest", "-1"], 64, "'-1'"),
        (
            &["plan", "--root", "/no/such/directory"],
            66,
            "/no/such/directory is not a directory",
        ),
        (
            &["plan", "61000", "--exclude", "61000"],
            78,
            "no port of 61000 is left",
        ),
    ] {
        let output = eport(arguments);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
        assert!(
            printed.starts_with("error: ") && printed.contains(message),
            "{printed}"
        );
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn live_sockets_are_listed_with_their_holder() {
    in_namespace("live_sockets_are_listed_with_their_holder", || {
        assert_eq!(printed(&["sockets"]), "no socket\n");
        let first = foreign_socket(address("127.0.0.1:61000")).expect("free");
        let second = foreign_socket(address("127.0.0.1:61001")).expect("free");
        second
            .send_to(b"kept", address("127.0.0.1:61000"))
            .expect("loopback");
        let pid = own_pid();
        let listed = printed(&["sockets", "61000"]);
        assert!(
            listed.starts_with("  udp 127.0.0.1:61000 unconnected  uid "),
            "{listed}"
        );
        assert!(
            listed.contains(&format!("({pid})")) && listed.lines().count() == 1,
            "{listed}"
        );
        let json = json(&["sockets", "61000-61009", "--protocol", "udp"]);
        let list = json.as_array().expect("a list");
        assert_eq!(list.len(), 2);
        assert_eq!(list[1]["local"], "127.0.0.1:61001");
        assert_eq!(list[1]["holders"][0]["pid"], pid);
        let kept = received(&first).expect("a listing receives nothing");
        assert_eq!(kept, b"kept");
    });
}

#[expect(clippy::disallowed_methods, reason = "what the program should name")]
fn own_pid() -> u32 {
    std::process::id()
}

#[test]
fn the_rules_for_nft_load_into_an_empty_rule_set_and_keep_one_that_exists() {
    let test = "the_rules_for_nft_load_into_an_empty_rule_set_and_keep_one_that_exists";
    if !installed("nft", test) {
        return;
    }
    in_namespace(test, || {
        let load = format!("{EPORT} firewall --for nft 61000-61999,62500 --server 69 | nft");
        sh(&format!("{load} -c -f -"));
        assert_eq!(sh("nft list ruleset"), "", "a check changes nothing");
        sh(&format!("{load} -f -"));
        let rule = "udp dport { 69, 61000-61999, 62500 } accept comment \"eport\"";
        assert!(sh("nft list ruleset").contains(rule));

        sh("nft flush ruleset; nft add table inet filter; \
            nft 'add chain inet filter input { type filter hook input priority 0; policy drop; }'; \
            nft add rule inet filter input iif lo reject");
        sh(&format!("{load} -f -"));
        let rules = sh("nft list ruleset");
        assert!(rules.contains("policy drop"), "the policy is kept: {rules}");
        let place = |text: &str| {
            rules
                .find(text)
                .unwrap_or_else(|| panic!("{text}: {rules}"))
        };
        assert!(
            place(rule) < place("reject"),
            "the rule comes first: {rules}"
        );
    });
}

#[test]
fn the_commands_for_iptables_are_accepted() {
    let test = "the_commands_for_iptables_are_accepted";
    if !installed("iptables", test) {
        return;
    }
    in_namespace(test, || {
        sh(&format!(
            "{EPORT} firewall --for iptables 61000-61999 --server 69 | sh -e"
        ));
        for command in ["iptables", "ip6tables"] {
            let rules = sh(&format!("{command} -S INPUT"));
            assert!(
                rules.contains("-p udp -m udp --dport 61000:61999 -j ACCEPT"),
                "{rules}"
            );
        }
    });
}

#[test]
fn the_commands_for_firewalld_name_each_run_and_reload() {
    let rules = printed(&[
        "firewall",
        "--for",
        "firewalld",
        "61000-61999,62500",
        "--protocol",
        "tcp",
    ]);
    let commands: Vec<_> = rules
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        commands,
        [
            "firewall-cmd --permanent --add-port=61000-61999/tcp",
            "firewall-cmd --permanent --add-port=62500/tcp",
            "firewall-cmd --reload"
        ]
    );
}

/// Returns true if a program is installed; if not, prints that the test is skipped, or fails where all
/// programs are required.
fn installed(program: &str, test: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os("TESTS_REQUIRE_PEERS").is_none(),
        "{program} is not installed"
    );
    eprintln!("skipped {test}: {program} is not installed");
    false
}
