//! The binary `rpc-portmap`: exit codes, messages and the JSON of findings.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use files and the environment directly"
)]

use std::process::{Command, Output};

use nix::unistd::Uid;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rpc-portmap");

fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(PROGRAM);
    program.args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn each_mistake_has_its_exit_code_and_its_message() {
    check_mistake(&["list", "--no-such-flag"], 64, "--no-such-flag");
    check_mistake(&["get", "no-such-program"], 64, "add it to /etc/rpc");
    check_mistake(&["get", "100000:x"], 64, "such as nfs:3");
    check_mistake(&["list", "--timeout", "0"], 64, "such as 3 or 0.5");
    check_mistake(&["list", "127.0.0.1:1"], 69, "hint: no portmapper listens");
    check_mistake(
        &["list", "no-such-host.invalid"],
        69,
        "no-such-host.invalid",
    );
}

#[test]
fn an_address_that_cannot_be_listened_on_has_its_exit_code_and_its_message() {
    for (listen, code, message) in [
        ("nowhere", 64, "\"nowhere\" is no address"),
        ("::1:111", 64, "[::1]:111 for port 111"),
        ("192.0.2.77:0", 69, "no interface has this address"),
        ("fe80::1%none", 69, "hint: ip link shows"),
    ] {
        let serve = [
            "serve",
            "--socket",
            "none",
            "--no-state",
            "--listen",
            listen,
        ];
        check_mistake(&serve, code, message);
    }
    let serve = ["serve", "--socket", "none", "--listen", "127.0.0.1:0"];
    let unusable = [&serve[..], &["--state", "/proc/x/y"]].concat();
    check_mistake(&unusable, 71, "hint: name another file with --state");
}

#[track_caller]
fn check_mistake(arguments: &[&str], code: i32, message: &str) {
    let output = run(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains("error: "), "{arguments:?}: {stderr}");
    assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
}

#[test]
fn the_help_lists_the_exit_codes() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for code in [
        "0 done",
        "64 usage",
        "66 not",
        "69 no",
        "71 system",
        "76 the",
        "77",
        "78 no",
    ] {
        assert!(help.contains(code), "{code} is not in\n{help}");
    }
}

/// Runs a shell script as root of a machine without any portmapper: a network and a `/run` of its
/// own. `$P` is the program. Returns `None` where that is impossible.
fn on_an_empty_machine(script: &str) -> Option<String> {
    if !Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI runs this as root");
        eprintln!("skipped: only root can make a network namespace");
        return None;
    }
    let prepared = format!("ip link set lo up && mount -t tmpfs none /run && {{ {script}\n}}");
    let output = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--",
            "sh",
            "-c",
            &prepared,
        ])
        .env("P", PROGRAM)
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{output:?}");
    Some(text(&output.stdout))
}

#[test]
fn the_doctor_prints_one_object_and_fails_only_for_an_error() {
    let Some(printed) = on_an_empty_machine("$P doctor --json; echo $?") else {
        return;
    };
    let (object, code) = printed.trim_end().rsplit_once('\n').expect("two parts");
    assert_eq!(code, "78", "{printed}");
    let object: Value = serde_json::from_str(object).expect("JSON");
    let first = &object["findings"][0];
    assert_eq!(first["code"], "no-portmapper", "{object}");
    assert_eq!(first["severity"], "error");
    for key in ["what", "why", "fix"] {
        assert!(first[key].is_string(), "{key}: {first}");
    }

    // Without the path, one warning is left.
    let script = "$P serve --log error --no-state --socket @/run/rpcbind.sock &
        until $P list >/dev/null 2>&1; do sleep 0.05; done
        $P doctor; echo $?";
    let printed = on_an_empty_machine(script).expect("root");
    assert!(
        printed.contains("warning: ") && printed.contains("[no-path-socket]"),
        "{printed}"
    );
    assert!(printed.ends_with("\n0\n"), "{printed}");
}

#[test]
fn what_a_portmapper_answers_decides_the_exit_code() {
    let script = "$P serve --log error --no-state &
        until $P list >/dev/null 2>&1; do sleep 0.05; done
        $P list --json >/dev/null; echo list $?
        $P ping 100000 >/dev/null; echo ping $?
        $P ping 100000:9 >/dev/null; echo absent version $?
        $P get 100003 2>/dev/null; echo absent program $?
        $P unset 100000:2 2>/dev/null; echo refused $?
        $P serve --no-state 2>/dev/null; echo taken $?";
    let Some(printed) = on_an_empty_machine(script) else {
        return;
    };
    assert_eq!(
        printed,
        "list 0\nping 0\nabsent version 69\nabsent program 66\nrefused 77\ntaken 69\n"
    );
}
