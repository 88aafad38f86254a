//! Malformed calls and misbehaving callers: each is answered or dropped, other callers are served, and
//! memory does not grow.

use std::io::Write as _;
use std::time::Duration;

use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE};
use crate::wire::{Transport, Wire, call, fragment, numbers, record, rpcb};

/// The allowed growth of memory, in bytes: buffers, and pages the allocator keeps.
const FLAT: u64 = 4 << 20;

/// Longer than a caller waits for another one with our portmapper; with rpcbind it is seconds.
const SOON: Duration = Duration::from_secs(1);

const STREAMS: [Transport; 4] = [
    Transport::Tcp,
    Transport::Tcp6,
    Transport::Unix,
    Transport::Abstract,
];

const XID: u32 = 0x0bad_0bad;

#[test]
fn truncated_calls_are_answered_and_datagrams_that_are_no_calls_are_not() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let _server = machine.serve("");
    let getaddr = call(XID, 4, 3, &rpcb(100_000, 4, "udp", ""));
    let garbage = numbers(&[XID, 1, 0, 0, 0, 4]);
    for transport in [Transport::Udp, Transport::Udp6] {
        let mut wire = machine.wire(transport);
        for length in 0..getaddr.len() {
            let reply = wire.ask_optional(&getaddr[..length]);
            let expected = (length >= 8).then(|| garbage.clone());
            assert_eq!(reply, expected, "{length} bytes by {transport}");
        }
        let mut reply = getaddr.clone();
        reply[7] = 1;
        assert_eq!(wire.ask_optional(&reply), None, "a reply by {transport}");
        let trailing = [&call(XID, 2, 0, &[])[..], &[0xff; 9000]].concat();
        assert_eq!(wire.ask(&trailing), numbers(&[XID, 1, 0, 0, 0, 0]));
    }
}

#[test]
fn records_in_any_number_of_fragments_are_answered() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let _server = machine.serve("");
    let null = call(XID, 2, 0, &[]);
    let (single, last) = null.split_at(null.len() - 1);
    let bytes: Vec<_> = single
        .iter()
        .map(|byte| fragment(&[*byte], false))
        .collect();
    let in_bytes = [bytes.concat(), fragment(last, true)].concat();
    let with_empty = [
        fragment(&[], false),
        fragment(&null, false),
        fragment(&[], true),
    ]
    .concat();
    for transport in STREAMS {
        let mut wire = machine.wire(transport);
        for whole in [&record(&null), &in_bytes, &with_empty] {
            wire.send_raw(whole).expect("the portmapper listens");
            assert_eq!(
                wire.receive(),
                Some(numbers(&[XID, 1, 0, 0, 0, 0])),
                "{transport}"
            );
        }
        for byte in record(&null) {
            wire.send_raw(&[byte]).expect("the portmapper listens");
        }
        assert_eq!(
            wire.receive(),
            Some(numbers(&[XID, 1, 0, 0, 0, 0])),
            "{transport}"
        );
        assert_eq!(
            wire.ask_optional(&[]),
            None,
            "an empty record by {transport}"
        );
    }
}

#[test]
fn streams_that_announce_too_long_records_are_closed_and_others_are_served() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let server = machine.serve("");
    let before = server.memory();
    let too_long = (64_u32 << 10) + 1;
    let announced =
        [u32::MAX, 0x7fff_ffff, too_long, too_long | 1 << 31].map(|header| numbers(&[header]));
    let second = [fragment(&[0; 40], false), numbers(&[u32::MAX])].concat();
    let empty = vec![0; 4 * 1025];
    for transport in STREAMS {
        let mut other = machine.wire(transport);
        for bytes in announced.iter().chain([&second, &empty]) {
            let mut wire = machine.wire(transport);
            wire.send_raw(bytes).expect("the portmapper listens");
            assert_eq!(wire.receive(), None, "{bytes:02x?} by {transport}");
            assert_served(&mut other);
        }
    }
    assert_flat(&server, before);
}

