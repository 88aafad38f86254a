//! Every procedure on every transport, byte for byte, and as tshark dissects it.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use tests::process::Process;
use tests::{host, peers};

use crate::machine::{Machine, PATIENCE, output};
use crate::wire::{Transport, Wire, call, numbers};

/// A call, and the reply on each transport.
struct Case {
    title: String,
    call: Vec<u8>,
    replies: Vec<(String, String)>,
}

const NO_REPLY: &str = "nothing";

/// The port of a program with a NULL procedure only.
const NULL_PROGRAM: u16 = 2001;

#[test]
fn every_procedure_on_every_transport_is_answered_byte_for_byte() {
    if !peers::available(&["ip"]) {
        return;
    }
    let (registrations, cases) = fixture();
    assert_eq!(cases.len(), 60);
    for transport in Transport::ALL {
        let machine = Machine::new();
        let _server = ready(&machine, &registrations);
        replay(&mut machine.wire(transport), transport, &cases);
    }
}

#[test]
fn tshark_dissects_all_replies_as_portmap_without_errors() {
    if !peers::available(&["ip", "tcpdump", "tshark"]) {
        return;
    }
    let (registrations, mut cases) = fixture();
    // The last ones are invalid on purpose.
    let valid = cases
        .iter()
        .position(|case| case.title.starts_with("Version 1"));
    cases.truncate(valid.expect("calls of version 1"));
    let machine = Machine::new();
    let _server = ready(&machine, &registrations);
    let file = machine.folder().join("all.pcap");
    let mut tcpdump = watch(&machine, &file);
    for transport in [
        Transport::Udp,
        Transport::Udp6,
        Transport::Tcp,
        Transport::Tcp6,
    ] {
        let same: Vec<_> = cases
            .iter()
            .filter(|case| !case.title.starts_with("GETSTAT"))
            .collect();
        replay(&mut machine.wire(transport), transport, same);
        let mut wire = machine.wire(transport);
        let statistics = cases.last().expect("the last case");
        assert!(wire.ask(&statistics.call).len() > 200);
    }
    end(&machine, &mut tcpdump, &file);
    let replies = "rpc.msgtyp == 1 && (tcp.port == 111 || udp.port == 111)";
    let all = tshark(&file, replies);
    let dissected = tshark(
        &file,
        &format!("{replies} && (portmap || rpc.state_accept != 0)"),
    );
    assert_eq!(all.lines().count(), dissected.lines().count(), "{all}");
    assert!(all.lines().count() > 180, "{all}");
    let wrong = tshark(&file, "_ws.malformed || _ws.expert.severity >= 6291456");
    assert_eq!(wrong, "");
}

/// A call of every procedure, and invalid calls.
pub(crate) fn calls() -> Vec<Vec<u8>> {
    let (registrations, cases) = fixture();
    let calls = cases.into_iter().map(|case| case.call);
    calls.chain(registrations).collect()
}

/// Sends all calls and compares the replies.
#[track_caller]
fn replay<'a>(wire: &mut Wire, transport: Transport, cases: impl IntoIterator<Item = &'a Case>) {
    for case in cases {
        let context = format!("{} ({transport})", case.title);
        let expected = case.reply(transport);
        if expected == NO_REPLY {
            assert_eq!(wire.ask_optional(&case.call), None, "{context}");
        } else {
            let reply = hex(&wire.ask(&case.call));
            assert_eq!(masked(&reply, expected), *expected, "{context}");
        }
    }
}

/// Starts our portmapper and the program with a NULL procedure, and sends the registrations of the
/// fixture.
#[track_caller]
fn ready(machine: &Machine, registrations: &[Vec<u8>]) -> Process {
    let server = machine.serve("--forward");
    let socket = machine
        .network
        .enter(|| host::udp_socket_at(SocketAddr::from(([0, 0, 0, 0], NULL_PROGRAM))));
    // The thread ends after some time without a call.
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    thread::spawn(move || {
        let mut call = [0; 1024];
        while let Ok((_, caller)) = socket.recv_from(&mut call) {
            let reply = [&call[..4], &numbers(&[1, 0, 0, 0, 0])].concat();
            drop(socket.send_to(&reply, caller));
        }
    });
    let mut wire = machine.wire(Transport::Unix);
    for registration in registrations {
        assert!(wire.ask(registration).ends_with(&[0, 0, 0, 1]));
    }
    server
}

