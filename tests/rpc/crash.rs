//! `kill -9` of our portmapper while programs register: confirmed registrations survive.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::link::Rng;
use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE};
use crate::wire::{Transport, Wire, call, rpcb};

/// The programs that register, in this order.
const PROGRAMS: std::ops::Range<u32> = 0x2000_0000..0x2000_03e8;

/// On average one registration of this many is followed by a kill.
const ONE_IN: u64 = 40;

/// Longer than a registration takes, in microseconds.
const LONGEST: u64 = 400;

const SEED: u64 = 1833;

#[test]
fn exactly_the_confirmed_registrations_survive_a_kill() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let mut random = Rng::new(SEED);
    let mut server = machine.serve("");
    let mut wire = machine.wire(Transport::Unix);
    let mut confirmed = BTreeSet::new();
    let mut kills = 0;
    for program in PROGRAMS {
        wire.send(&set(program)).expect("the portmapper listens");
        if random.below(ONE_IN) > 0 {
            assert!(is_true(&mut wire), "{program:#x}");
            confirmed.insert(program);
            continue;
        }
        kills += 1;
        spin(random.below(LONGEST));
        end(&mut server);
        // A reply sent before the kill counts as a confirmation.
        if is_true(&mut wire) {
            confirmed.insert(program);
        }
        server = machine.serve("");
        wire = machine.wire(Transport::Unix);
        let registered = registered(&machine);
        let context = format!("kill {kills}, while {program:#x} registers, seed {SEED}");
        let lost: Vec<_> = confirmed.difference(&registered).collect();
        assert!(lost.is_empty(), "{context}: {lost:x?} are lost");
        let more: Vec<_> = registered.difference(&confirmed).collect();
        assert!(
            more.is_empty() || more == [&program],
            "{context}: {more:x?} were never confirmed"
        );
        confirmed = registered;
    }
    assert!(kills >= 10, "{kills} kills");
    assert!(confirmed.len() + kills >= PROGRAMS.len());
}

#[test]
fn unregistered_programs_stay_unregistered_after_a_kill() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let mut server = machine.serve("");
    let mut wire = machine.wire(Transport::Unix);
    for program in PROGRAMS.take(200) {
        wire.send(&set(program)).expect("the portmapper listens");
        assert!(is_true(&mut wire));
    }
    let odd = |program: &u32| program % 2 == 1;
    for program in PROGRAMS.take(200).filter(odd) {
        let unset = call(program, 3, 2, &rpcb(program, 1, "", ""));
        wire.send(&unset).expect("the portmapper listens");
        assert!(is_true(&mut wire));
    }
    end(&mut server);
    let _again = machine.serve("");
    let even: BTreeSet<_> = PROGRAMS.take(200).filter(|program| !odd(program)).collect();
    assert_eq!(registered(&machine), even);
}

fn set(program: u32) -> Vec<u8> {
    call(program, 3, 1, &rpcb(program, 1, "udp", "0.0.0.0.7.209"))
}

/// Returns true if the next reply arrives and contains TRUE.
#[track_caller]
fn is_true(wire: &mut Wire) -> bool {
    wire.receive()
        .is_some_and(|reply| reply.ends_with(&[0, 0, 0, 1]))
}

/// The programs in the portmapper's list, except its own.
fn registered(machine: &Machine) -> BTreeSet<u32> {
    let list = machine.ours("list");
    let first = |line: &str| line.split_whitespace().next()?.parse().ok();
    let programs = list.lines().filter_map(first);
    programs.filter(|program| *program != 100_000).collect()
}

fn end(server: &mut Process) {
    let pid = i32::try_from(server.id()).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a running process");
    server.wait(PATIENCE);
}

/// Waits for a time that is too short for a sleep.
fn spin(microseconds: u64) {
    let start = host::now();
    while u64::try_from(start.elapsed().as_micros()).is_ok_and(|elapsed| elapsed < microseconds) {
        std::hint::spin_loop();
    }
}
