//! Debian's RPC daemons register with our portmapper, are found, and end: in an orderly manner, or by a
//! kill.

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
fn daemons_register_are_found_and_are_removed_after_a_kill() {
    for daemon in DAEMONS {
        if let Some((machine, _running)) = with(&daemon) {
            assert!(
                machine.signal(daemon.name, Signal::SIGKILL),
                "{}",
                daemon.name
            );
            daemon.assert_removed(&machine);
        }
    }
}

#[test]
fn daemons_that_are_terminated_unregister() {
    for daemon in DAEMONS {
        if let Some((machine, [portmapper, _running])) = with(&daemon) {
            assert!(
                machine.signal(daemon.name, Signal::SIGTERM),
                "{}",
                daemon.name
            );
            daemon.assert_removed(&machine);
            // At its start the daemon may have unregistered absent entries.
            let program = format!("program={} ", daemon.program);
            let is_it = |line: &str| {
                line.contains(&program)
                    && line.contains("unregistered")
                    && !line.contains("removed: 0")
            };
            let unregistered = || portmapper.output().lines().any(is_it);
            assert!(host::wait_until(PATIENCE, unregistered), "{}", daemon.name);
        }
    }
}

#[test]
fn a_daemon_that_is_restarted_after_a_kill_registers_its_new_ports() {
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

/// Starts a machine with our portmapper and this daemon, and checks the registrations.
#[track_caller]
fn with(daemon: &Daemon) -> Option<(Machine, [tests::process::Process; 2])> {
    if !peers::available(&["rpcinfo", daemon.name]) {
        return None;
    }
    let machine = Machine::new();
    let portmapper = machine.serve("--log debug");
    let running = machine.daemon(daemon.name, daemon.arguments);
    daemon.assert_found(&machine);
    Some((machine, [portmapper, running]))
}

impl Daemon {
    /// Asserts that `rpcinfo` and our command line list all its registrations, and that it answers.
    #[track_caller]
    fn assert_found(&self, machine: &Machine) {
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
        let listed = machine.rpcinfo("");
        for line in &lines {
            let line = words(line);
            let found = listed.lines().any(|other| words(other) == line);
            assert!(found, "{line} is not in\n{listed}");
        }
        let (program, version) = (self.program, self.versions.first().expect("one at least"));
        let pinged = machine.rpcinfo(&format!("-T udp 127.0.0.1 {program} {version}"));
        assert!(pinged.contains("ready and waiting"), "{pinged}");
    }

    /// Asserts that its registrations are removed.
    #[track_caller]
    fn assert_removed(&self, machine: &Machine) {
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

    /// Waits for its registrations to be complete: some daemons register from the background.
    #[track_caller]
    fn registered(&self, machine: &Machine) -> Vec<String> {
        let expected = self.versions.len() * self.netids.len();
        let complete = || self.lines(machine).len() == expected;
        let lines = host::wait_until(PATIENCE, complete).then(|| self.lines(machine));
        lines.unwrap_or_else(|| panic!("{}: {:#?}", self.name, self.lines(machine)))
    }

    /// The lines of our command line's list for it.
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
