//! The TFTP servers of the suites, and the command line of each.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::netns::Netns;
use crate::process::Process;
use crate::{built, host, peers};

/// Chooses the server that the suites test: with `hpa`, a failure that remains is one of the client.
pub const CHOICE: &str = "TESTS_SERVER";

/// Every address of both families, with the port of TFTP.
pub const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 69);

/// A program that serves TFTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The binary `tftpd` of this workspace.
    Tftpd,
    /// `in.tftpd` of tftpd-hpa.
    Hpa,
    /// atftpd, without a range of ports.
    Atftpd,
    /// dnsmasq, without uploads.
    Dnsmasq,
}

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The folder to serve.
    pub root: &'a Path,
    /// The address to listen on: [`EVERYWHERE`], or one address, which atftpd and dnsmasq need.
    pub listen: SocketAddr,
    /// The ports of transfers.
    pub ports: RangeInclusive<u16>,
    /// True if clients may create and replace files.
    pub writable: bool,
    /// A map file in the format of tftp-hpa, for `tftpd` and tftpd-hpa.
    pub map_file: Option<&'a Path>,
}

impl<'a> Task<'a> {
    /// Returns a task that serves a folder on every address, for reading only.
    pub fn reading(root: &'a Path, ports: &RangeInclusive<u16>) -> Self {
        Self {
            root,
            listen: EVERYWHERE,
            ports: ports.clone(),
            writable: false,
            map_file: None,
        }
    }
}

impl Program {
    /// Returns the server to test: `tftpd`, or tftpd-hpa with `TESTS_SERVER=hpa` in the environment.
    ///
    /// # Panics
    /// If the variable has another value.
    #[track_caller]
    pub fn under_test() -> Self {
        match host::variable(CHOICE).as_deref() {
            None | Some("tftpd") => Self::Tftpd,
            Some("hpa") => Self::Hpa,
            Some(other) => panic!("{CHOICE}={other}: expected `tftpd` or `hpa`"),
        }
    }

    /// Returns the program's name in [`peers`]; `None` for `tftpd`.
    pub fn peer(self) -> Option<&'static str> {
        match self {
            Self::Tftpd => None,
            Self::Hpa => Some("in.tftpd"),
            Self::Atftpd => Some("atftpd"),
            Self::Dnsmasq => Some("dnsmasq"),
        }
    }

    /// Starts the program in a namespace.
    #[track_caller]
    pub(crate) fn start(self, namespace: &Netns, task: &Task<'_>) -> Process {
        let path = self
            .peer()
            .map_or_else(|| built::binary("tftpd"), peers::path);
        let mut command = namespace.command(path);
        match self {
            Self::Tftpd => tftpd(&mut command, task),
            Self::Hpa => hpa(&mut command, task),
            Self::Dnsmasq => dnsmasq(&mut command, task),
            Self::Atftpd => {
                atftpd(&mut command, task);
                // As a daemon it listens on IPv4 only; with a socket from inetd it serves both families.
                let socket = namespace.enter(|| host::udp_socket_at(task.listen));
                let input = Stdio::from(OwnedFd::from(socket));
                return Process::with_input(&mut command, input);
            }
        }
        Process::start(&mut command)
    }
}

fn tftpd(command: &mut Command, task: &Task<'_>) {
    command.arg(task.root);
    command.args(["--listen", &task.listen.to_string()]);
    command.args(["--ports", &range(task, '-')]);
    if task.writable {
        command.args(["--writable", "--existing", "replace"]);
    }
    if let Some(file) = task.map_file {
        command.arg("--map-file").arg(file);
    }
}

fn hpa(command: &mut Command, task: &Task<'_>) {
    // On `[::]` it listens for IPv6 only; without an address, for both.
    let address = if task.listen == EVERYWHERE {
        format!(":{}", task.listen.port())
    } else {
        task.listen.to_string()
    };
    command.args(["--foreground", "--user", "root", "--address", &address]);
    command.args(["--port-range", &range(task, ':')]);
    if task.writable {
        command.args(["--create", "--permissive"]);
    }
    if let Some(file) = task.map_file {
        command.arg("--map-file").arg(file);
    }
    command.arg("--secure").arg(task.root);
}

fn atftpd(command: &mut Command, task: &Task<'_>) {
    command.args(["--user", "root", "--group", "root"]);
    command.args(["--logfile", "/dev/stderr", "--tftpd-timeout", "3600"]);
    command.arg(task.root);
}

fn dnsmasq(command: &mut Command, task: &Task<'_>) {
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]);
    command.args([
        "--user=root",
        "--group=root",
        "--pid-file",
        "--log-facility=-",
    ]);
    command.args(["--bind-interfaces", "--listen-address"]);
    command.arg(task.listen.ip().to_string());
    command
        .args(["--enable-tftp", "--tftp-root"])
        .arg(task.root);
    command.args(["--tftp-port-range", &range(task, ',')]);
}

fn range(task: &Task<'_>, between: char) -> String {
    format!("{}{between}{}", task.ports.start(), task.ports.end())
}
