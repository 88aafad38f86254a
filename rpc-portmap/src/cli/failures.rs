//! Failures of calls and sockets as messages, with the remedy and the flag that changes the outcome.

use std::io;
use std::time::Duration;

use eport_core::program::{Exit, Failure};

use crate::client::{CallError, ConnectError};
use crate::transport::ListenError;

impl From<CallError> for Failure {
    fn from(failed: CallError) -> Self {
        match &failed {
            CallError::TimedOut(after) => no_answer(*after),
            CallError::BadReply(_) | CallError::BadResults(_) | CallError::Rpc(_) => {
                Self::from_error(Exit::Protocol, &failed)
            }
            CallError::Unreachable(_) | CallError::Closed => {
                Self::from_error(Exit::Unavailable, &failed)
            }
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(failed: ConnectError) -> Self {
        let failure = Self::from_error(Exit::Unavailable, &failed);
        match failed {
            ConnectError::Unix { .. } => {
                failure.hint("no portmapper is running here: start one with rpc-portmap serve")
            }
            ConnectError::Ip { .. } => failure.hint(
                "no portmapper listens there, or a firewall rejects the connection; HOST:PORT names another port",
            ),
            ConnectError::NoSocket { .. } => failure,
        }
    }
}

/// Nothing has answered within a time.
pub(super) fn no_answer(after: Duration) -> Failure {
    let what = format!("no answer within {} s", after.as_secs_f64());
    Failure::new(Exit::Unavailable, what)
        .hint("a firewall may drop the packets; --timeout SECONDS waits longer")
}

/// An address or a unix socket that cannot be listened on.
pub(super) fn not_listening(error: &ListenError) -> Failure {
    let exit = match error {
        ListenError::Udp(error) | ListenError::Tcp(error) => Exit::of_bind(error),
        ListenError::Unix { source, .. } => match source.kind() {
            io::ErrorKind::AddrInUse => Exit::Unavailable,
            io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::System,
        },
    };
    let failure = Failure::from_error(exit, error);
    match exit {
        Exit::Unavailable if is_taken(error) => {
            failure.hint("stop the other portmapper first (ss -lnp shows it)")
        }
        Exit::Denied => failure
            .hint("run as root, or choose a port above 1023 with --listen and another --socket"),
        _ => failure,
    }
}

/// Returns true if another socket has the address.
fn is_taken(error: &ListenError) -> bool {
    use eport_core::bind::BindError;
    match error {
        ListenError::Udp(error) | ListenError::Tcp(error) => {
            matches!(error, BindError::InUse { .. })
        }
        ListenError::Unix { .. } => true,
    }
}
