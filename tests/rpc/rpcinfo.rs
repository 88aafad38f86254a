//! Debian's `rpcinfo` prints the same for our portmapper as for rpcbind.

use std::collections::BTreeSet;
use std::thread;

use tests::netns::Netns;
use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE, output};

const PEERS: [&str; 5] = [
    "rpcbind",
    "rpcinfo",
    "rpc.rstatd",
    "rpc.rusersd",
    "rpc.mountd",
];

/// The arguments, in this order. The second to last changes the result of the last one.
const QUESTIONS: [&str; 28] = [
    "",
    "-s",
    "-p",
    "127.0.0.1",
    "-s 127.0.0.1",
    "-p 127.0.0.1",
    "-s ::1",
    "-l 127.0.0.1 100005 3",
    "-l 127.0.0.1 100001 2",
    "-l 127.0.0.1 400000 1",
    "-l ::1 100005 3",
    "-T udp 127.0.0.1 100002",
    "-T udp 127.0.0.1 100001 1",
    "-T udp 127.0.0.1 100002 77",
    "-T tcp 127.0.0.1 100005",
    "-T tcp6 ::1 100005 3",
    "-T udp6 ::1 100005 1",
    "-T udp 127.0.0.1 100000",
    "-T tcp 127.0.0.1 100000 2",
    "-T tcp6 ::1 100000",
    "-T tcp 127.0.0.1 400000",
    "-u 127.0.0.1 rusersd 2",
    "-u 127.0.0.1 100005 9",
    "-t 127.0.0.1 100005 3",
    "-t 127.0.0.1 100001",
    "-t 127.0.0.1 portmapper",
    "-d 100005 2",
    "-s",
];

#[test]
fn rpcinfo_prints_the_same_for_both_portmappers() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, rpcbind] =
        both(|machine, _| QUESTIONS.map(|question| without_ports(&machine.rpcinfo(question))));
    let ready = ours
        .iter()
        .filter(|text| text.contains("ready and waiting"));
    assert!(ready.count() >= 8, "{ours:?}");
    for (question, (ours, rpcbind)) in QUESTIONS.iter().zip(ours.iter().zip(&rpcbind)) {
        assert_eq!(ours, rpcbind, "rpcinfo {question}");
    }
}

#[test]
fn rpcinfo_shows_the_same_call_counts_for_both_portmappers() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, rpcbind] = both(|machine, _| {
        for question in [
            "-p",
            "-s",
            "-T udp 127.0.0.1 100002",
            "-d 100005 2",
            "-l ::1 100005 3",
        ] {
            machine.rpcinfo(question);
        }
        ["-m", "-m 127.0.0.1"].map(|question| counts(&machine.rpcinfo(question)))
    });
    assert_eq!(ours, rpcbind);
}

#[test]
fn a_broadcast_by_rpcinfo_finds_the_same_services_as_with_rpcbind() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, rpcbind] = both(|_, foreign| {
        let mut command = foreign.command(peers::path("rpcinfo"));
        different(&without_ports(&output(command.args(["-b", "100002", "3"]))))
    });
    assert!(
        rpcbind
            .first()
            .is_some_and(|line| line.starts_with("10.77.0.1.PORT")),
        "{rpcbind:?}"
    );
    // Over IPv6 rpcbind finds nothing: it joins the group ff02::202 with a socket that it closes.
    assert!(ours.is_superset(&rpcbind), "{ours:?}");
    // A client asks from its link-local address, once duplicate address detection has confirmed it.
    let over_ipv6 = |line: &String| line.starts_with("fd77::1.PORT") || line.starts_with("fe80::");
    assert!(ours.iter().any(over_ipv6), "{ours:?}");
}

/// Runs `look` on a machine with our portmapper and on one with rpcbind, with the same daemons.
#[track_caller]
fn both<T: Send>(look: impl Fn(&Machine, &Netns) -> T + Sync) -> [T; 2] {
    let ours = || with_daemons(|machine| machine.serve("--forward"), &look);
    let rpcbind = || with_daemons(|machine| machine.rpcbind("-r"), &look);
    thread::scope(|scope| {
        let ours = scope.spawn(ours);
        let rpcbind = scope.spawn(rpcbind);
        [ours, rpcbind].map(|side| {
            side.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

#[track_caller]
fn with_daemons<T>(
    portmapper: impl Fn(&Machine) -> Process,
    look: impl Fn(&Machine, &Netns) -> T,
) -> T {
    let machine = Machine::new();
    let foreign = machine.foreign_host();
    let _portmapper = portmapper(&machine);
    // Some register from the background; each start waits for the one before, so that all lists have
    // the same order.
    let daemons = [
        ("rpc.rstatd", "100001", 4),
        ("rpc.rusersd", "100002", 2),
        ("rpc.mountd", "100005", 12),
    ];
    let _daemons = daemons.map(|(name, program, registrations)| {
        let daemon = machine.daemon(name, "");
        let is_own = |line: &&str| line.split_whitespace().next() == Some(program);
        let ready = || machine.rpcinfo("").lines().filter(is_own).count() == registrations;
        assert!(
            host::wait_until(PATIENCE, ready),
            "{name} has not registered"
        );
        daemon
    });
    look(&machine, &foreign)
}

/// Replaces every port but the portmapper's, and joins words by single spaces.
fn without_ports(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(without_port).collect();
        words.join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The set of lines: a broadcast is repeated and answered each time.
fn different(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Turns `0.0.0.0.3.210` into `0.0.0.0.PORT`, and `978` in the column of ports into `PORT`.
fn without_port(word: &str) -> String {
    if word.ends_with(".0.111") || word.contains('/') {
        return word.to_owned();
    }
    let octet = |part: &str| part.parse::<u8>().is_ok();
    let mut parts = word.rsplitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(low), Some(high), Some(host)) if octet(low) && octet(high) => format!("{host}.PORT"),
        _ => match word.parse::<u32>() {
            Ok(600..=65_535) => "PORT".to_owned(),
            _ => word.to_owned(),
        },
    }
}

/// The statistics as sorted lines: the order of programs is ignored, and so is the number of dumps,
/// which depends on the polling for the daemons.
fn counts(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, _, dumps, forwarded, _, _, _] = &mut words[..]
            && forwarded.contains('/')
        {
            *dumps = "DUMPS";
        }
        words.join(" ")
    };
    let mut lines: Vec<_> = text.lines().map(line).collect();
    lines.sort();
    lines
}
