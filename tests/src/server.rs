//! A TFTP server in a namespace: ours, or another one to compare with.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::netns::Netns;
use crate::process::Process;
use crate::{built, host, peers};

/// Chooses the server that the suites test: `hpa` shows whether a failure is ours or the client's.
pub const CHOICE: &str = "TESTS_SERVER";

/// Every address of both families, with the port of TFTP.
pub const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 69);

/// How long a server may take to start, and to end when nothing is in flight.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that serves TFTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The binary `tftpd` of this workspace.
    Ours,
    /// `in.tftpd` of tftpd-hpa.
    Hpa,
}

impl Program {
    /// The server to test: ours, unless the environment says `TESTS_SERVER=hpa`.
    ///
    /// # Panics
    /// When the environment says something else.
    #[track_caller]
    pub fn under_test() -> Self {
        match host::variable(CHOICE).as_deref() {
            None | Some("ours") => Self::Ours,
            Some("hpa") => Self::Hpa,
            Some(other) => panic!("{CHOICE}={other}: expected `ours` or `hpa`"),
        }
    }

    fn command(
        self,
        namespace: &Netns,
        root: &Path,
        listen: SocketAddr,
        ports: &RangeInclusive<u16>,
    ) -> Command {
        let (first, last) = (ports.start(), ports.end());
        match self {
            Self::Ours => {
                let mut command = namespace.command(built::binary("tftpd"));
                command.arg(root);
                command.args(["--listen", &listen.to_string()]);
                command.args(["--ports", &format!("{first}-{last}")]);
                command
            }
            Self::Hpa => {
                let mut command = namespace.command(peers::path("in.tftpd"));
                command.args([
                    "--foreground",
                    "--user",
                    "root",
                    "--port-range",
                    &format!("{first}:{last}"),
                ]);
                command
                    .args(["--address", &hpa_address(listen)])
                    .arg("--secure")
                    .arg(root);
                command
            }
        }
    }
}

/// A running server, which ends with this value.
#[derive(Debug)]
pub struct Server {
    program: Program,
    process: Process,
}

impl Server {
    /// Starts a server for the files below `root`; it listens when this returns.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn start(
        program: Program,
        namespace: &Netns,
        root: &Path,
        listen: SocketAddr,
        ports: &RangeInclusive<u16>,
    ) -> Self {
        let process = Process::start(&mut program.command(namespace, root, listen, ports));
        match program {
            Program::Ours => {
                process.wait_for_line(&format!("listening on {listen}"), PATIENCE);
            }
            Program::Hpa => {
                let listens = || namespace.udp_ports().contains(&listen.port());
                assert!(
                    host::wait_until(PATIENCE, listens),
                    "in.tftpd does not listen:\n{}",
                    process.output()
                );
            }
        }
        Self { program, process }
    }

    /// Starts ours with arguments of the test's choice; it listens when this returns.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn ours(namespace: &Netns, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        Self::launch(namespace.command(built::binary("tftpd")).args(arguments))
    }

    /// Starts ours by a command that may put other programs before it, as long as each gives way to
    /// the next.
    ///
    /// # Panics
    /// When it does not come to listen.
    #[track_caller]
    pub fn launch(command: &mut Command) -> Self {
        let process = Process::start(command);
        process.wait_for_line("listening on", PATIENCE);
        Self {
            program: Program::Ours,
            process,
        }
    }

    /// The process, to look at it from outside.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks the server to end, as Ctrl-C does; it may go on with what runs.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Waits for a line of the log that contains `what`.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_line(&self, what: &str) -> String {
        self.process.wait_for_line(what, PATIENCE)
    }

    /// The lines of the log so far that contain `what`.
    pub fn lines_with(&self, what: &str) -> Vec<String> {
        let output = self.output();
        let lines = output.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// Asks the server to end, as Ctrl-C does, and returns what it wrote.
    ///
    /// # Panics
    /// When ours does not drain and end with 0.
    #[track_caller]
    pub fn stop(mut self) -> String {
        if self.program == Program::Ours {
            self.process.interrupt();
            let status = self.process.wait(PATIENCE);
            assert!(
                status.success(),
                "tftpd ended with {status}:\n{}",
                self.process.output()
            );
        }
        self.process.output()
    }

    /// What the server has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// tftpd-hpa listens on both families where no address is given, and on `[::]` for IPv6 only.
fn hpa_address(listen: SocketAddr) -> String {
    if listen == EVERYWHERE {
        format!(":{}", listen.port())
    } else {
        listen.to_string()
    }
}
