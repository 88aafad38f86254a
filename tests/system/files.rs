//! Files below the server's folder: without permission, changed during a transfer, with names in
//! another case, and on a full disk.

use std::path::PathBuf;
use std::process::Command;

use tests::lab::{Lab, SERVERS};
use tests::server::Server;
use tests::{built, host, peers};

#[test]
fn a_file_without_read_permission_is_refused_with_error_2() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    for name in ["secret", "closed/x"] {
        lab.file(name, "s");
    }
    for path in ["secret", "closed"] {
        forbid(&lab.root().join(path));
    }
    let mut command = lab.there.command("setpriv");
    // The owner of the files, but without the capabilities by which root bypasses permissions.
    command
        .args([
            "--bounding-set=-all,+net_bind_service",
            "--pdeathsig=KILL",
            "--",
        ])
        .arg(built::binary("tftpd"))
        .arg(lab.root());
    let server = Server::launch(&mut command);
    for name in ["secret", "closed/x"] {
        let mut client = lab.client(SERVERS[0]);
        assert_eq!(
            client.ask(&format!("RRQ {name} octet")),
            "ERROR 2 \"Access violation\"",
            "{name}: {}",
            server.output()
        );
    }
    let log = server.stop();
    assert_eq!(
        log.matches("this user may not read the file").count(),
        2,
        "{log}"
    );
}

/// Removes all permissions.
#[track_caller]
fn forbid(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let none = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(path, none).expect("a file of the test");
}

#[test]
fn with_ignore_case_names_match_in_any_case() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    lab.file("boot/bcd", "store");
    for (arguments, expected) in [
        ("--ignore-case", "DATA 1 len 5"),
        ("", "ERROR 1 \"File not found\""),
    ] {
        let server = lab.serve(arguments);
        let mut client = lab.client(SERVERS[0]);
        let mut asked = Vec::from(*b"\0\x01");
        asked.extend(b"\\Boot\\BCD\0octet\0");
        client.send_bytes(&asked, std::net::SocketAddr::new(SERVERS[0], 69));
        assert_eq!(client.receive_text(), expected, "{arguments}");
        client.send("ACK 1");
        server.stop();
    }
}

#[test]
fn a_file_that_is_replaced_is_sent_with_its_old_content() {
    let Some((lab, path, server)) = serving_x() else {
        return;
    };
    let mut old = lab.client(SERVERS[0]);
    assert_eq!(old.ask("RRQ x octet"), "DATA 1 len 512");
    host::rename(&lab.file("new", [2; 700]), &path);
    assert_eq!(lab.client(SERVERS[3]).fetch("x"), [2; 700]);
    old.send("ACK 1");
    assert_eq!(old.rest(2), [1; 588], "{}", server.output());
    server.stop();
}

#[test]
fn a_file_that_grows_is_sent_with_the_announced_size() {
    let Some((lab, path, server)) = serving_x() else {
        return;
    };
    let mut client = lab.client(SERVERS[0]);
    assert_eq!(client.ask("RRQ x octet tsize=0"), "OACK tsize=1100");
    host::append(&path, &[2; 3000]);
    client.send("ACK 0");
    assert_eq!(client.rest(1), [1; 1100]);
    server.stop();
}

#[test]
fn a_file_that_shrinks_ends_its_transfer_with_an_error() {
    let Some((lab, path, server)) = serving_x() else {
        return;
    };
    let mut client = lab.client(SERVERS[0]);
    assert_eq!(client.ask("RRQ x octet"), "DATA 1 len 512");
    host::write(&path, [2; 600]);
    let answer = client.ask("ACK 1");
    assert!(answer.starts_with("ERROR 0 "), "{answer}");
    let line = server.wait_for_line("failed");
    assert!(line.contains("the file became shorter"), "{line}");
    server.stop();
}

/// Starts a server of a file `x` of 1100 bytes; returns `None` if the test is skipped.
#[track_caller]
fn serving_x() -> Option<(Lab, PathBuf, Server)> {
    peers::available(&["ip"]).then(|| {
        let lab = Lab::new();
        let path = lab.file("x", [1; 1100]);
        let server = lab.serve("");
        (lab, path, server)
    })
}

#[test]
fn a_full_disk_is_reported_and_no_partial_file_is_left() {
    if !peers::available(&["ip"]) {
        return;
    }
    let lab = Lab::new();
    let server = Server::launch(&mut on_a_small_disk(&lab));
    // An announced size is refused before the first block.
    let mut announcing = lab.client(SERVERS[0]);
    assert_eq!(
        announcing.ask("WRQ big octet tsize=1000000 blksize=1400"),
        "ERROR 3 \"Disk full or allocation exceeded\"",
        "{}",
        server.output()
    );
    let mut other = lab.client(SERVERS[3]);
    assert_eq!(other.ask("WRQ big octet blksize=1400"), "OACK blksize=1400");
    let full = (1_u16..1000)
        .map(|block| (block, other.ask(&format!("DATA {block} len 1400"))))
        .find(|(block, answer)| *answer != format!("ACK {block}"));
    let (block, answer) = full.expect("a full disk");
    assert_eq!(answer, "ERROR 3 \"Disk full or allocation exceeded\"");
    assert!((40..=100).contains(&block), "full after {block} blocks");
    let line = server.wait_for_line("failed");
    assert!(line.contains("disk-full"), "{line}");
    let inside = PathBuf::from(format!("/proc/{}/root", server.process().id()));
    let root = lab.root();
    let seen = inside.join(root.strip_prefix("/").expect("an absolute path"));
    let nothing_is_left = || host::files_in(&seen).is_empty();
    assert!(
        host::wait_until(std::time::Duration::from_secs(5), nothing_is_left),
        "{:?}",
        host::files_in(&seen)
    );
    server.stop();
}

/// Returns the command of our server with a file system of 100 KiB over its folder, in a mount namespace
/// of its own.
fn on_a_small_disk(lab: &Lab) -> Command {
    let mut command = lab.there.command("unshare");
    command
        .args(["--mount", "--", "sh", "-c"])
        .arg("mount -t tmpfs -o size=100k disk \"$2\" && exec \"$1\" \"$2\" --writable")
        .arg("sh")
        .arg(built::binary("tftpd"))
        .arg(lab.root());
    command
}
