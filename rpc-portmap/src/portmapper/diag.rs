//! Which ports are held, from the kernel's socket diagnostics (`sock_diag(7)`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send};

/// A transport whose sockets the kernel tells about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// A netlink socket, used for one question at a time.
#[derive(Debug)]
pub(super) struct Socket(Mutex<OwnedFd>);

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_DUMP`.
const DUMP: u16 = 0x300;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// The mask of `TCP_LISTEN` among the states of sockets.
const LISTENING: u32 = 1 << 10;
/// Bytes of the header of a message.
const HEADER: usize = 16;

impl Socket {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that makes netlink sockets, which are bound to nothing"
    )]
    pub(super) fn open() -> io::Result<Self> {
        let socket = nix::sys::socket::socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )?;
        Ok(Self(Mutex::new(socket)))
    }

    /// Whether a socket can be reached at the address, or at its port on another address if this
    /// is the wildcard.
    pub(super) fn is_held(&self, protocol: Protocol, address: SocketAddr) -> io::Result<bool> {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One look-up finds nearly all. What it does not find is looked for among all sockets:
        // those bound to one address when the wildcard is registered.
        if found(&socket, &question(protocol, address, None))? {
            return Ok(true);
        }
        for family in families(address) {
            if found(&socket, &question(protocol, address, Some(family)))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The families whose sockets may have the port.
fn families(address: SocketAddr) -> impl Iterator<Item = i32> {
    let both = [libc::AF_INET6, libc::AF_INET];
    both.into_iter().take(if address.is_ipv4() { 2 } else { 1 })
}

/// The question for one socket, or for all sockets of a family with the port:
/// `nlmsghdr` and `inet_diag_req_v2`.
fn question(protocol: Protocol, address: SocketAddr, all_of: Option<i32>) -> Vec<u8> {
    let own_family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let family = all_of.unwrap_or(own_family);
    let number = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    let states = match protocol {
        Protocol::Tcp => LISTENING,
        Protocol::Udp => u32::MAX,
    };
    let flags = REQUEST | if all_of.is_some() { DUMP } else { 0 };
    let mut message = Vec::with_capacity(72);
    message.extend_from_slice(&72_u32.to_ne_bytes());
    message.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend([family, number].map(|small| u8::try_from(small).unwrap_or_default()));
    message.extend_from_slice(&[0; 2]);
    message.extend_from_slice(&states.to_ne_bytes());
    put_ends(&mut message, protocol, address, all_of.is_some());
    message.extend_from_slice(&[0; 4]);
    // INET_DIAG_NOCOOKIE.
    message.extend_from_slice(&[0xff; 8]);
    message
}

/// The ports and addresses of `inet_diag_sockid`.
fn put_ends(message: &mut Vec<u8>, protocol: Protocol, address: SocketAddr, dump: bool) {
    let mut bytes = [0; 16];
    if !dump {
        match address.ip() {
            IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes = v6.octets(),
        }
    }
    let port = address.port().to_be_bytes();
    // The look-up of one UDP socket takes source and destination the other way round
    // ("swapped for historical reasons", says the kernel).
    if protocol == Protocol::Udp && !dump {
        message.extend_from_slice(&[0; 2]);
        message.extend_from_slice(&port);
        message.extend_from_slice(&[0; 16]);
        message.extend_from_slice(&bytes);
    } else {
        message.extend_from_slice(&port);
        message.extend_from_slice(&[0; 2]);
        message.extend_from_slice(&bytes);
        message.extend_from_slice(&[0; 16]);
    }
}

/// Sends a question and reads all of its answer.
fn found(socket: &OwnedFd, question: &[u8]) -> io::Result<bool> {
    let flags = question.get(6..8).and_then(|flags| flags.first_chunk());
    let dump = flags.is_some_and(|flags| u16::from_ne_bytes(*flags) & DUMP != 0);
    send(socket.as_raw_fd(), question, MsgFlags::empty())?;
    let mut buffer = [0; 16 << 10];
    let mut any = false;
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, body, next)) = message(rest) {
            rest = next;
            match kind {
                BY_FAMILY => any = true,
                DONE => return Ok(any),
                ERROR => return refused(body),
                _ => {}
            }
        }
        if !dump {
            return Ok(any);
        }
    }
}

/// The type and body of the first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..6)?.first_chunk()?);
    let body = bytes.get(HEADER..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((kind, body, bytes.get(next..)?))
}

fn refused(body: &[u8]) -> io::Result<bool> {
    let errno = body
        .first_chunk()
        .map_or(0, |errno| i32::from_ne_bytes(*errno));
    match Errno::from_raw(-errno) {
        Errno::ENOENT => Ok(false),
        other => Err(other.into()),
    }
}
