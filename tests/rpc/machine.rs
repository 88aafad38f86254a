//! A machine to be a portmapper on: a network namespace, and a `/run` and `/var/lib` that are its own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::netns::Netns;
use tests::process::Process;
use tests::{built, host, peers};

/// How long a program may take to start or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The interface to the neighbour.
pub(crate) const CABLE: &str = "cable0";

/// Gives a program the folders of the machine in place of those of the system, where nobody else
/// sees it, and gives way to it. Both of its outputs are one, so that what it says keeps its order.
const MOVE_IN: &str = "set -e
    mount --bind \"$1/run\" /run
    mount --bind \"$1/lib\" /var/lib
    shift
    exec \"$@\" 2>&1";

/// Lets a daemon go to the background, and stays: the first of its namespace of processes, whose
/// end is the daemon's.
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
    /// A machine with a loopback interface and nothing else.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        for name in ["run/rpcbind", "lib/nfs/sm", "lib/nfs/sm.bak"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("the folder is empty");
        }
        for name in ["etab", "rmtab", "state"] {
            host::write(&folder.path().join("lib/nfs").join(name), []);
        }
        Self {
            network: Netns::new(),
            folder,
        }
    }

    /// Another host, with a cable to this one; both have an address of each family.
    #[track_caller]
    pub(crate) fn neighbour(&self) -> Netns {
        let neighbour = Netns::new();
        self.network.cable(&neighbour, CABLE);
        for (end, last) in [(&self.network, 1), (&neighbour, 2)] {
            end.ip(&format!(
                "address add 10.77.0.{last}/24 broadcast 10.77.0.255 dev {CABLE}"
            ));
            end.address(CABLE, IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, last]), 64);
        }
        neighbour
    }

    /// A file of the machine's `/run`.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join("run").join(name)
    }

    /// A folder for the test's own files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A command that will run on the machine.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.network.command("unshare");
        command
            .args(["--mount", "--propagation", "private", "--", "sh", "-c"])
            .args([MOVE_IN, "sh"])
            .arg(self.folder.path())
            .arg(program);
        command
    }

    /// Starts our portmapper with these words as arguments; it listens when this returns.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &str) -> Process {
        self.launch(&[], arguments)
    }

    /// As [`serve`](Self::serve), by way of a program that gives way to it.
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

    /// Starts Debian's portmapper with these words as arguments; it listens when this returns.
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

    /// Starts a daemon that goes to the background once it is registered; it ends with the value.
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

    /// Sends a signal to the program of this name on this machine; false if there is none.
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

    /// What `rpcinfo` prints on this machine, and whether it was content.
    #[track_caller]
    pub(crate) fn rpcinfo(&self, arguments: &str) -> String {
        let mut command = self.command(peers::path("rpcinfo"));
        said(command.args(arguments.split_whitespace()))
    }

    /// What our command line prints on this machine, and whether it was content.
    #[track_caller]
    pub(crate) fn ours(&self, arguments: &str) -> String {
        let mut command = self.command(built::binary("rpc-portmap"));
        said(command.args(arguments.split_whitespace()))
    }
}

/// What a program prints, with a last line if it was not content.
#[track_caller]
pub(crate) fn said(command: &mut Command) -> String {
    let mut process = Process::start(command);
    let status = process.wait(PATIENCE);
    let mut text = process.output();
    if !status.success() {
        text.push_str(&status.to_string());
    }
    text
}
