//! The meaning of a failed bind.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;

/// The cause of a failed `socket` or `bind`, as far as callers distinguish it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    InUse,
    Denied,
    NotLocal,
    NoDescriptors,
    NoMemory,
    NoFamily,
    NoProtocol,
    Other,
}

impl Cause {
    pub(crate) fn from_error(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => return Self::InUse,
            io::ErrorKind::PermissionDenied => return Self::Denied,
            io::ErrorKind::AddrNotAvailable => return Self::NotLocal,
            io::ErrorKind::OutOfMemory => return Self::NoMemory,
            _ => {}
        }
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE) => Self::NoDescriptors,
            Some(Errno::ENOBUFS) => Self::NoMemory,
            Some(Errno::EAFNOSUPPORT) => Self::NoFamily,
            Some(Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT) => Self::NoProtocol,
            _ => Self::Other,
        }
    }
}

/// The reason why a given address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the port on this or an overlapping address.
    #[error(
        "cannot bind {address}: the port is in use; stop the program that holds it, or choose another port"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The port needs a privilege, or a security policy forbids it.
    #[error(
        "cannot bind {address}: permission denied; \
         grant CAP_NET_BIND_SERVICE, start from a socket unit, or choose another port"
    )]
    Denied {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// No interface of this machine has the address.
    #[error(
        "cannot bind {address}: no interface has this address; choose one of this machine's, or the wildcard"
    )]
    NotLocal {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The system has no IPv6 (or no IPv4).
    #[error(
        "cannot bind {address}: the system does not support this address family; use the other one"
    )]
    FamilyNotSupported {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The process or the system has no descriptor left.
    #[error(
        "cannot bind {address}: no file descriptor is left; raise the limit (ulimit -n, LimitNOFILE=)"
    )]
    NoDescriptors {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The system refuses for another reason.
    #[error("cannot bind {address}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(address: SocketAddr, source: io::Error) -> Self {
        match Cause::from_error(&source) {
            Cause::InUse => Self::InUse { address, source },
            Cause::Denied => Self::Denied { address, source },
            Cause::NotLocal => Self::NotLocal { address, source },
            Cause::NoFamily => Self::FamilyNotSupported { address, source },
            Cause::NoDescriptors => Self::NoDescriptors { address, source },
            Cause::NoMemory | Cause::NoProtocol | Cause::Other => Self::Io { address, source },
        }
    }

    /// Returns the address that cannot be bound.
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::InUse { address, .. }
            | Self::Denied { address, .. }
            | Self::NotLocal { address, .. }
            | Self::FamilyNotSupported { address, .. }
            | Self::NoDescriptors { address, .. }
            | Self::Io { address, .. } => *address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_meaning_of_its_own() {
        for (errno, cause) in [
            (Errno::EADDRINUSE, Cause::InUse),
            (Errno::EACCES, Cause::Denied),
            (Errno::EPERM, Cause::Denied),
            (Errno::EADDRNOTAVAIL, Cause::NotLocal),
            (Errno::EMFILE, Cause::NoDescriptors),
            (Errno::ENFILE, Cause::NoDescriptors),
            (Errno::ENOBUFS, Cause::NoMemory),
            (Errno::ENOMEM, Cause::NoMemory),
            (Errno::EAFNOSUPPORT, Cause::NoFamily),
            (Errno::EPROTONOSUPPORT, Cause::NoProtocol),
            (Errno::ESOCKTNOSUPPORT, Cause::NoProtocol),
            (Errno::EINVAL, Cause::Other),
        ] {
            assert_eq!(Cause::from_error(&errno.into()), cause, "{errno}");
        }
    }

    #[test]
    fn a_permission_error_names_three_ways_out() {
        let error = BindError::new("[::]:69".parse().expect("an address"), Errno::EACCES.into());
        let text = error.to_string();
        for part in [
            "[::]:69",
            "CAP_NET_BIND_SERVICE",
            "socket unit",
            "another port",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
