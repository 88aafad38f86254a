//! Debian's RPC daemons register with our portmapper, are found, and go again: in an orderly manner,
//! or without having said so.

use nix::sys::signal::Signal;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE};

/// A daemon, its program number, and the versions and transports it registers.
struct Daemon {
    name: &'static str,
    arguments: &'static str,
    program: u32,
    versions: &'static [u32],
    netids: &'static [&'static str],
}

const EVERY: &[&str] = &["udp", "tcp", "udp6", "tcp6"];

const DAEMONS: [Daemon; 4] = [
    Daemon {
        name: "rpc.rstatd",
        arguments: "",
        program: 100_001,
        versions: &[1, 2, 3, 5],
        netids: &["udp"],
    },
    Daemon {
        name: "rpc.rusersd",
        arguments: "",
        program: 100_002,
        versions: &[2, 3],
        netids: &["udp"],
    },
    Daemon {
        name: "rpc.statd",
        arguments: "--no-notify",
        program: 100_024,
        versions: &[1],
        netids: EVERY,
    },
    Daemon {
        name: "rpc.mountd",
        arguments: "",
        program: 100_005,
        versions: &[1, 2, 3],
        netids: EVERY,
    },
];

#[test]
fn daemons_register_are_found_and_vanish_after_a_kill() {
    for daemon in DAEMONS {
        if let Some((machine, _running)) = with(&daemon) {
            assert!(
                machine.signal(daemon.name, Signal::SIGKILL),
                "{}",
                daemon.name
            );
            daemon.vanishes(&machine);
        }
    }
}

#[test]
fn daemons_that_are_asked_to_end_take_their_registrations_back() {
    for daemon in DAEMONS {
        if let Some((machine, [portmapper, _running])) = with(&daemon) {
            assert!(
                machine.signal(daemon.name, Signal::SIGTERM),
                "{}",
                daemon.name
            );
            daemon.vanishes(&machine);
            // At its start it may have taken back what was not there.
            let program = format!("program={} ", daemon.program);
            let is_it = |line: &str| {
                line.contains(&program)
                    && line.contains("unregistered")
                    && !line.contains("removed: 0")
            };
            let taken_back = || portmapper.output().lines().any(is_it);
            assert!(host::wait_until(PATIENCE, taken_back), "{}", daemon.name);
        }
    }
}

#[test]
fn a_daemon_that_is_started_again_after_a_kill_registers_its_new_ports() {
    for daemon in DAEMONS {
        if let Some((machine, _running)) = with(&daemon) {
            let before = daemon.lines(&machine);
            assert!(machine.signal(daemon.name, Signal::SIGKILL));
            let _again = machine.daemon(daemon.name, daemon.arguments);
            let is_new = || {
                let after = daemon.lines(&machine);
                after.len() == before.len() && !after.iter().any(|line| before.contains(line))
            };
            assert!(
                host::wait_until(PATIENCE, is_new),
                "{before:#?} {:#?}",
                daemon.lines(&machine)
            );
        }
    }
}

/// A machine with our portmapper and this daemon, after both were looked at.
#[track_caller]
fn with(daemon: &Daemon) -> Option<(Machine, [tests::process::Process; 2])> {
    if !peers::available(&["rpcinfo", daemon.name]) {
        return None;
    }
    let machine = Machine::new();
    let portmapper = machine.serve("--log debug");
    let running = machine.daemon(daemon.name, daemon.arguments);
    daemon.is_found(&machine);
    Some((machine, [portmapper, running]))
}

impl Daemon {
    /// All that it registers is shown by `rpcinfo` and by ours, and answers.
    #[track_caller]
    fn is_found(&self, machine: &Machine) {
        let lines = self.registered(machine);
        for version in self.versions {
            for netid in self.netids {
                let is_it = |line: &&String| {
                    let words: Vec<_> = line.split_whitespace().collect();
                    words.get(1..3) == Some(&[&*version.to_string(), *netid][..])
                };
                assert_eq!(lines.iter().filter(is_it).count(), 1, "{version} {netid}");
            }
        }
        let theirs = machine.rpcinfo("");
        for line in &lines {
            let line = words(line);
            let found = theirs.lines().any(|other| words(other) == line);
            assert!(found, "{line} is not in\n{theirs}");
        }
        let (program, version) = (self.program, self.versions.first().expect("one at least"));
        let pinged = machine.rpcinfo(&format!("-T udp 127.0.0.1 {program} {version}"));
        assert!(pinged.contains("ready and waiting"), "{pinged}");
    }

    /// Nobody is told any more where it was.
    #[track_caller]
    fn vanishes(&self, machine: &Machine) {
        let gone = || self.lines(machine).is_empty();
        assert!(
            host::wait_until(PATIENCE, gone),
            "{:#?}",
            self.lines(machine)
        );
        let netid = self.netids.first().expect("one at least");
        let asked = machine.rpcinfo(&format!("-T {netid} 127.0.0.1 {}", self.program));
        assert!(asked.contains("Program not registered"), "{asked}");
    }

    /// Its registrations once they are complete: some daemons register from the background.
    #[track_caller]
    fn registered(&self, machine: &Machine) -> Vec<String> {
        let expected = self.versions.len() * self.netids.len();
        let complete = || self.lines(machine).len() == expected;
        let lines = host::wait_until(PATIENCE, complete).then(|| self.lines(machine));
        lines.unwrap_or_else(|| panic!("{}: {:#?}", self.name, self.lines(machine)))
    }

    /// What our command line lists of it.
    fn lines(&self, machine: &Machine) -> Vec<String> {
        let program = self.program.to_string();
        let all = machine.ours("list");
        let own = all
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(&program));
        own.map(str::to_owned).collect()
    }
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