#[test]
fn lookups_of_a_hundred_thousand_absent_programs_leave_no_trace() {
    const BATCH: u32 = 1000;
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let server = machine.serve("");
    let mut wire = machine.wire(Transport::Tcp);
    let mut statistics = machine.wire(Transport::Unix);
    let mut look_up = |batch: u32| {
        let calls = (batch * BATCH..(batch + 1) * BATCH).map(|number| {
            let program = 0x4000_0000 + number;
            match number % 2 {
                0 => record(&call(number, 2, 3, &numbers(&[program, 1, 17, 0]))),
                _ => record(&call(number, 4, 3, &rpcb(program, 1, "tcp", ""))),
            }
        });
        wire.send_raw(&calls.collect::<Vec<_>>().concat())
            .expect("the portmapper listens");
        for number in batch * BATCH..(batch + 1) * BATCH {
            let absent = numbers(&[number, 1, 0, 0, 0, 0, 0]);
            assert_eq!(wire.receive(), Some(absent));
        }
    };
    let mut counted = || statistics.ask(&call(XID, 4, 12, &[])).len();
    look_up(0);
    let (before, counters) = (server.memory(), counted());
    (1..=100).for_each(&mut look_up);
    assert_flat(&server, before);
    assert_eq!(counted(), counters, "GETSTAT has grown");
}

#[test]
fn a_client_that_never_reads_does_not_delay_others() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    let server = machine.serve("");
    let mut unix = machine.wire(Transport::Unix);
    for program in 0x2000_0000..0x2000_07d0 {
        let set = call(program, 3, 1, &rpcb(program, 1, "udp", "127.0.0.1.7.209"));
        assert!(unix.ask(&set).ends_with(&[0, 0, 0, 1]));
    }
    let before = server.memory();
    let dump = record(&call(XID, 4, 4, &[]));
    let blocked: Vec<_> = (0..8).map(|_| never_reading(&machine, &dump)).collect();
    for transport in Transport::ALL {
        let mut wire = machine.wire(transport);
        wire.set_limit(SOON);
        for _ in 0..100 {
            assert_served(&mut wire);
        }
    }
    // A reply to each, half a megabyte at most, may be buffered.
    let grown = server.memory().saturating_sub(before);
    assert!(grown < FLAT + 8 * (512 << 10), "{grown} bytes more");
    drop(blocked);
}

#[test]
fn when_descriptors_run_out_idle_connections_are_closed_for_new_ones() {
    if !peers::available(&["ip"]) {
        return;
    }
    let machine = Machine::new();
    for (by, most) in [(&["prlimit", "--nofile=64", "--"][..], 64), (&[], 850)] {
        let server = machine.launch(by, "");
        let mut old = machine.wire(Transport::Unix);
        assert_served(&mut old);
        // Each sends the beginning of a record only.
        let half_open: Vec<_> = (0..1000)
            .map(|_| {
                let mut wire = machine.wire(Transport::Tcp);
                // The portmapper may have closed the connection already.
                drop(wire.send_raw(&record(&call(XID, 2, 0, &[]))[..20]));
                wire
            })
            .collect();
        for transport in Transport::ALL {
            // Earlier connections may still be in the backlog, each to be accepted and closed.
            let mut wire = machine.wire(transport);
            assert_eq!(
                wire.ask(&call(XID, 2, 0, &[])),
                numbers(&[XID, 1, 0, 0, 0, 0])
            );
            assert_served(&mut wire);
        }
        // Unix connections are not closed.
        assert_served(&mut old);
        let held = server.descriptors();
        assert!(held <= most, "{held} descriptors");
        assert!(server.memory() < 40 << 20, "{} bytes", server.memory());
        drop(half_open);
        let few = || server.descriptors() < 30;
        drop(old);
        assert!(
            host::wait_until(PATIENCE, few),
            "{} are open",
            server.descriptors()
        );
    }
}

/// Sends calls over a new connection until its buffers are full, and reads no reply.
#[track_caller]
fn never_reading(machine: &Machine, call: &[u8]) -> Wire {
    let wire = machine.wire(Transport::Tcp);
    let Wire::Tcp(stream) = &wire else {
        panic!("a TCP connection")
    };
    stream
        .set_write_timeout(Some(Duration::from_millis(100)))
        .expect("a limit");
    let many = call.repeat(1000);
    let mut stream = stream;
    // The first timeout of a write shows that all buffers are full.
    while stream.write_all(&many).is_ok() {}
    wire
}

#[track_caller]
fn assert_served(wire: &mut Wire) {
    let start = host::now();
    assert_eq!(
        wire.ask(&call(XID, 2, 0, &[])),
        numbers(&[XID, 1, 0, 0, 0, 0])
    );
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[track_caller]
fn assert_flat(server: &Process, before: u64) {
    let grown = server.memory().saturating_sub(before);
    assert!(grown < FLAT, "{grown} bytes more");
}
