//! The arguments of `eport`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::address::Protocol;
use crate::plan::{Overlap, PortSpec};
use crate::ports::PortSet;
use crate::system::Sources;

/// Plans, explains and checks the ports that a program can use on this machine.
#[derive(Debug, Parser)]
#[command(name = "eport", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Eport {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Examine a directory that is laid out like the root of a machine, instead of this machine.
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
}

const AFTER_HELP: &str = "\
Results go to standard output, errors to standard error.

Exit codes: 0 done (a doctor's warnings included), 64 usage, 66 no such directory, 71 system error,
74 result not written, 77 not permitted, 78 no port is left, check found a port
that other programs can take, or doctor found an error.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the ports that would be handed out here, those that would not, and why.
    Plan {
        #[command(flatten)]
        request: Request,
        /// Seconds that a port rests between two uses, from which the transfers per second follow.
        #[arg(long, value_name = "SECONDS", default_value = "0")]
        rest: Seconds,
    },
    /// Show the class, reservations, services and sockets of one port.
    Explain {
        /// The port.
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The ports to hand out: auto, or a list such as 61000-61999,62500.
        #[arg(long, value_name = "auto|A-B", default_value = "auto")]
        ports: PortSpec,
        #[command(flatten)]
        respect: Respect,
    },
    /// Check that nothing else can take ports of a range; if something can, the exit code is 78.
    Check {
        #[command(flatten)]
        request: Request,
    },
    /// List the sockets of this machine and the processes that hold them.
    Sockets {
        /// Only sockets on these ports.
        #[arg(value_name = "A-B")]
        ports: Option<PortSet>,
        /// Only sockets of this protocol: udp, tcp or sctp.
        #[arg(long, value_name = "PROTOCOL")]
        protocol: Option<Transport>,
    },
    /// Print the firewall rules that let clients reach ports.
    Firewall(Firewall),
    /// Examine this machine; if something cannot work, the exit code is 78.
    Doctor {
        #[command(flatten)]
        request: Request,
        /// The number of leases that are needed at the same time.
        #[arg(long, value_name = "COUNT")]
        leases: Option<u64>,
        /// The well-known port of a server. May be given more than once [default: udp/69 udp/111
        /// tcp/111].
        #[arg(long, alias = "listen", value_name = "PROTOCOL/PORT")]
        server: Vec<Server>,
    },
}

/// The ports to hand out, and what keeps ports away from them.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The ports to hand out: auto, or a list such as 61000-61999,62500.
    #[arg(value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
    #[command(flatten)]
    pub(super) respect: Respect,
}

/// The rules that keep ports from being handed out.
#[derive(Args, Debug)]
pub(super) struct Respect {
    /// Ports never to use, even if they are in the list. May be given more than once.
    #[arg(long, value_name = "A-B")]
    exclude: Vec<PortSet>,
    /// Leave out the ports that /etc/services names.
    #[arg(long)]
    pub(super) services: bool,
    /// Treatment of ports that the kernel hands out as well: avoid, allow or refuse them.
    #[arg(long, value_name = "POLICY", default_value = "allow")]
    pub(super) overlap: Overlap,
    /// The protocol of the ports: udp, tcp or sctp.
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub(super) protocol: Transport,
}

impl Respect {
    /// Returns all excluded ports.
    pub(super) fn excluded(&self) -> PortSet {
        self.exclude
            .iter()
            .fold(PortSet::empty(), |all, ports| all.union(ports))
    }

    /// Returns the sources of reservations to read from the host.
    pub(super) fn sources(&self) -> Sources {
        let sources = Sources::default().exclude(&self.excluded());
        if self.services {
            sources.services()
        } else {
            sources
        }
    }
}

/// The arguments of `firewall`.
#[derive(Args, Debug)]
pub(super) struct Firewall {
    /// The firewall to write rules for.
    #[arg(long = "for", value_name = "FIREWALL", value_enum)]
    pub(super) kind: Kind,
    /// The ports to open: auto, or a list such as 61000-61999,62500.
    #[arg(value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
    /// The well-known port of a server, to open as well. May be given more than once.
    #[arg(long, alias = "listen", value_name = "PORT")]
    pub(super) server: Vec<PortSet>,
    /// The protocol of the ports: udp, tcp or sctp.
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub(super) protocol: Transport,
}

/// A firewall.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Kind {
    /// A file for nft -f.
    Nft,
    /// Commands for iptables and ip6tables.
    Iptables,
    /// Commands for firewall-cmd.
    Firewalld,
}

/// A protocol on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transport(pub(super) Protocol);

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Protocol::Udp, Protocol::Tcp, Protocol::Sctp];
        let found = known
            .into_iter()
            .find(|protocol| protocol.to_string() == text);
        found.map(Self).ok_or("write udp, tcp or sctp".into())
    }
}

/// A well-known port on the command line, such as `udp/69`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server(pub(super) Protocol, pub(super) u16);

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').map(|(protocol, port)| {
            let port = port.parse().ok().filter(|port| *port != 0);
            (protocol.parse::<Transport>(), port)
        });
        match parts {
            Some((Ok(Transport(protocol)), Some(port))) => Ok(Self(protocol, port)),
            _ => Err("write protocol/port, such as udp/69".into()),
        }
    }
}

/// A duration on the command line, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse().ok();
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Self)
            .ok_or("write a number of seconds, such as 120 or 0.5".into())
    }
}
