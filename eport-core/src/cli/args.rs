//! The command line, as it is written.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::address::Protocol;
use crate::plan::{Overlap, PortSpec};
use crate::ports::PortSet;
use crate::system::Sources;

/// Tells which ports a program can have on this machine, and why not the others.
#[derive(Debug, Parser)]
#[command(name = "eport", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Eport {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Look at a directory that is laid out like the root of a machine, instead of this machine.
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
}

const AFTER_HELP: &str = "\
Results go to standard output, errors to standard error.

Exit codes: 0 fine, 64 usage, 66 no such directory, 71 system error, 74 the result cannot be
written, 77 not permitted, 78 the machine is configured in a way that needs attention.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Which ports would be handed out here, which not, and why.
    Plan {
        #[command(flatten)]
        wish: Wish,
        /// How many seconds a port rests between two uses, to tell the transfers per second.
        #[arg(long, value_name = "SECONDS", default_value = "0")]
        rest: Seconds,
    },
    /// Everything there is to know about one port.
    Explain {
        /// The port.
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The ports among which it is looked for: auto, or a list such as 61000-61999,62500.
        #[arg(long, value_name = "auto|A-B", default_value = "auto")]
        ports: PortSpec,
        #[command(flatten)]
        respect: Respect,
    },
    /// Whether anything can take ports of a range away; if so, the exit code is 78.
    Check {
        #[command(flatten)]
        wish: Wish,
    },
    /// Which sockets there are, and who holds them.
    Sockets {
        /// Only those with one of these ports.
        #[arg(value_name = "A-B")]
        ports: Option<PortSet>,
        /// Only those of this protocol.
        #[arg(long, value_name = "PROTOCOL")]
        protocol: Option<Transport>,
    },
    /// The rules that let clients reach ports.
    Firewall(Firewall),
    /// What could go wrong on this machine; if something cannot work, the exit code is 78.
    Doctor {
        #[command(flatten)]
        wish: Wish,
        /// How many leases are needed at the same time.
        #[arg(long, value_name = "COUNT")]
        leases: Option<u64>,
        /// A well-known port of a server. May be given more than once [default: udp/69 udp/111
        /// tcp/111].
        #[arg(long, value_name = "PROTOCOL/PORT")]
        listen: Vec<Listener>,
    },
}

/// Which ports are wanted, and what is respected.
#[derive(Args, Debug)]
pub(super) struct Wish {
    /// The ports to hand out: auto, or a list such as 61000-61999,62500.
    #[arg(value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
    #[command(flatten)]
    pub(super) respect: Respect,
}

/// What is respected.
#[derive(Args, Debug)]
pub(super) struct Respect {
    /// Ports never to use, though they lie among the others. May be given more than once.
    #[arg(long, value_name = "A-B")]
    exclude: Vec<PortSet>,
    /// Leave out the ports that /etc/services names.
    #[arg(long)]
    pub(super) services: bool,
    /// What to do about ports that the kernel hands out as well: avoid, allow or refuse them.
    #[arg(long, value_name = "POLICY", default_value = "allow")]
    pub(super) overlap: Overlap,
    /// The protocol of the ports: udp, tcp or sctp.
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub(super) protocol: Transport,
}

impl Respect {
    /// All excluded ports.
    pub(super) fn excluded(&self) -> PortSet {
        self.exclude
            .iter()
            .fold(PortSet::empty(), |all, ports| all.union(ports))
    }

    /// What the host is asked for.
    pub(super) fn sources(&self) -> Sources {
        let sources = Sources::default().exclude(&self.excluded());
        if self.services {
            sources.services()
        } else {
            sources
        }
    }
}

/// What the rules are for.
#[derive(Args, Debug)]
pub(super) struct Firewall {
    /// The firewall to write rules for.
    #[arg(long = "for", value_name = "FIREWALL", value_enum)]
    pub(super) kind: Kind,
    /// The ports to open: auto, or a list such as 61000-61999,62500.
    #[arg(value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
    /// A well-known port to open as well. May be given more than once.
    #[arg(long, value_name = "PORT")]
    pub(super) listen: Vec<PortSet>,
    /// The protocol of the ports: udp, tcp or sctp.
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub(super) protocol: Transport,
}

/// A firewall that rules are written for.
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
        let found = known.into_iter().find(|one| one.to_string() == text);
        found.map(Self).ok_or("write udp, tcp or sctp".into())
    }
}

/// A well-known port on the command line, such as `udp/69`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener(pub(super) Protocol, pub(super) u16);

impl FromStr for Listener {
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
