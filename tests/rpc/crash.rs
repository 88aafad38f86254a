//! Our portmapper is killed while programs register: what it has confirmed, it still knows.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::link::Rng;
use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE};
use crate::wire::{Transport, Wire, call, rpcb};

/// The programs that register, one after the other.
const PROGRAMS: std::ops::Range<u32> = 0x2000_0000..0x2000_03e8;

/// One registration in so many is the last one before a kill.
const ONE_IN: u64 = 40;

/// Longer than a registration takes, in microseconds.
const LONGEST: u64 = 400;

const SEED: u64 = 1833;

#[test]
fn what_was_confirmed_before_a_kill_is_there_after_it_and_nothing_else_is() {
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
        wire.send(&set(program)).expect("it listens");
        if random.below(ONE_IN) > 0 {
            assert!(is_true(&mut wire), "{program:#x}");
            confirmed.insert(program);
            continue;
        }
        kills += 1;
        spin(random.below(LONGEST));
        end(&mut server);
        // The reply may have been sent before the end; then it counts.
        if is_true(&mut wire) {
            confirmed.insert(program);
        }
        server = machine.serve("");
        wire = machine.wire(Transport::Unix);
        let known = known(&machine);
        let what = format!("kill {kills}, while {program:#x} registers, seed {SEED}");
        let lost: Vec<_> = confirmed.difference(&known).collect();
        assert!(lost.is_empty(), "{what}: {lost:x?} are lost");
        let more: Vec<_> = known.difference(&confirmed).collect();
        assert!(
            more.is_empty() || more == [&program],
            "{what}: {more:x?} were invented"
        );
        confirmed = known;
    }
    assert!(kills >= 10, "{kills} kills");
    assert!(confirmed.len() + kills >= PROGRAMS.len());
}

#[test]
fn what_was_taken_back_before_a_kill_does_not_come_back() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let mut server = machine.serve("");
    let mut wire = machine.wire(Transport::Unix);
    for program in PROGRAMS.take(200) {
        wire.send(&set(program)).expect("it listens");
        assert!(is_true(&mut wire));
    }
    let odd = |program: &u32| program % 2 == 1;
    for program in PROGRAMS.take(200).filter(odd) {
        let unset = call(program, 3, 2, &rpcb(program, 1, "", ""));
        wire.send(&unset).expect("it listens");
        assert!(is_true(&mut wire));
    }
    end(&mut server);
    let _again = machine.serve("");
    let even: BTreeSet<_> = PROGRAMS.take(200).filter(|program| !odd(program)).collect();
    assert_eq!(known(&machine), even);
}

fn set(program: u32) -> Vec<u8> {
    call(program, 3, 1, &rpcb(program, 1, "udp", "0.0.0.0.7.209"))
}

/// Whether the next reply comes, and says yes.
#[track_caller]
fn is_true(wire: &mut Wire) -> bool {
    wire.receive()
        .is_some_and(|reply| reply.ends_with(&[0, 0, 0, 1]))
}

/// The programs in the portmapper's list, without itself.
fn known(machine: &Machine) -> BTreeSet<u32> {
    let list = machine.ours("list");
    let first = |line: &str| line.split_whitespace().next()?.parse().ok();
    let programs = list.lines().filter_map(first);
    programs.filter(|program| *program != 100_000).collect()
}

fn end(server: &mut Process) {
    let pid = i32::try_from(server.id()).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
    server.wait(PATIENCE);
}

/// Lets time go by that is too short to sleep for.
fn spin(microseconds: u64) {
    let start = host::now();
    while u64::try_from(start.elapsed().as_micros()).is_ok_and(|gone| gone < microseconds) {
        std::hint::spin_loop();
    }
}
