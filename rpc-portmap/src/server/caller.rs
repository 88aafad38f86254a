//! The origin of a call.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::rpc::Credential;
use crate::rpcbind::Netid;

/// The origin of a call: transport, peer address or user, and the credential's claim.
#[derive(Clone, Debug)]
pub struct Caller {
    transport: Netid,
    peer: Peer,
    local: Option<IpAddr>,
    claimed: Option<ClaimedUser>,
}

/// The other end of a transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Peer {
    /// A socket address, over UDP or TCP.
    Ip(SocketAddr),
    /// A process of this machine, by the kernel's peer credentials (`SO_PEERCRED`).
    Unix {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its process id, if the kernel reports one.
        pid: Option<i32>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix { uid, .. } => write!(f, "uid {uid}"),
        }
    }
}

/// The user that an `AUTH_SYS` credential names. The claim is not verified.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClaimedUser {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Further groups.
    pub gids: Vec<u32>,
}

impl Caller {
    /// Builds a caller; `local` is the address of this machine that received the call.
    pub const fn new(transport: Netid, peer: Peer, local: Option<IpAddr>) -> Self {
        Self {
            transport,
            peer,
            local,
            claimed: None,
        }
    }

    /// Returns the transport.
    pub const fn transport(&self) -> Netid {
        self.transport
    }

    /// Returns the other end of the transport.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Returns the IP address of the other end, if it has one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Ip(address) => Some(address.ip()),
            Peer::Unix { .. } => None,
        }
    }

    /// Returns the address of this machine that received the call.
    pub const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// Returns the user that the credential names, if it names one.
    pub const fn claimed(&self) -> Option<&ClaimedUser> {
        self.claimed.as_ref()
    }

    /// Returns true if only a process of this machine can have sent the call.
    pub const fn is_this_machine(&self) -> bool {
        match self.peer {
            // The kernel drops packets from outside that carry a loopback address.
            Peer::Ip(address) => address.ip().to_canonical().is_loopback(),
            Peer::Unix { .. } => true,
        }
    }

    pub(super) fn with(mut self, credential: &Credential<'_>) -> Self {
        self.claimed = match credential {
            Credential::Sys(sys) => Some(ClaimedUser {
                uid: sys.uid,
                gid: sys.gid,
                gids: sys.gids.iter().collect(),
            }),
            Credential::None => None,
        };
        self
    }
}
