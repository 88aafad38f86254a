//! The binary `tftp` from outside: texts, files, exit codes.

#![expect(clippy::disallowed_methods, reason = "tests make files")]

#[path = "../common/mod.rs"]
mod common;

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use common::{allocator, receive, serve, socket};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tftpd::{Server, backend::Memory};

#[test]
fn help_is_that_of_the_snapshots_and_fits_a_screen() {
    for (arguments, written) in [
        (&["-h"][..], include_str!("tftp.txt")),
        (&["get", "-h"], include_str!("tftp-get.txt")),
        (&["put", "-h"], include_str!("tftp-put.txt")),
        (&["probe", "-h"], include_str!("tftp-probe.txt")),
    ] {
        let output = tftp(Path::new("."), arguments);
        assert_eq!(text(&output.stdout), written, "tftp {arguments:?}");
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), "")
        );
        assert!(written.lines().count() <= 25, "{arguments:?}");
    }
}

#[test]
fn a_file_is_sent_and_fetched() {
    with_server(|server, here| {
        fs::write(here.join("image"), content(100_000)).expect("written");
        let output = tftp(here, &["put", "image", &url(server, "up/image")]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(stderr.starts_with("image: 100000 bytes in ") && stderr.contains(" to 127.0.0.1:"));
        assert_eq!(
            (stderr.lines().count(), text(&output.stdout).as_str()),
            (1, "")
        );

        let output = tftp(here, &["get", &url(server, "up/image"), "-o", "back"]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(
            stderr.starts_with("back: 100000 bytes in ") && stderr.contains(" from 127.0.0.1:")
        );
        assert_eq!(stderr.lines().count(), 1);
        assert!(fs::read(here.join("back")).expect("there") == content(100_000));
        assert_eq!(names(here), ["back", "image"]);
    });
}

#[test]
fn tftp_hpas_command_line_works_as_in_tftp_hpa_and_prints_as_little() {
    with_server(|server, here| {
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        fs::write(here.join("x"), "hpa\n").expect("written");
        for line in [
            &["-c", "put", "x"][..],
            &["-m", "binary", "-c", "get", "x", "y"],
            &["-m", "ascii", "-c", "get", "x", "z"],
        ] {
            let output = tftp(here, &[&[host.as_str(), port.as_str()], line].concat());
            assert_eq!(output.status.code(), Some(0), "{line:?}");
            assert_eq!(text(&output.stderr), "", "{line:?}");
        }
        for name in ["y", "z"] {
            assert_eq!(fs::read(here.join(name)).expect("there"), b"hpa\n");
        }
        let output = tftp(here, &["-v", &host, &port, "-c", "get", "x", "y"]);
        assert!(text(&output.stderr).starts_with("y: 4 bytes in "));
        let output = tftp(here, &[&host, &port, "-c", "get", "missing"]);
        assert_eq!(output.status.code(), Some(66));
    });
}

#[test]
fn standard_input_and_output_are_files_too() {
    with_server(|server, here| {
        let mut put = command(here, &["put", "-", &url(server, "piped"), "--quiet"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut stdin = put.stdin.take().expect("piped");
        stdin.write_all(b"from a pipe").expect("taken");
        drop(stdin);
        let output = put.wait_with_output().expect("ends");
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), "")
        );

        let output = tftp(here, &["get", &url(server, "piped"), "-o", "-", "-q"]);
        assert_eq!(text(&output.stdout), "from a pipe");
        assert_eq!(text(&output.stderr), "");

        let output = tftp(here, &["put", "-", &url(server, "")]);
        assert_eq!(output.status.code(), Some(64));
        assert!(text(&output.stderr).contains("has no file name"));
    });
}

#[test]
fn a_put_that_is_refused_does_not_wait_for_its_input() {
    let closed = socket().local_addr().expect("bound");
    let mut put = command(Path::new("."), &["put", "-", &url(closed, "x")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    // The pipe stays open and empty.
    let stdin = put.stdin.take();
    assert_eq!(put.wait().expect("ends").code(), Some(69));
    drop(stdin);
}

#[test]
fn a_missing_name_is_taken_from_the_other_argument() {
    with_server(|server, here| {
        fs::write(here.join("a b"), "1").expect("written");
        fs::create_dir(here.join("folder")).expect("made");
        assert_eq!(code(here, &["put", "a b", &url(server, "up/")]), Some(0));
        assert_eq!(
            code(here, &["put", "a b", &format!("tftp://{server}")]),
            Some(0)
        );
        assert_eq!(
            code(here, &["get", &url(server, "up/a%20b"), "-o", "folder"]),
            Some(0)
        );
        assert_eq!(names(&here.join("folder")), ["a b"]);
        assert_eq!(code(here, &["get", &format!("tftp://{server}")]), Some(64));
    });
}

#[test]
fn a_file_is_replaced_only_by_a_whole_one_and_a_device_or_a_link_never() {
    with_server(|server, here| {
        fs::write(here.join("new"), "new").expect("written");
        assert_eq!(code(here, &["put", "new", &url(server, "new")]), Some(0));
        fs::write(here.join("old"), "old").expect("written");
        symlink("old", here.join("link")).expect("made");

        assert_eq!(
            code(here, &["get", &url(server, "missing"), "-o", "old"]),
            Some(66)
        );
        assert_eq!(fs::read(here.join("old")).expect("there"), b"old");
        assert_eq!(
            code(here, &["get", &url(server, "new"), "-o", "link"]),
            Some(0)
        );
        assert_eq!(fs::read(here.join("old")).expect("there"), b"new");
        assert!(
            fs::symlink_metadata(here.join("link"))
                .expect("there")
                .is_symlink()
        );
        assert_eq!(
            code(here, &["get", &url(server, "new"), "-o", "/dev/null"]),
            Some(0)
        );
        let null = fs::metadata("/dev/null").expect("there");
        assert!(null.file_type().is_char_device());
        assert_eq!(names(here), ["link", "new", "old"]);
    });
}

#[test]
fn line_ends_are_translated_on_request() {
    with_server(|server, here| {
        fs::write(here.join("text"), "one\ntwo\r\n").expect("written");
        assert_eq!(
            code(here, &["put", "text", &url(server, "text"), "--ascii"]),
            Some(0)
        );
        let get = tftp(
            here,
            &["get", &url(server, "text;mode=netascii"), "-o", "-"],
        );
        assert_eq!(text(&get.stdout), "one\ntwo\r\n");
    });
}

#[test]
fn every_failure_has_its_exit_code_and_its_remedy() {
    with_server(|server, here| {
        fs::write(here.join("x"), "1").expect("written");
        fs::write(here.join("large"), content(2_000_000)).expect("written");
        assert_eq!(code(here, &["put", "x", &url(server, "x")]), Some(0));
        let closed = socket().local_addr().expect("bound");
        for (arguments, expected, error) in [
            (
                &["get", &url(server, "missing")][..],
                66,
                "1 (File not found)",
            ),
            (
                &["get", &url(server, "x"), "-o", "no/x"],
                66,
                "cannot write no/x",
            ),
            (&["get", &url(closed, "x")], 69, "nothing listens on"),
            (&["put", "x", &url(closed, "x")], 69, "nothing listens on"),
            (&["put", "none", &url(server, "x")], 66, "cannot read none"),
            (
                &["put", ".", &url(server, "x")],
                66,
                "cannot read .: is a directory",
            ),
            (&["put", "large", &url(server, "large")], 74, "3 (Disk full"),
            (&["get", "x"], 64, "the path does not end in a file name"),
            (&["get", "http://h/x"], 64, "is no file on a server"),
            (
                &["get", &url(server, "x"), "--blksize", "7"],
                64,
                "8..=65464",
            ),
            (&["127.0.0.1"], 64, "no command is given"),
        ] {
            let output = tftp(here, arguments);
            let stderr = text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(expected),
                "{arguments:?}: {stderr}"
            );
            assert!(stderr.contains(error), "{arguments:?}: {stderr}");
        }
    });
}

#[test]
fn an_address_family_can_be_chosen() {
    with_server(|server, here| {
        let output = tftp(here, &["get", &url(server, "x"), "-6"]);
        assert_eq!(output.status.code(), Some(69));
        assert!(text(&output.stderr).contains("with an IPv6 address"));
        assert_eq!(code(here, &["get", &url(server, "x"), "-4"]), Some(66));
    });
}

#[test]
fn a_probe_prints_the_answer_of_the_server() {
    with_server(|server, here| {
        fs::write(here.join("x"), "12345").expect("written");
        assert_eq!(code(here, &["put", "x", &url(server, "x")]), Some(0));
        let output = tftp(here, &["probe", &url(server, "x")]);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{stdout}");
        for line in [
            "answer  ",
            "from    127.0.0.1:",
            "accepts blksize=1428 tsize=5 windowsize=16",
            "size    5",
            "fits    blksize=65464",
        ] {
            assert!(
                stdout.lines().any(|printed| printed.starts_with(line)),
                "{line} in:\n{stdout}"
            );
        }
        let output = tftp(here, &["probe", &format!("tftp://{server}")]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("File not found"));
        assert_eq!(code(here, &["probe", &url(server, "missing")]), Some(66));
    });
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let here = TempDir::new().expect("a directory");
    let server = socket();
    let address = server.local_addr().expect("bound");
    let mut get = command(here.path(), &["get", &url(address, "x"), "--quiet"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let (_, client) = receive(&server);
    server
        .send_to(&[&[0, 3, 0, 1][..], &[7; 512]].concat(), client)
        .expect("sent");
    assert_eq!(receive(&server).0, [0, 4, 0, 1], "a block has been written");
    let pid = Pid::from_raw(get.id().try_into().expect("a pid"));
    kill(pid, Signal::SIGINT).expect("it runs");
    assert_eq!(get.wait().expect("it ends").code(), Some(130));
    assert_eq!(names(here.path()), Vec::<String>::new());
}

#[test]
fn a_fetched_file_has_the_permissions_of_a_new_one() {
    with_server(|server, here| {
        fs::write(here.join("x"), "1").expect("written");
        assert_eq!(code(here, &["put", "x", &url(server, "x")]), Some(0));
        assert_eq!(code(here, &["get", &url(server, "x"), "-o", "y"]), Some(0));
        let mode = |name| {
            let metadata = fs::metadata(here.join(name)).expect("there");
            metadata.permissions().mode()
        };
        assert_eq!(mode("y"), mode("x"));
    });
}

/// Runs `test` with a server that accepts files of up to a million bytes, and with a folder.
fn with_server(test: impl FnOnce(SocketAddr, &Path)) {
    let files = Memory::new().writable(1_000_000);
    // Without a drain time: transfers that dally would delay the end.
    let server = Server::builder().backend(files).drain(Duration::ZERO);
    let here = TempDir::new().expect("a directory");
    serve(server, &allocator(), |server| test(server, here.path()));
}

fn command(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tftp"));
    command
        .args(arguments)
        .current_dir(here)
        .stdin(Stdio::null())
        .env_remove("COLUMNS");
    command
}

fn tftp(here: &Path, arguments: &[&str]) -> Output {
    command(here, arguments).output().expect("tftp runs")
}

#[track_caller]
fn code(here: &Path, arguments: &[&str]) -> Option<i32> {
    tftp(here, arguments).status.code()
}

fn url(server: SocketAddr, path: &str) -> String {
    format!("tftp://{server}/{path}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn content(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_be_bytes).take(size).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("readable");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
