//! The binaries from outside: messages, exit codes, signals.

#![expect(clippy::disallowed_methods, reason = "tests make files")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::UdpSocket,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use eport_core::bind::{self, UdpOptions};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};

const TFTPD: &str = env!("CARGO_BIN_EXE_tftpd");
const TFTP: &str = env!("CARGO_BIN_EXE_tftp");

#[test]
fn every_mistake_is_one_clear_line_with_its_remedy_and_an_exit_code() {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path().to_str().expect("UTF-8");
    let taken = taken_port();
    let in_use = format!("127.0.0.1:{}", taken.local_addr().expect("bound").port());
    let holder = format!("({})", std::process::id());
    for (arguments, code, error, hint) in [
        (
            &[][..],
            64,
            "name the directory to serve",
            "tftpd . --listen :6969",
        ),
        (
            &["/no/such/directory"],
            66,
            "\"/no/such/directory\" does not exist",
            "create it",
        ),
        (
            &["/dev/null"],
            66,
            "\"/dev/null\" is not a directory",
            "name the directory",
        ),
        (
            &[root, "--listen", &in_use],
            69,
            &*holder,
            "choose another port with --listen",
        ),
        (
            &[root, "--listen", "192.0.2.77:6969"],
            69,
            "no interface has this address",
            "ip address shows",
        ),
        (
            &[root, "--listen", "fe80::1%no-such-if"],
            69,
            "no interface is named no-such-if",
            "ip link shows",
        ),
        (
            &[root, "--ports", "62000-62009", "--exclude", "62000-62100"],
            78,
            "no port of 62000-62009 is left",
            "exclude",
        ),
    ] {
        check_mistake(arguments, code, error, hint);
    }
}

#[test]
fn arguments_that_cannot_work_are_refused_before_anything_is_bound() {
    for (arguments, code, error, hint) in [
        (
            &[".", "--map-file", "/no/such/file"][..],
            66,
            "cannot read the map file",
            "name an existing file",
        ),
        (
            &[".", "--map-file", TFTPD],
            78,
            "cannot be used",
            "a line is an operation",
        ),
        (
            &[".", "--client-dir", "../${client}"],
            64,
            "--client-dir: ",
            "a directory below the root",
        ),
        (
            &[".", "--max-blksize", "7"],
            64,
            "--max-blksize must be 8 to 65464",
            "",
        ),
        (
            &[".", "--max-windowsize", "32768"],
            64,
            "--max-windowsize must be 1 to 32767",
            "",
        ),
    ] {
        check_mistake(arguments, code, error, hint);
    }
}

