//! `serve`.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::ArgAction;
use eport_core::bind::BindError;
use eport_core::{Allocator, PortSpec};
use ipnet::IpNet;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, debug, info};

use super::activation;
use super::exit::{self, Failure};
use crate::portmapper::{Access, Forwarding, Portmapper};
use crate::registry::RegistryPolicy;
use crate::rpcbind::{ABSTRACT_SOCKET, GROUP, PORT, SOCKET};
use crate::transport::{ListenError, Listeners};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen by UDP and TCP: an address, with :PORT if that is not 111; :PORT alone means every address.
    /// May be given more than once [default: every address, unless a service manager passes sockets].
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Listen>,
    /// A unix socket to listen at; @ begins an abstract name. May be given more than once
    /// [default: @/run/rpcbind.sock and /run/rpcbind.sock, unless a service manager passes sockets].
    #[arg(long, value_name = "NAME|none")]
    socket: Vec<String>,
    /// Where registrations are kept, so that a restart forgets none.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/run/rpc-portmap/registrations"
    )]
    state: PathBuf,
    /// Keep no registrations.
    #[arg(long)]
    no_state: bool,
    /// Let processes of this machine register over IP from any source port.
    #[arg(long)]
    insecure_set: bool,
    /// Programs that only root may register [default: 100003,100005,100021].
    #[arg(long, value_name = "PROGRAMS", value_delimiter = ',')]
    protect: Option<Vec<u32>>,
    /// Networks that may ask; everybody, if none is named.
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<IpNet>,
    /// Networks that get lists by UDP, and may have calls forwarded.
    #[arg(long, value_name = "NETWORK")]
    trust: Vec<IpNet>,
    /// Forward calls (CALLIT, BCAST, INDIRECT): NULL procedures for everybody, others for --trust.
    #[arg(long)]
    forward: bool,
    /// The ports that forwarded calls are made from.
    #[arg(
        long,
        value_name = "auto|A-B",
        default_value = "auto",
        requires = "forward"
    )]
    ports: PortSpec,
    /// What to log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value_t = Level::INFO, action = ArgAction::Set)]
    log: Level,
}

/// Where to listen.
#[derive(Clone, Copy, Debug)]
struct Listen(SocketAddr);

const EVERY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ip = text.parse().map(|ip| SocketAddr::new(ip, PORT));
        let port = || text.strip_prefix(':')?.parse().ok();
        ip.ok()
            .or_else(|| text.parse().ok())
            .or_else(|| port().map(|port| SocketAddr::new(EVERY, port)))
            .map(Self)
            .ok_or_else(|| {
                format!("{text:?} is no address: write 192.0.2.1, 192.0.2.1:111, [2001:db8::1]:111 or :111")
            })
    }
}

pub(super) async fn serve(args: Args) -> Result<ExitCode, Failure> {
    start_logging(args.log);
    let listeners = listeners(&args)?;
    let mut stop = Stop::new().map_err(|error| Failure::from_error(exit::OSERR, &error))?;
    let portmapper = portmapper(&args, &listeners)?;
    for (netid, address) in listeners.addresses() {
        info!("listening at {address} ({netid})");
    }
    info!(registrations = portmapper.registrations(), "serving");
    activation::notify("READY=1");
    tokio::select! {
        end = portmapper.server().serve(listeners, stop.wait()) => {
            end.map_err(|error| Failure::from_error(exit::OSERR, &error))?;
        }
        () = portmapper.sweep_periodically() => {}
    }
    info!(registrations = portmapper.registrations(), "stopped");
    Ok(ExitCode::SUCCESS)
}

/// All sockets or none: what was bound is closed again when one cannot be had. Where sockets are
/// passed, others are bound only if they are asked for.
fn listeners(args: &Args) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    let passed = activation::sockets()
        .map_err(|error| Failure::from_error(exit::OSERR, &error).hint("see sd_listen_fds(3)"))?;
    let defaults = passed.is_empty();
    for (number, socket) in passed {
        listeners.adopt(socket).map_err(|error| {
            Failure::new(
                exit::USAGE,
                format!("descriptor {number} was passed: {error}"),
            )
        })?;
    }
    let every = [Listen(SocketAddr::new(EVERY, PORT))];
    let addresses = if args.listen.is_empty() && defaults {
        &every[..]
    } else {
        &args.listen
    };
    for Listen(address) in addresses {
        listeners
            .bind_ip(*address)
            .map_err(|error| not_listening(&error))?;
    }
    let usual = [ABSTRACT_SOCKET, SOCKET];
    let asked = args.socket.iter().map(String::as_str);
    let usual = usual
        .into_iter()
        .filter(|_| args.socket.is_empty() && defaults);
    for name in asked.chain(usual).filter(|name| *name != "none") {
        listeners
            .bind_unix(name)
            .map_err(|error| not_listening(&error))?;
    }
    if args.forward {
        // Without forwarding there is nothing to answer there.
        let joined = listeners.join(GROUP);
        debug!(joined, "listening for multicast at {GROUP}");
    }
    Ok(listeners)
}

fn portmapper(args: &Args, listeners: &Listeners) -> Result<Portmapper, Failure> {
    let defaults = RegistryPolicy::default();
    let policy = RegistryPolicy {
        unprivileged_loopback: args.insecure_set,
        protected: args.protect.clone().unwrap_or(defaults.protected),
        ..defaults
    };
    let access = Access::default()
        .allowed(args.allow.clone())
        .trusted(args.trust.clone());
    let mut builder = Portmapper::builder()
        .policy(policy)
        .access(access)
        .at(listeners);
    if !args.no_state {
        builder = builder.state(&args.state);
    }
    if args.forward {
        let allocator = Allocator::builder()
            .ports(args.ports.clone())
            .build()
            .map_err(|error| Failure::from_error(exit::OSERR, &error))?;
        builder = builder.forwarding(Forwarding::new(allocator, args.trust.clone()));
    }
    builder.build().map_err(|error| {
        Failure::from_error(exit::OSERR, &error)
            .hint("name another file with --state, or keep nothing with --no-state")
    })
}

fn not_listening(error: &ListenError) -> Failure {
    let kind = match error {
        ListenError::Udp(error) | ListenError::Tcp(error) => match error {
            BindError::InUse { .. } => io::ErrorKind::AddrInUse,
            BindError::Denied { .. } => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        },
        ListenError::Unix { source, .. } => source.kind(),
    };
    match kind {
        io::ErrorKind::AddrInUse => Failure::from_error(exit::UNAVAILABLE, error)
            .hint("another portmapper is running (ss -lnp shows which): stop it first"),
        io::ErrorKind::PermissionDenied => Failure::from_error(exit::NOPERM, error)
            .hint("run as root, or choose a port above 1023 with --listen and another --socket"),
        _ => Failure::from_error(exit::OSERR, error),
    }
}

/// The signals that end the program.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        info!("stopping");
        activation::notify("STOPPING=1");
    }
}

fn start_logging(level: Level) {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(level)
        .init();
}
