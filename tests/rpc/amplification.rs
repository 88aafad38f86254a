//! Amplification over UDP, where source addresses can be forged: at most two bytes are sent for each byte
//! received from a foreign host.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tests::link::Rng;
use tests::netns::Netns;
use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE};
use crate::procedures::calls;
use crate::wire::{PORT, Transport, call, numbers, rpcb};

/// Bytes for one byte, both without the headers of UDP and IP, which are equal in both directions.
const FACTOR: usize = 2;

/// The transaction ID of the call that ends each count.
const LAST: u32 = 0xfeed_beef;

const SEED: u64 = 0x111;

/// The longest time for an answer within the rate limit.
const SOON: Duration = Duration::from_millis(200);

#[test]
fn a_foreign_host_is_sent_at_most_two_bytes_for_one() {
    if !peers::available(&["ip"]) {
        return;
    }
    for arguments in ["", "--forward"] {
        let machine = Machine::new();
        let foreign = machine.foreign_host();
        let _server = with_many_registrations(&machine, arguments);
        for server in [
            IpAddr::from([10, 77, 0, 1]),
            IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 1]),
        ] {
            let server = SocketAddr::new(server, PORT);
            let victims: Vec<_> = questions()
                .into_iter()
                .map(|question| Victim::questioned(&foreign, server, question))
                .collect();
            // Forwarded calls may be answered late, but not later than all the others.
            for mut victim in victims {
                let (spent, received) = victim.totals();
                let question = &victim.question;
                assert!(
                    received <= FACTOR * spent,
                    "{received} for {spent}: {question:02x?}"
                );
            }
        }
    }
}

#[test]
fn lists_are_returned_to_this_machine_and_trusted_networks_only() {
    if !peers::available(&["ip"]) {
        return;
    }
    let too_weak = numbers(&[LAST, 1, 1, 1, 5]);
    for (arguments, is_trusted) in [("", false), ("--trust 10.77.0.0/24", true)] {
        let machine = Machine::new();
        let foreign = machine.foreign_host();
        let _server = with_many_registrations(&machine, arguments);
        let server = SocketAddr::from(([10, 77, 0, 1], PORT));
        let caller = foreign.enter(|| connected(server));
        for (version, procedure, body) in [
            (2, 4, vec![]),
            (3, 4, vec![]),
            (4, 4, vec![]),
            (4, 12, vec![]),
            (4, 11, rpcb(100_000, 4, "udp", "")),
        ] {
            let question = call(LAST, version, procedure, &body);
            caller.send(&question).expect("a route");
            let mut reply = vec![0; 65_536];
            let length = caller.recv(&mut reply).expect("a reply");
            reply.truncate(length);
            assert_eq!(reply == too_weak, !is_trusted, "{version} {procedure}");
            let own = machine.wire(Transport::Udp).ask(&question);
            assert!(own.len() > too_weak.len(), "{version} {procedure}");
        }
    }
}

/// A host whose address is forged, and the calls sent in its name.
struct Victim {
    socket: UdpSocket,
    question: Vec<u8>,
    spent: usize,
    received: usize,
}

impl Victim {
    /// Sends the question and waits until it has been processed. Calls above the rate limit are dropped:
    /// then both are sent again.
    #[track_caller]
    fn questioned(foreign: &Netns, server: SocketAddr, question: Vec<u8>) -> Self {
        let socket = foreign.enter(|| connected(server));
        socket.set_read_timeout(Some(SOON)).expect("a limit");
        let mut victim = Self {
            socket,
            question,
            spent: 0,
            received: 0,
        };
        let processed = host::wait_until(PATIENCE, || victim.ask());
        assert!(processed, "no reply to the last call");
        victim
    }

    /// Sends the question, then the last call; returns true if that was answered.
    fn ask(&mut self) -> bool {
        for datagram in [&self.question, &call(LAST, 2, 0, &[])] {
            self.socket.send(datagram).expect("a route");
        }
        self.spent += self.question.len();
        while let Some(is_last) = self.take() {
            if is_last {
                return true;
            }
        }
        false
    }

    /// Counts one datagram, if one has arrived; returns true for the answer to the last call.
    fn take(&mut self) -> Option<bool> {
        let mut reply = vec![0; 65_536];
        let length = self.socket.recv(&mut reply).ok()?;
        let is_last = reply.starts_with(&LAST.to_be_bytes());
        if !is_last {
            self.received += length;
        }
        Some(is_last)
    }

    /// Returns the bytes sent and received, including late datagrams.
    fn totals(&mut self) -> (usize, usize) {
        self.socket.set_nonblocking(true).expect("a socket");
        while self.take().is_some() {}
        (self.spent, self.received)
    }
}

/// Every procedure, invalid calls, truncated calls, and noise.
fn questions() -> Vec<Vec<u8>> {
    let mut questions = calls();
    let whole = call(1, 4, 11, &rpcb(100_000, 4, "udp", "10.77.0.1.0.111"));
    questions.extend((0..whole.len()).map(|length| whole.iter().copied().take(length).collect()));
    let mut random = Rng::new(SEED);
    for length in 0..200 {
        questions.push(random.bytes(length));
        // Noise after the beginning of a call.
        let mut noise = call(
            length.try_into().expect("small"),
            4,
            3,
            &random.bytes(length),
        );
        let position = 20 + random.below(20);
        let position = usize::try_from(position).expect("small");
        *noise.get_mut(position).expect("within the header") ^= 1 << random.below(8);
        questions.push(noise);
    }
    questions
}

#[track_caller]
fn with_many_registrations(machine: &Machine, arguments: &str) -> Process {
    let server = machine.serve(arguments);
    let mut wire = machine.wire(Transport::Unix);
    for program in 0x2000_0001..0x2000_0100 {
        let set = call(1, 3, 1, &rpcb(program, 1, "udp", "0.0.0.0.7.209"));
        assert!(wire.ask(&set).ends_with(&[0, 0, 0, 1]));
    }
    server
}

fn connected(server: SocketAddr) -> UdpSocket {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from([0; 4]),
        SocketAddr::V6(_) => IpAddr::from([0_u8; 16]),
    };
    let socket = host::udp_socket(any);
    socket.connect(server).expect("a route");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    socket
}