#[track_caller]
fn check_mistake(arguments: &[&str], code: i32, error: &str, hint: &str) {
    let output = tftpd(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    let lines: Vec<_> = stderr.lines().collect();
    let [first, rest @ ..] = lines.as_slice() else {
        panic!("{arguments:?}: nothing was printed")
    };
    assert!(
        first.starts_with("error: ") && first.contains(error),
        "{arguments:?}: {stderr}"
    );
    assert!(
        rest.len() <= 7 && stderr.contains(hint),
        "{arguments:?}: {stderr}"
    );
}

#[test]
fn arguments_that_make_no_sense_are_named() {
    for (arguments, named) in [
        (
            &[".", "--listen", "nowhere"][..],
            "\"nowhere\" is no address",
        ),
        (&[".", "--listen", "::1:69"], "[::1]:69 for port 69"),
        (&[".", "--listen", "fe80::1"], "such as fe80::1%eth0"),
        (&[".", "--ports", "9-1"], "--ports"),
        (&[".", "--no-such-flag"], "--no-such-flag"),
        (&[".", "and", "more"], "and"),
    ] {
        let output = tftpd(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_user_without_privileges_gets_the_denied_step_and_its_remedy() {
    let closed = tempfile::tempdir().expect("a directory");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("changed");
    let Some(user) = Unprivileged::new() else {
        return;
    };
    let output = user.tftpd(&[
        closed.path().to_str().expect("UTF-8"),
        "--listen",
        "127.0.0.1:0",
    ]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{stderr}");
    assert!(
        stderr.contains("permission denied") && stderr.contains("hint: let this user enter it"),
        "{stderr}"
    );

    let output = user.tftpd(&["/", "--listen", "127.0.0.1:69"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{stderr}");
    assert!(
        stderr.contains("cannot listen on 127.0.0.1:69: permission denied"),
        "{stderr}"
    );
    assert!(stderr.contains("CAP_NET_BIND_SERVICE"), "{stderr}");
}

#[test]
fn a_directory_is_served_without_privileges_and_ctrl_c_ends_it() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("hello"), "hello\n").expect("written");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("changed");
    let Some(user) = Unprivileged::new() else {
        return;
    };
    let mut server = Serving::start(user.command(&[
        root.path().to_str().expect("UTF-8"),
        "--listen",
        "127.0.0.1:0",
    ]));

    let url = format!("tftp://{}/hello", server.address);
    let output = tftp(&["get", &url, "-o", "-"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), "hello\n")
    );

    let output = tftp(&[
        "get",
        &format!("tftp://{}/missing", server.address),
        "-o",
        "-",
    ]);
    assert_eq!(output.status.code(), Some(66), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("File not found"),
        "{}",
        text(&output.stderr)
    );

    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    for words in [SENT, REFUSED, STOPPED] {
        let holds = |line: &str| words.iter().all(|word| line.contains(word));
        assert_eq!(
            log.lines().filter(|line| holds(line)).count(),
            1,
            "{words:?} in:\n{log}"
        );
    }
}

const SENT: &[&str] = &[
    "sent",
    "client=127.0.0.1:",
    "path=hello",
    "size=6",
    "time=",
    "port=",
    "blksize=1428",
    "windowsize=16",
    "resent=0",
];
const REFUSED: &[&str] = &[
    "refused",
    "client=127.0.0.1:",
    "path=missing",
    "time=",
    "port=",
    "blksize=",
    "windowsize=",
    "resent=0",
    "cause=\"not-found\"",
];
const STOPPED: &[&str] = &["stopped", "sent=1", "received=0", "refused=1", "failed=0"];

#[test]
fn a_fetched_file_appears_whole_or_not_at_all() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("image"), vec![7; 100_000]).expect("written");
    let mut server = Serving::start(command(&[
        root.path().to_str().expect("UTF-8"),
        "--listen",
        "127.0.0.1:0",
    ]));
    let here = tempfile::tempdir().expect("a directory");
    let fetch = |name: &str| {
        let url = format!("tftp://{}/{name}", server.address);
        Command::new(TFTP)
            .args(["get", &url])
            .current_dir(here.path())
            .output()
            .expect("runs")
    };
    assert_eq!(fetch("missing").status.code(), Some(66));
    assert_eq!(
        names(here.path()),
        Vec::<String>::new(),
        "nothing is left of what failed"
    );
    assert_eq!(fetch("image").status.code(), Some(0));
    assert_eq!(names(here.path()), ["image"]);
    assert_eq!(
        fs::read(here.path().join("image")).expect("there"),
        vec![7; 100_000]
    );
    server.stop();
}

#[test]
fn a_server_that_does_not_run_is_named_without_delay() {
    let closed = taken_port().local_addr().expect("bound");
    let output = tftp(&["get", &format!("tftp://{closed}/x"), "-o", "-"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(
        stderr.contains(&format!("nothing listens on {closed}")),
        "{stderr}"
    );
    let output = tftp(&["get", "tftp://no-such-host.invalid/x", "-o", "-"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("no-such-host.invalid"), "{stderr}");
}

#[test]
fn too_few_descriptors_are_a_warning_at_the_start() {
    for (limit, few) in [("40", true), ("20000", false)] {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "ulimit -n $1 && exec \"$2\" . --listen 127.0.0.1:0",
            "sh",
        ]);
        shell.args([limit, TFTPD]);
        let (_, log) = Serving::start(shell).stop();
        let warned = log.contains("WARN") && log.contains("descriptors are few");
        assert_eq!(warned, few, "{log}");
    }
}

#[test]
fn no_block_is_cut_on_the_way_with_ports_of_their_own_and_with_one() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root can make a network of its own");
        return;
    }
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("x"), "hello").expect("written");
    // The first process of the namespace becomes the client: when it ends, so does the server.
    let script = "ip link set lo mtu 1300 up && mkfifo log && \
        { \"$1\" . --listen 127.0.0.1:6969 $3 2>log & } && \
        while read -r line; do case $line in *listening\\ on*) break;; esac; done <log && \
        exec \"$2\" probe --blksize 65464 tftp://127.0.0.1:6969/x";
    for ports in ["", "--single-port"] {
        let output = Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--", "sh", "-c", script, "sh"])
            .args([TFTPD, TFTP, ports])
            .current_dir(root.path())
            .output()
            .expect("unshare runs");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        // Headers: IPv4 20, UDP 8, DATA 4.
        assert!(stdout.contains("blksize=1268"), "{ports}: {stdout}{stderr}");
        fs::remove_file(root.path().join("log")).expect("made");
    }
}

