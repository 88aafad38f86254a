//! Debian's `rpcinfo` prints of our portmapper what it prints of rpcbind.

use std::collections::BTreeSet;
use std::thread;

use tests::netns::Netns;
use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE, said};

const PEERS: [&str; 5] = [
    "rpcbind",
    "rpcinfo",
    "rpc.rstatd",
    "rpc.rusersd",
    "rpc.mountd",
];

/// What is asked, in this order. The second to last changes what the last one shows.
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
fn rpcinfo_prints_the_same_as_of_rpcbind() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, theirs] =
        both(|machine, _| QUESTIONS.map(|question| without_ports(&machine.rpcinfo(question))));
    let ready = ours
        .iter()
        .filter(|text| text.contains("ready and waiting"));
    assert!(ready.count() >= 8, "{ours:?}");
    for (question, (ours, theirs)) in QUESTIONS.iter().zip(ours.iter().zip(&theirs)) {
        assert_eq!(ours, theirs, "rpcinfo {question}");
    }
}

#[test]
fn rpcinfo_counts_the_same_calls_as_of_rpcbind() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, theirs] = both(|machine, _| {
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
    assert_eq!(ours, theirs);
}

#[test]
fn rpcinfo_finds_by_broadcast_what_it_finds_through_rpcbind() {
    if !peers::available(&PEERS) {
        return;
    }
    let [ours, theirs] = both(|_, neighbour| {
        let mut command = neighbour.command(peers::path("rpcinfo"));
        different(&without_ports(&said(command.args(["-b", "100002", "3"]))))
    });
    assert!(
        theirs
            .first()
            .is_some_and(|line| line.starts_with("10.77.0.1.PORT")),
        "{theirs:?}"
    );
    // Over IPv6 rpcbind finds nothing: it joins the group ff02::202 with a socket that it closes.
    assert!(ours.is_superset(&theirs), "{ours:?}");
    let over_ipv6 = |line: &String| line.starts_with("fd77::1.PORT");
    assert!(ours.iter().any(over_ipv6), "{ours:?}");
}

/// What is found on a machine with our portmapper, and on one with rpcbind, that have the same daemons.
#[track_caller]
fn both<T: Send>(look: impl Fn(&Machine, &Netns) -> T + Sync) -> [T; 2] {
    let ours = || with_daemons(|machine| machine.serve("--forward"), &look);
    let theirs = || with_daemons(|machine| machine.rpcbind("-r"), &look);
    thread::scope(|scope| {
        let ours = scope.spawn(ours);
        let theirs = scope.spawn(theirs);
        [ours, theirs].map(|side| {
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
    let neighbour = machine.neighbour();
    let _portmapper = portmapper(&machine);
    // Some register from the background; one waits for the other, so that all lists have one order.
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
    look(&machine, &neighbour)
}

/// The words of each line, with every port but the portmapper's replaced.
fn without_ports(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(without_port).collect();
        words.join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The different lines: a broadcast is repeated and answered each time.
fn different(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// `0.0.0.0.3.210` becomes `0.0.0.0.PORT`, and `978` in the column of ports `PORT`.
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

/// The statistics as sorted lines: which program was asked for first is no matter, nor how often
/// it was looked whether the daemons are ready.
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
