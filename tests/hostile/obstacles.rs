//! Entries in the folder that are not regular files: opening a FIFO blocks.

use std::process::Command;
use std::time::Duration;

use tests::lab::{Lab, SERVERS};
use tests::process::Process;
use tests::{host, peers};

#[test]
fn pipes_and_devices_are_refused_without_blocking() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("x", [7; 600]);
    for command in [
        "mkfifo pipe",
        "mknod zero c 1 5",
        "mknod disk b 7 0",
        "mkdir folder",
    ] {
        let mut words = command.split(' ');
        let program = words.next().expect("a word");
        Process::run(
            Command::new(program).args(words).current_dir(lab.root()),
            Duration::from_secs(10),
        );
    }
    let server = lab.serve("--writable --existing replace");
    let mut running = lab.client(SERVERS[0]);
    assert_eq!(running.ask("RRQ x octet"), "DATA 1 len 512");
    let descriptors = server.process().descriptors();
    for name in ["pipe", "zero", "disk", "folder"] {
        for request in ["RRQ", "WRQ"] {
            let mut client = lab.client(SERVERS[3]);
            assert_eq!(
                client.ask(&format!("{request} {name} octet")),
                "ERROR 2 \"Access violation\"",
                "{request} {name}: {}",
                server.output()
            );
        }
    }
    assert_eq!(server.process().descriptors(), descriptors);
    running.send("ACK 1");
    assert_eq!(running.rest(2), [7; 88]);
    assert_eq!(host::files_in(&lab.root()), [lab.root().join("x")]);
    server.stop();
}
