//! `serve`: runs the portmapper.

use std::path::PathBuf;

use clap::ArgAction;
use eport_core::limit::Prefix;
use eport_core::program::{self, DaemonSignal, DaemonSignals, Exit, Failure, ListenAddress};
use eport_core::{Allocator, PortSpec};
use tracing::{Level, debug, info};

use super::failures;
use crate::portmapper::{Access, Forwarding, Portmapper};
use crate::registry::RegistryPolicy;
use crate::rpc::Program;
use crate::rpcbind::{ABSTRACT_SOCKET, GROUP, PORT, SOCKET};
use crate::transport::Listeners;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The address to listen on by UDP and TCP: ADDR, :PORT (every address) or ADDR:PORT. May be
    /// given more than once [default: :111, unless a service manager passes sockets].
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<ListenAddress>,
    /// A unix socket to listen on; @ begins an abstract name. May be given more than once
    /// [default: @/run/rpcbind.sock and /run/rpcbind.sock, unless a service manager passes sockets].
    #[arg(long, value_name = "NAME|none")]
    socket: Vec<String>,
    /// The file that keeps the registrations across a restart.
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
    /// Networks that may call; without it, all may.
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<Prefix>,
    /// Networks that get lists by UDP, and whose calls are forwarded.
    #[arg(long, value_name = "NETWORK")]
    trust: Vec<Prefix>,
    /// Forward calls (CALLIT, BCAST, INDIRECT): NULL procedures from all, others from --trust.
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
    /// The level to log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value_t = Level::INFO, action = ArgAction::Set)]
    log: Level,
}

pub(super) async fn serve(args: Args) -> Result<Exit, Failure> {
    let _log = program::start_logging(args.log)?;
    let listeners = listeners(&args)?;
    let signals = DaemonSignals::new()?;
    let portmapper = portmapper(&args, &listeners)?;
    for (netid, address) in listeners.addresses() {
        info!("listening at {address} ({netid})");
    }
    info!(registrations = portmapper.registrations(), "serving");
    program::notify("READY=1");
    tokio::select! {
        end = portmapper.server().serve(listeners, stop(signals)) => {
            end.map_err(|error| Failure::from_error(Exit::System, &error))?;
        }
        () = portmapper.sweep_periodically() => {}
    }
    info!(registrations = portmapper.registrations(), "stopped");
    Ok(Exit::Success)
}

/// Waits for the signal that ends the program. There is nothing to reload.
async fn stop(mut signals: DaemonSignals) {
    loop {
        if let DaemonSignal::Stop(signal) = signals.next().await {
            info!(signal, "stopping");
            return program::notify("STOPPING=1");
        }
    }
}

/// Binds all sockets or none: when one fails, those before it are closed. If a service manager passes
/// sockets, others are bound only on request.
fn listeners(args: &Args) -> Result<Listeners, Failure> {
    let mut listeners = Listeners::new();
    let passed = program::passed_sockets()?;
    let defaults = passed.is_empty();
    for (number, socket) in passed {
        listeners.adopt(socket).map_err(|error| {
            let what =
                format!("cannot serve on descriptor {number}, which the service manager passed");
            Failure::new(Exit::Usage, what).because(&error).hint(
                "list UDP, listening TCP and listening unix stream sockets in the socket unit",
            )
        })?;
    }
    let addresses = match args.listen.as_slice() {
        [] if defaults => &[ListenAddress::EVERY],
        addresses => addresses,
    };
    for address in addresses {
        listeners
            .bind_ip(address.resolve(PORT)?)
            .map_err(|error| failures::not_listening(&error))?;
    }
    let usual = [ABSTRACT_SOCKET, SOCKET];
    let asked = args.socket.iter().map(String::as_str);
    let usual = usual
        .into_iter()
        .filter(|_| args.socket.is_empty() && defaults);
    for name in asked.chain(usual).filter(|name| *name != "none") {
        listeners
            .bind_unix(name)
            .map_err(|error| failures::not_listening(&error))?;
    }
    if args.forward {
        // Calls to the group are answered only by forwarding them.
        let joined = listeners.join(GROUP);
        debug!(joined, "listening for multicast at {GROUP}");
    }
    Ok(listeners)
}

fn portmapper(args: &Args, listeners: &Listeners) -> Result<Portmapper, Failure> {
    let defaults = RegistryPolicy::default();
    let policy = RegistryPolicy {
        unprivileged_loopback: args.insecure_set,
        protected: args.protect.as_ref().map_or(defaults.protected, |numbers| {
            numbers.iter().copied().map(Program::new).collect()
        }),
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
        let allocator = Allocator::builder().ports(args.ports.clone()).build()?;
        builder = builder.forwarding(Forwarding::new(allocator, args.trust.clone()));
    }
    builder.build().map_err(|error| {
        Failure::from_error(Exit::System, &error)
            .hint("name another file with --state, or keep no registrations with --no-state")
    })
}
