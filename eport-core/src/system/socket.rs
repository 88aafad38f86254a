//! A socket as the system lists it.

use std::fmt;
use std::net::SocketAddr;

use crate::address::{AddressFamily, LocalAddress, Protocol, Space};

/// A socket of this machine that has a port, of any user.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BoundSocket {
    /// The protocol.
    pub protocol: Protocol,
    /// The family of the socket. One of IPv6 bound to `::` may take IPv4 as well.
    pub family: AddressFamily,
    /// Address and port.
    pub local: SocketAddr,
    /// Set when an IPv6 socket leaves IPv4 out; `None` if the system does not report it.
    pub only_v6: Option<bool>,
    /// The interface to which the socket is confined; 0 if it is not.
    pub interface: u32,
    /// The other end, if there is one.
    pub peer: Option<SocketAddr>,
    /// Its state.
    pub state: SocketState,
    /// The user it belongs to.
    pub uid: u32,
    /// The number that a descriptor of the socket has in `/proc/PID/fd`; 0 if no process has it
    /// any more.
    pub inode: u64,
}

impl BoundSocket {
    /// The port.
    pub const fn port(&self) -> u16 {
        self.local.port()
    }

    /// The space in which its port is taken. An IPv6 socket on `::` without a report on IPv4 counts as
    /// dual-stack.
    pub fn space(&self) -> Space {
        let local = LocalAddress::from(self.local);
        let is_only_v6 = self.family == AddressFamily::Ipv6 && self.only_v6 == Some(true);
        Space::new(
            self.protocol,
            if is_only_v6 { local.only_v6() } else { local },
        )
    }

    /// Returns true if it takes datagrams or connections of any peer, as a server does.
    pub const fn is_open(&self) -> bool {
        matches!(
            self.state,
            SocketState::Unconnected | SocketState::Listening
        )
    }
}

/// Prints a line such as `udp 127.0.0.1:69 unconnected`.
impl fmt::Display for BoundSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.local)?;
        match self.peer {
            Some(peer) => write!(f, " {} to {peer}", self.state),
            None => write!(f, " {}", self.state),
        }
    }
}

/// The state of a socket, as far as it matters to the use of its port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketState {
    /// Without a peer: UDP that takes datagrams of all senders, or TCP that is only bound.
    Unconnected,
    /// It accepts connections.
    Listening,
    /// It has a peer.
    Connected,
    /// It is on its way to or from one of the other states.
    Transient,
    /// The connection has ended and keeps its port for a while (`TIME_WAIT`).
    Resting,
}

impl SocketState {
    /// The state that the kernel numbers so (`include/net/tcp_states.h`); UDP uses 1 and 7 alone.
    pub(super) const fn numbered(number: u8) -> Self {
        match number {
            1 => Self::Connected,
            6 => Self::Resting,
            7 | 13 => Self::Unconnected,
            10 => Self::Listening,
            _ => Self::Transient,
        }
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unconnected => "unconnected",
            Self::Listening => "listening",
            Self::Connected => "connected",
            Self::Transient => "transient",
            Self::Resting => "resting",
        })
    }
}