/// The initial registrations, and the calls.
fn fixture() -> (Vec<Vec<u8>>, Vec<Case>) {
    let text = host::read_text(&host::workspace().join("fixtures/rpc/procedures.txt"));
    let mut blocks = text.split("\n\n").skip(1);
    let first = blocks.next().expect("the registrations");
    let registrations = first
        .lines()
        .filter_map(|line| line.strip_prefix("unix > "));
    let registrations = registrations.map(bytes).collect();
    (registrations, blocks.map(case).collect())
}

fn case(block: &str) -> Case {
    let mut lines = block.trim_end().lines();
    let title = lines.next().and_then(|line| line.strip_prefix("# "));
    let call = lines.next().and_then(|line| line.strip_prefix("> "));
    let replies = lines.filter_map(|line| line.split_once(" < "));
    Case {
        title: title.expect("a title").to_owned(),
        call: bytes(call.expect("a call")),
        replies: replies
            .map(|(transports, reply)| (transports.to_owned(), reply.to_owned()))
            .collect(),
    }
}

impl Case {
    /// The expected reply on this transport.
    #[track_caller]
    fn reply(&self, transport: Transport) -> &str {
        let is_for = |names: &str| names.split(',').any(|name| name == transport.name());
        let reply = self.replies.iter().find(|(names, _)| is_for(names));
        let (_, reply) = reply.unwrap_or_else(|| panic!("{}: no {transport}", self.title));
        reply
    }
}

/// Masks the digits of the reply that are dots in the expected one.
fn masked(reply: &str, expected: &str) -> String {
    let dots = expected.chars().map(Some).chain(std::iter::repeat(None));
    let digit = |(digit, expected)| if expected == Some('.') { '.' } else { digit };
    reply.chars().zip(dots).map(digit).collect()
}

#[track_caller]
fn watch(machine: &Machine, file: &std::path::Path) -> Process {
    let mut command = machine.command(peers::path("tcpdump"));
    // The ring buffer has slots of the longest packet: long ones would leave few slots.
    command.args(["-s", "4096", "-B", "16384"]);
    command.args([
        "-n",
        "-U",
        "--immediate-mode",
        "-Z",
        "root",
        "-i",
        "lo",
        "-w",
    ]);
    let tcpdump = Process::start(command.arg(file).arg("port 111"));
    tcpdump.wait_for_line("listening on", PATIENCE);
    tcpdump
}

/// Ends the capture once it holds the reply to one last call.
#[track_caller]
fn end(machine: &Machine, tcpdump: &mut Process, file: &std::path::Path) {
    let last = machine
        .wire(Transport::Udp)
        .ask(&call(0xfeed_beef, 4, 0, &[]));
    let has_last = || {
        let captured = host::read(file);
        captured.windows(last.len()).any(|bytes| bytes == last)
    };
    assert!(host::wait_until(PATIENCE, has_last), "{}", tcpdump.output());
    tcpdump.interrupt();
    tcpdump.wait(PATIENCE);
    let report = tcpdump.output();
    assert!(report.contains("\n0 packets dropped by kernel"), "{report}");
}

/// The lines that tshark prints for a filter, without its warnings.
#[track_caller]
fn tshark(file: &std::path::Path, filter: &str) -> String {
    let mut command = Command::new(peers::path("tshark"));
    command.arg("-r").arg(file).args(["-Y", filter]);
    let text = output(&mut command);
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("Running as user"));
    lines.collect::<Vec<_>>().join("\n")
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |index| u8::from_str_radix(&digits[index..index + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble");
    let digits = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(digits).collect()
}
