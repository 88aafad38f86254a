//! The programs that serve TFTP, and how each is told what to do.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::netns::Netns;
use crate::process::Process;
use crate::{built, host, peers};

/// Chooses the server that the suites test: `hpa` shows whether a failure is ours or the client's.
pub const CHOICE: &str = "TESTS_SERVER";

/// Every address of both families, with the port of TFTP.
pub const EVERYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 69);

/// A program that serves TFTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// The binary `tftpd` of this workspace.
    Ours,
    /// `in.tftpd` of tftpd-hpa.
    Hpa,
    /// atftpd, which knows no range of ports.
    Atftpd,
    /// dnsmasq, which takes no files.
    Dnsmasq,
}

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The folder to serve.
    pub root: &'a Path,
    /// Where to listen: [`EVERYWHERE`], or one address, as atftpd and dnsmasq want it.
    pub listen: SocketAddr,
    /// The ports of transfers.
    pub ports: RangeInclusive<u16>,
    /// Whether clients may write, new files and in place of old ones.
    pub writable: bool,
    /// Rules for names in the format of tftp-hpa, for ours and for tftpd-hpa.
    pub map_file: Option<&'a Path>,
}

impl<'a> Task<'a> {
    /// To serve a folder everywhere, for reading only.
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

    /// The program as [`peers`] calls it; nothing for ours.
    pub fn peer(self) -> Option<&'static str> {
        match self {
            Self::Ours => None,
            Self::Hpa => Some("in.tftpd"),
            Self::Atftpd => Some("atftpd"),
            Self::Dnsmasq => Some("dnsmasq"),
        }
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(self, namespace: &Netns, task: &Task<'_>) -> Process {
        let path = self
            .peer()
            .map_or_else(|| built::binary("tftpd"), peers::path);
        let mut command = namespace.command(path);
        match self {
            Self::Ours => ours(&mut command, task),
            Self::Hpa => hpa(&mut command, task),
            Self::Dnsmasq => dnsmasq(&mut command, task),
            Self::Atftpd => {
                atftpd(&mut command, task);
                // By itself it listens on IPv4 only; it serves what inetd would hand it just as well.
                let socket = namespace.enter(|| host::udp_socket_at(task.listen));
                let input = Stdio::from(OwnedFd::from(socket));
                return Process::with_input(&mut command, input);
            }
        }
        Process::start(&mut command)
    }
}

fn ours(command: &mut Command, task: &Task<'_>) {
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
