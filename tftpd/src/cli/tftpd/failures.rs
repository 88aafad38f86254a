//! Failures to start as messages, with the remedy and the flag that changes the outcome.

use std::{collections::BTreeSet, net::SocketAddr};

use eport_core::{
    Protocol,
    bind::BindError,
    program::{Exit, Failure},
    system::{BoundSocket, Host},
};

use crate::{backend::RootError, net::ListenError};

/// The command line without a directory.
pub(super) fn no_root_named() -> Failure {
    Failure::new(Exit::Usage, "name the directory to serve: tftpd /srv/tftp")
        .hint("without root, choose a port above 1023: tftpd . --listen :6969")
        .hint("then fetch with: tftp get tftp://localhost:6969/FILE")
}

/// A directory that cannot be served.
pub(super) fn root_unusable(error: &RootError) -> Failure {
    let (exit, hint) = match error {
        RootError::NotFound(_) => (Exit::NotFound, "create it, or name another directory"),
        RootError::NotADirectory(_) => (Exit::NotFound, "name the directory that holds the files"),
        RootError::Denied(_) => (
            Exit::Denied,
            "let this user enter it and all directories above it (chmod o+rx), or run as another user",
        ),
        _ => return Failure::from_error(Exit::System, error),
    };
    Failure::from_error(exit, error).hint(hint)
}

/// An address that cannot be listened on.
pub(super) fn not_listening(error: &ListenError) -> Failure {
    let ListenError::Bind(bind) = error else {
        return Failure::from_error(Exit::System, error);
    };
    let address = bind.address();
    let (cause, hint) = match bind {
        BindError::InUse { .. } => (
            taken(address),
            "stop the other TFTP server (ss -lunp shows it), or choose another port with --listen",
        ),
        BindError::Denied { .. } => (
            "permission denied".to_owned(),
            "grant CAP_NET_BIND_SERVICE, lower net.ipv4.ip_unprivileged_port_start, or choose a port above 1023 with --listen",
        ),
        BindError::NotLocal { .. } => (
            "no interface has this address".to_owned(),
            "ip address shows those of this machine; --listen :PORT listens on all",
        ),
        _ => return Failure::from_error(Exit::of_bind(bind), error),
    };
    let what = format!("cannot listen on {address}: {cause}");
    Failure::new(Exit::of_bind(bind), what).hint(hint)
}

/// Names the processes that hold a UDP port, as far as this user may see them.
fn taken(address: SocketAddr) -> String {
    let host = Host::new();
    let sockets = host.sockets(Protocol::Udp).ok().flatten();
    let open = sockets.into_iter().flatten().filter(BoundSocket::is_open);
    let inodes = open
        .filter(|socket| socket.port() == address.port())
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
