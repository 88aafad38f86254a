//! `tftpd`: serves a directory.

mod advice;
mod args;
mod failures;

use std::{path::Path, pin::pin, process::ExitCode};

use args::Args;
use eport_core::{
    Allocator, NoteLevel, PortSet,
    program::{self, DaemonSignal, DaemonSignals, Exit, Failure, ListenAddress},
    system::{Host, Sources},
};
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::{
    net::Listener,
    server::{Server, Summary, transfer_ports},
};

/// Runs the server with the arguments of this process, until a signal ends it.
pub fn main() -> ExitCode {
    match program::parse::<Args>() {
        Ok(args) => program::end(program::block_on(serve(args))),
        Err(exit) => exit.into(),
    }
}

async fn serve(args: Args) -> Result<(), Failure> {
    let root = args.root.as_deref().ok_or_else(failures::no_root_named)?;
    let _log = program::start_logging(args.log)?;
    let descriptors = program::raise_descriptor_limit();
    let (limits, policy) = (args.limits()?, args.policy()?);
    let files = args
        .files(root)
        .map_err(|error| failures::root_unusable(&error))?;
    let allocator = allocator(&args)?;
    let listener = listener(&args.listen)?;
    let signals = DaemonSignals::new()?;

    warn_of_few(descriptors, &args, &allocator);
    announce(root, &args, &allocator, &listener);
    let server = Server::builder()
        .backend(files)
        .allocator(allocator.clone())
        .policy(policy)
        .limits(limits)
        .caps(args.caps())
        .single_port(args.single_port)
        .broadcast(args.broadcast)
        .drain(args.drain())
        .advice(advice::flags)
        .build()
        .map_err(|error| Failure::from_error(Exit::System, &error))?;
    if let Some(done) =
        until_stopped(server, listener, signals, || reload(&allocator, &args)).await?
    {
        let Summary {
            sent,
            received,
            probed,
            rejected,
            failed,
            ..
        } = done;
        info!(
            sent,
            received,
            probed,
            refused = rejected,
            failed,
            "stopped"
        );
    } else {
        info!("stopped, running transfers were cut off");
    }
    Ok(())
}

fn allocator(args: &Args) -> Result<Allocator, Failure> {
    let ports = Allocator::builder()
        .ports(args.ports.clone())
        .exclude(&excluded(args));
    Ok(transfer_ports(ports)?)
}

/// Reads the reserved ports of the host again. Running transfers keep their ports.
fn reload(allocator: &Allocator, args: &Args) {
    let sources = Sources::default().exclude(&excluded(args));
    match allocator.reload(&sources, &Host::new()) {
        Ok(done) => {
            let (withheld, returned) = (done.withheld.len(), done.returned.len());
            info!(withheld, returned, "read the reserved ports again");
        }
        Err(error) => {
            warn!(%error, "cannot read the reserved ports again; those known before stay reserved");
        }
    }
}

fn excluded(args: &Args) -> PortSet {
    args.exclude
        .iter()
        .fold(PortSet::default(), |all, ports| all.union(ports))
}

/// The port of RFC 1350.
const PORT: u16 = 69;

fn listener(listen: &[ListenAddress]) -> Result<Listener, Failure> {
    let listen = match listen {
        [] => &[ListenAddress::EVERY],
        listen => listen,
    };
    let addresses = listen.iter().map(|address| address.resolve(PORT));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    Listener::bind_all(&addresses).map_err(|error| failures::not_listening(&error))
}

/// Descriptors for anything but the sockets of transfers: listeners, files, the log.
const OTHER_DESCRIPTORS: u64 = 64;

/// Warns at the start if descriptors will run out before transfers do.
fn warn_of_few(descriptors: Option<u64>, args: &Args, allocator: &Allocator) {
    let ports = allocator.plan().ports().len() as u64;
    let transfers = ports.min(args.caps().transfers.get() as u64);
    if let Some(descriptors) = descriptors
        && !args.single_port
        && descriptors < transfers + OTHER_DESCRIPTORS
    {
        warn!(
            "{descriptors} descriptors are few for {transfers} transfers: raise the limit \
             (ulimit -n, LimitNOFILE= in a unit), or lower --max-transfers"
        );
    }
}

/// Serves until a signal, drains until a second one; `None` if there was a second one.
async fn until_stopped(
    server: Server,
    listener: Listener,
    mut signals: DaemonSignals,
    reload: impl Fn(),
) -> Result<Option<Summary>, Failure> {
    let (drain, draining) = oneshot::channel::<()>();
    let mut drain = Some(drain);
    let mut serving = pin!(server.serve(listener, async { drop(draining.await) }));
    loop {
        tokio::select! {
            end = &mut serving => {
                return end.map(Some).map_err(|error| Failure::from_error(Exit::System, &error));
            }
            signal = signals.next() => match signal {
                DaemonSignal::Stop(_) if drain.take().is_some() => {
                    info!("stopping: running transfers may finish");
                }
                DaemonSignal::Stop(_) => return Ok(None),
                _ => reload(),
            },
        }
    }
}

fn announce(root: &Path, args: &Args, allocator: &Allocator, listener: &Listener) {
    info!(root = %root.display(), "serving files, {}", args.writing());
    if args.single_port {
        info!("transfers use the listening port");
    } else {
        for note in allocator.plan().notes() {
            if note.level() >= NoteLevel::Warning {
                warn!("{note}");
            } else {
                info!("{note}");
            }
        }
        info!("transfers use {}", allocator.plan());
    }
    for address in listener.local_addrs() {
        info!("listening on {address}");
    }
}
