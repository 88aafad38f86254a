//! `tftpd`.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal},
    path::Path,
    pin::pin,
    process::ExitCode,
};

use eport_core::{
    Allocator, BuildError, PortSet, Protocol, Severity,
    bind::BindError,
    system::{BoundSocket, Host},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing::{Level, info, warn};

use super::{
    args::Args,
    exit::{self, Failure},
    listen::Listen,
};
use crate::{
    backend::RootError,
    net::{ListenError, Listener},
    server::{Server, Summary, transfer_ports},
};

const NO_ROOT: &str = "\
name the directory to serve: tftpd /srv/tftp
hint: without root, choose a port above 1023: tftpd . --listen :6969
hint: then fetch with: tftp get tftp://localhost:6969/FILE";

/// Runs the server until it is told to stop.
pub fn tftpd() -> ExitCode {
    match super::parse::<Args>() {
        Ok(args) => super::run(serve(args)),
        Err(code) => code,
    }
}

async fn serve(args: Args) -> Result<(), Failure> {
    let root = args
        .root
        .as_deref()
        .ok_or_else(|| Failure::new(exit::USAGE, NO_ROOT))?;
    start_logging(args.log);
    let descriptors = raise_descriptor_limit();
    let (limits, policy) = (args.limits()?, args.policy()?);
    let files = args.files(root).map_err(|error| no_root(&error))?;
    let exclude = args
        .exclude
        .iter()
        .fold(PortSet::default(), |all, some| all.union(some));
    let ports = Allocator::builder()
        .ports(args.ports.clone())
        .exclude(&exclude);
    let allocator = transfer_ports(ports).map_err(|error| no_ports(&error))?;
    let listen = if args.listen.is_empty() {
        &[Listen::DEFAULT]
    } else {
        &args.listen[..]
    };
    let addresses: Vec<_> = listen.iter().map(|listen| listen.0).collect();
    let listener = Listener::bind_all(&addresses).map_err(|error| not_listening(&error))?;
    let signals =
        Signals::new().map_err(|error| Failure::new(exit::OSERR, "no signals").because(&error))?;

    warn_of_few(descriptors, &args, &allocator);
    announce(root, &args, &allocator, &listener);
    let server = Server::builder()
        .backend(files)
        .allocator(allocator)
        .policy(policy)
        .limits(limits)
        .caps(args.caps())
        .single_port(args.single_port)
        .broadcast(args.broadcast)
        .drain(args.drain())
        .build()
        .map_err(|error| Failure::from_error(exit::OSERR, &error))?;
    if let Some(done) = until_told(server, listener, signals).await? {
        let Summary {
            sent,
            received,
            probed,
            refused,
            failed,
            ..
        } = done;
        info!(sent, received, probed, refused, failed, "stopped");
    } else {
        info!("stopped at once");
    }
    Ok(())
}

/// One descriptor for each transfer: as many as this process may have. Answers with their number.
fn raise_descriptor_limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Some(hard),
        // Then it stays as it was, and transfers wait for descriptors.
        Err(_) => Some(soft),
    }
}

/// Descriptors for anything but the sockets of transfers: listeners, files, the process's own.
const OTHER_DESCRIPTORS: u64 = 64;

/// Says beforehand that descriptors will run out before transfers do.
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
async fn until_told(
    server: Server,
    listener: Listener,
    mut signals: Signals,
) -> Result<Option<Summary>, Failure> {
    let (drain, draining) = oneshot::channel::<()>();
    let mut drain = Some(drain);
    let mut serving = pin!(server.serve(listener, async { drop(draining.await) }));
    loop {
        tokio::select! {
            end = &mut serving => {
                return end.map(Some).map_err(|error| Failure::from_error(exit::OSERR, &error));
            }
            () = signals.next() => match drain.take() {
                Some(_) => info!("stopping: running transfers may finish"),
                None => return Ok(None),
            },
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
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

fn announce(root: &Path, args: &Args, allocator: &Allocator, listener: &Listener) {
    info!(root = %root.display(), "serving files, {}", args.writing());
    if args.single_port {
        info!("transfers use the listening port");
    } else {
        for note in allocator.plan().notes() {
            match note.severity() {
                Severity::Warning => warn!("{note}"),
                Severity::Info => info!("{note}"),
            }
        }
        info!("transfers use {}", allocator.plan());
    }
    for address in listener.local_addrs() {
        info!("listening on {address}");
    }
}

fn no_root(error: &RootError) -> Failure {
    let (code, hint) = match error {
        RootError::NotFound(_) => (exit::NOINPUT, "create it, or name another directory"),
        RootError::NotADirectory(_) => (exit::NOINPUT, "name the directory that holds the files"),
        RootError::Denied(_) => (
            exit::NOPERM,
            "let this user enter it and all directories above it (chmod o+rx), or run as another user",
        ),
        _ => return Failure::from_error(exit::OSERR, error),
    };
    Failure::from_error(code, error).hint(hint)
}

fn no_ports(error: &BuildError) -> Failure {
    match error {
        BuildError::Plan(_) => Failure::from_error(exit::CONFIG, error),
        _ => Failure::from_error(exit::OSERR, error),
    }
}

fn not_listening(error: &ListenError) -> Failure {
    let ListenError::Bind(bind) = error else {
        return Failure::from_error(exit::OSERR, error);
    };
    let (code, why, hint) = match bind {
        BindError::InUse { .. } => (
            exit::UNAVAILABLE,
            &*taken(bind.address().port()),
            "another TFTP server is running (ss -lunp shows which): stop it, or choose another port with --listen",
        ),
        BindError::Denied { .. } => (
            exit::NOPERM,
            "permission denied",
            "grant CAP_NET_BIND_SERVICE, lower net.ipv4.ip_unprivileged_port_start, or choose a port above 1023 with --listen",
        ),
        BindError::NotLocal { .. } => (
            exit::UNAVAILABLE,
            "no interface has this address",
            "ip address shows those of this machine; :PORT listens on all",
        ),
        _ => return Failure::from_error(exit::OSERR, error),
    };
    Failure::new(code, format!("cannot listen on {}: {why}", bind.address())).hint(hint)
}

/// That the port is taken, and by whom, as far as this user may know.
fn taken(port: u16) -> String {
    let host = Host::new();
    let sockets = host.sockets(Protocol::Udp).ok().flatten();
    let open = sockets.into_iter().flatten().filter(BoundSocket::is_open);
    let inodes = open
        .filter(|socket| socket.port() == port)
        .map(|socket| socket.inode)
        .collect();
    let holders: BTreeSet<String> = host
        .holders(&inodes)
        .into_values()
        .flatten()
        .map(|process| process.to_string())
        .collect();
    let holders: Vec<String> = holders.into_iter().collect();
    match holders.as_slice() {
        [] => "the port is taken".to_owned(),
        holders => format!("the port is taken by {}", holders.join(", ")),
    }
}
