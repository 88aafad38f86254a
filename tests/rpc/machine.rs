//! A machine for a portmapper: a network namespace with its own `/run` and `/var/lib`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::netns::Netns;
use tests::process::Process;
use tests::{built, host, peers};

/// The limit for a program to start or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The interface to the foreign host.
pub(crate) const CABLE: &str = "cable0";

/// Mounts the machine's folders over those of the system in a private mount namespace, then executes
/// the program. Both of its outputs are one, so that their lines keep their order.
const MOVE_IN: &str = "set -e
    mount --bind \"$1/run\" /run
    mount --bind \"$1/lib\" /var/lib
    mount --bind \"$1/passwd\" /etc/passwd
    shift
    exec \"$@\" 2>&1";

/// Starts a daemon that forks into the background, and stays as the first process of its PID
/// namespace, whose end is the daemon's.
const STAY: &str = "\"$@\"
    echo started
    exec sleep 600";

/// A machine. The fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) network: Netns,
    folder: TempDir,
}

impl Machine {
    /// Creates a machine with a loopback interface only.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        for name in ["run/rpcbind", "lib/nfs/sm", "lib/nfs/sm.bak"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("the folder is empty");
        }
        for name in ["etab", "rmtab", "state"] {
            host::write(&folder.path().join("lib/nfs").join(name), []);
        }
        // rpcbind ends without its user, which only the installation of its package would add.
        let mut users = host::read_text(Path::new("/etc/passwd"));
        if !users.lines().any(|user| user.starts_with("_rpc:")) {
            users.push_str("_rpc:x:999:65534::/run/rpcbind:/usr/sbin/nologin\n");
        }
        host::write(&folder.path().join("passwd"), users);
        Self {
            network: Netns::new(),
            folder,
        }
    }

    /// Creates another host with a cable to this one; both have an address of each family.
    #[track_caller]
    pub(crate) fn foreign_host(&self) -> Netns {
        let foreign = Netns::new();
        self.network.cable(&foreign, CABLE);
        for (end, last) in [(&self.network, 1), (&foreign, 2)] {
            end.ip(&format!(
                "address add 10.77.0.{last}/24 broadcast 10.77.0.255 dev {CABLE}"
            ));
            end.address(CABLE, IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, last]), 64);
        }
        foreign
    }

    /// The path of a file in the machine's `/run`.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join("run").join(name)
    }

    /// The folder for the test's own files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Returns a command that runs on the machine.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.network.command("unshare");
        command
            .args(["--mount", "--propagation", "private", "--", "sh", "-c"])
            .args([MOVE_IN, "sh"])
            .arg(self.folder.path())
            .arg(program);
        command
    }

    /// Starts our portmapper with these arguments; it listens when this returns.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &str) -> Process {
        self.launch(&[], arguments)
    }

    /// As [`serve`](Self::serve), through a program that executes it.
    #[track_caller]
    pub(crate) fn launch(&self, by: &[&str], arguments: &str) -> Process {
        let ours = built::binary("rpc-portmap");
        let ours = ours.to_str().expect("a path of this workspace");
        let mut words = by.iter().copied().chain([ours, "serve"]);
        let mut command = self.command(words.next().expect("at least ours"));
        command.args(words).args(arguments.split_whitespace());
        let process = Process::start(&mut command);
        process.wait_for_line("serving", PATIENCE);
        process
    }

    /// Starts Debian's portmapper with these arguments; it listens when this returns.
    #[track_caller]
    pub(crate) fn rpcbind(&self, arguments: &str) -> Process {
        let mut command = self.command(peers::path("rpcbind"));
        let process = Process::start(command.arg("-f").args(arguments.split_whitespace()));
        let listens = || std::os::unix::net::UnixStream::connect(self.run("rpcbind.sock")).is_ok();
        assert!(
            host::wait_until(PATIENCE, listens),
            "rpcbind does not listen:\n{}",
            process.output()
        );
        process
    }

    /// Starts a daemon that forks into the background once registered; dropping the value ends it.
    #[track_caller]
    pub(crate) fn daemon(&self, program: &str, arguments: &str) -> Process {
        let mut command = self.command("unshare");
        command
            .args(["--pid", "--fork", "--kill-child", "--", "sh", "-c"])
            .args([STAY, "sh"])
            .arg(peers::path(program))
            .args(arguments.split_whitespace());
        let process = Process::start(&mut command);
        process.wait_for_line("started", PATIENCE);
        process
    }

    /// Sends a signal to the program of this name on this machine; returns false if there is none.
    pub(crate) fn signal(&self, program: &str, signal: Signal) -> bool {
        let pids = self.pids(program);
        pids.iter()
            .all(|pid| kill(Pid::from_raw(*pid), signal).is_ok())
            && !pids.is_empty()
    }

    /// The processes of this name in the machine's network.
    fn pids(&self, program: &str) -> Vec<i32> {
        let own = self
            .network
            .enter(|| std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace"));
        let entries = std::fs::read_dir("/proc")
            .expect("there is /proc")
            .flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_it = |pid: &i32| {
            let network = std::fs::read_link(format!("/proc/{pid}/ns/net"));
            let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
            network.is_ok_and(|network| network == own)
                && exe.is_ok_and(|exe| exe.ends_with(program))
        };
        numbers.filter(is_it).collect()
    }

    /// Runs `rpcinfo` on this machine; see [`output`].
    #[track_caller]
    pub(crate) fn rpcinfo(&self, arguments: &str) -> String {
        let mut command = self.command(peers::path("rpcinfo"));
        output(command.args(arguments.split_whitespace()))
    }

    /// Runs our command line on this machine; see [`output`].
    #[track_caller]
    pub(crate) fn ours(&self, arguments: &str) -> String {
        let mut command = self.command(built::binary("rpc-portmap"));
        output(command.args(arguments.split_whitespace()))
    }
}

/// Runs a program; returns its output, with its status as the last line unless that is success.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.wait(PATIENCE);
    let mut text = process.output();
    if !status.success() {
        text.push_str(&status.to_string());
    }
    text
}