#[test]
fn help_fits_a_screen_and_lists_the_exit_codes() {
    for program in [TFTPD, TFTP] {
        let output = Command::new(program).arg("-h").output().expect("runs");
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            help.lines().count() <= 50 && help.contains("Exit codes: 0"),
            "{help}"
        );
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(TFTPD);
    command.args(arguments);
    command
}

fn tftpd(arguments: &[&str]) -> Output {
    command(arguments).output().expect("tftpd runs")
}

fn tftp(arguments: &[&str]) -> Output {
    Command::new(TFTP)
        .args(arguments)
        .output()
        .expect("tftp runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("readable");
    entries
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn taken_port() -> UdpSocket {
    bind::udp(
        "127.0.0.1:0".parse().expect("an address"),
        &UdpOptions::default(),
    )
    .expect("bound")
}

/// A server that is killed with its test.
struct Serving {
    process: Child,
    log: BufReader<std::process::ChildStderr>,
    seen: String,
    address: String,
}

impl Serving {
    /// Starts a server and waits until it listens.
    fn start(mut command: Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).spawn().expect("tftpd runs");
        let mut log = BufReader::new(process.stderr.take().expect("piped"));
        let mut seen = String::new();
        let address = loop {
            let from = seen.len();
            assert!(
                log.read_line(&mut seen).expect("readable") > 0,
                "it ended early:\n{seen}"
            );
            if let Some((_, address)) = seen[from..].split_once("listening on ") {
                break address.trim().to_owned();
            }
        };
        Self {
            process,
            log,
            seen,
            address,
        }
    }

    /// Ends it as Ctrl-C does; its exit code and all that it logged.
    fn stop(&mut self) -> (Option<i32>, String) {
        let pid = Pid::from_raw(self.process.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGINT).expect("it runs");
        let status = self.process.wait().expect("it ends");
        self.log.read_to_string(&mut self.seen).expect("readable");
        (status.code(), self.seen.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The process has ended already, if the test got that far.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A user who may neither read everything nor bind everything. The binary is copied to where that
/// user can start it.
struct Unprivileged(tempfile::TempDir);

impl Unprivileged {
    /// Returns `None` and prints a line if this is not root and cannot change its user.
    fn new() -> Option<Self> {
        if !Uid::effective().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI runs this as root");
            eprintln!("skipped: only root can become a user without privileges");
            return None;
        }
        let folder = tempfile::tempdir().expect("a directory");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changed");
        // Not by this process: a file that it has open for writing, be it in a child that another
        // test is just starting, cannot be executed.
        let copied = Command::new("cp")
            .arg(TFTPD)
            .arg(folder.path())
            .status()
            .expect("cp runs");
        assert!(copied.success());
        Some(Self(folder))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["--inh-caps=-all", "--bounding-set=-all"])
            .arg(self.0.path().join("tftpd"))
            .args(arguments);
        command
    }

    fn tftpd(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("setpriv runs")
    }
}
