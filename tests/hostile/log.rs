//! A log that cannot be written: a full disk, a pipe without a reader, a pipe whose reader stalls.

use std::fs::OpenOptions;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use tests::lab::{Lab, SERVERS};
use tests::{built, host, peers};

/// The limit for a program to start.
const START: Duration = Duration::from_secs(20);

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The broken logs: name, standard error, and the reader that must stay open.
#[expect(clippy::disallowed_methods, reason = "a device as the log")]
fn broken_logs() -> Vec<(&'static str, Stdio, Option<std::io::PipeReader>)> {
    let full = OpenOptions::new().write(true).open("/dev/full");
    let (gone, closed) = std::io::pipe().expect("descriptors");
    drop(gone);
    let (stalled, stuck) = std::io::pipe().expect("descriptors");
    fcntl(&stuck, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe");
    vec![
        ("a full disk", full.expect("Linux has it").into(), None),
        ("a closed pipe", closed.into(), None),
        ("a stuck pipe", stuck.into(), Some(stalled)),
    ]
}

#[test]
fn the_server_goes_on_when_its_log_cannot_be_written() {
    if !peers::available(&["ip"]) {
        return;
    }
    for (name, log, _reader) in broken_logs() {
        let lab = Lab::new();
        lab.file("x", [7; 600]);
        let mut command = lab.there.command(built::binary("tftpd"));
        command.arg(lab.root()).stderr(log).stdout(Stdio::null());
        let mut server = Ended(command.spawn().expect("it was built"));
        let listens = || lab.there.udp_ports().contains(&69);
        assert!(host::wait_until(START, listens), "{name}: no listener");
        // Each leaves a line of more than 60 bytes, together far more than the pipe holds.
        for number in 0..100 {
            let mut client = lab.client(SERVERS[number % 2]);
            let answer = client.ask(&format!("RRQ missing-{number} octet"));
            assert!(answer.starts_with("ERROR 1"), "{name}: {answer}");
        }
        assert_eq!(lab.client(SERVERS[0]).fetch("x"), [7; 600], "{name}");
        assert!(server.0.try_wait().expect("a child").is_none(), "{name}");
    }
}

#[test]
fn the_portmapper_goes_on_when_its_log_cannot_be_written() {
    if !peers::available(&["ip"]) {
        return;
    }
    for (name, log, _reader) in broken_logs() {
        let lab = Lab::new();
        let mut command: Command = lab.there.command(built::binary("rpc-portmap"));
        command
            .args(["serve", "--log", "debug", "--listen", "127.0.0.1:1111"])
            .arg("--socket")
            .arg(lab.beside().join("portmap.sock"))
            .stderr(log)
            .stdout(Stdio::null());
        let mut server = Ended(command.spawn().expect("it was built"));
        let address = SocketAddr::new(IpAddr::from(Ipv4Addr::LOCALHOST), 1111);
        let accepts = || lab.there.enter(|| TcpStream::connect(address).is_ok());
        assert!(host::wait_until(START, accepts), "{name}: no listener");
        for _ in 0..100 {
            assert!(accepts(), "{name}");
        }
        assert!(server.0.try_wait().expect("a child").is_none(), "{name}");
    }
}
