//! The only module that makes sockets.
//!
//! [`udp`] and [`tcp`] bind a given, well-known port for a listener. Every other port comes from an
//! [`Allocator`](crate::Allocator). No UDP socket made here ever has `SO_REUSEADDR`: with it the
//! system would report a port as bound that another program is using, and any other user of the
//! machine could take it. `SO_REUSEPORT`, which admits only the same user, is set on the
//! sockets of shared ports alone.

mod error;
mod listener_group;
pub(crate) mod reuse_port;
mod sctp;
mod wildcard;

use std::io;
use std::net::{SocketAddr, SocketAddrV6, TcpListener, UdpSocket};

pub use error::BindError;
pub(crate) use error::Cause;
pub use listener_group::udp_group;
pub use sctp::SctpListener;
use socket2::{Domain, SockAddr, Socket, Type};
pub use wildcard::both_families;

use crate::address::{LocalAddress, Protocol};

/// The options of [`udp`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct UdpOptions {
    /// Leave IPv4 out of a socket bound to `[::]`, which is dual-stack by default, regardless
    /// of `net.ipv6.bindv6only`.
    pub only_v6: bool,
    /// The receive buffer in bytes (`SO_RCVBUF`); the system's default if `None`. Linux caps it
    /// at `net.core.rmem_max` without an error.
    pub receive_buffer: Option<usize>,
    /// Let calls on the socket wait. By default they do not, as event loops need it.
    pub blocking: bool,
}

impl UdpOptions {
    /// Sets [`only_v6`](Self::only_v6).
    #[must_use]
    pub const fn only_v6(self, only_v6: bool) -> Self {
        Self { only_v6, ..self }
    }

    /// Sets [`receive_buffer`](Self::receive_buffer).
    #[must_use]
    pub const fn receive_buffer(self, bytes: usize) -> Self {
        Self {
            receive_buffer: Some(bytes),
            ..self
        }
    }

    /// Sets [`blocking`](Self::blocking).
    #[must_use]
    pub const fn blocking(self, blocking: bool) -> Self {
        Self { blocking, ..self }
    }

    fn apply(&self, socket: &Socket) -> io::Result<()> {
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.set_nonblocking(!self.blocking)
    }
}

/// Binds a UDP socket to a given address, for a listener; port 0 lets the kernel choose one, which
/// suits tests.
///
/// ```
/// use eport_core::bind::{self, UdpOptions};
///
/// let listener = bind::udp("127.0.0.1:0".parse()?, &UdpOptions::default())?;
/// let again = bind::udp(listener.local_addr()?, &UdpOptions::default());
/// assert!(again.unwrap_err().to_string().contains("in use"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`BindError`], with the address and the remedy.
pub fn udp(address: SocketAddr, options: &UdpOptions) -> Result<UdpSocket, BindError> {
    let spec = SocketSpec::new(Protocol::Udp, address, options.only_v6);
    let bound = bound(&mut None, &spec, |socket| options.apply(socket));
    bound
        .map(UdpSocket::from)
        .map_err(|source| BindError::new(address, source))
}

/// The options of [`tcp`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Leave IPv4 out of a socket bound to `[::]`, which is dual-stack by default, regardless
    /// of `net.ipv6.bindv6only`.
    pub only_v6: bool,
    /// Let calls on the socket wait. By default they do not, as event loops need it.
    pub blocking: bool,
}

impl TcpOptions {
    /// Sets [`only_v6`](Self::only_v6).
    #[must_use]
    pub const fn only_v6(self, only_v6: bool) -> Self {
        Self { only_v6, ..self }
    }

    /// Sets [`blocking`](Self::blocking).
    #[must_use]
    pub const fn blocking(self, blocking: bool) -> Self {
        Self { blocking, ..self }
    }
}

/// Binds a TCP socket to a given address and listens; port 0 lets the kernel choose one, which
/// suits tests.
///
/// Connections of an earlier listener that are still winding down (`TIME_WAIT`) do not keep the
/// port, so that a service can restart immediately. While one socket listens, no other can.
///
/// # Errors
/// [`BindError`], with the address and the remedy.
pub fn tcp(address: SocketAddr, options: &TcpOptions) -> Result<TcpListener, BindError> {
    let spec = SocketSpec::new(Protocol::Tcp, address, options.only_v6);
    let prepare = |socket: &Socket| {
        // On Windows the option allows any program to take the port.
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        socket.set_nonblocking(!options.blocking)
    };
    let bound = bound(&mut None, &spec, prepare);
    bound
        .map(TcpListener::from)
        .map_err(|source| BindError::new(address, source))
}

/// The description of a socket to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketSpec {
    protocol: Protocol,
    address: SocketAddr,
    only_v6: bool,
}

impl SocketSpec {
    pub(crate) const fn new(protocol: Protocol, address: SocketAddr, only_v6: bool) -> Self {
        Self {
            protocol,
            address,
            only_v6,
        }
    }
}

/// Makes and binds a non-blocking socket, which listens if its protocol does that. When the port is
/// refused, the socket stays in `spare` for the next try.
pub(crate) fn open(spare: &mut Option<Socket>, spec: &SocketSpec) -> io::Result<Socket> {
    bound(spare, spec, |_| Ok(()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes and binds sockets"
)]
fn bound(
    spare: &mut Option<Socket>,
    spec: &SocketSpec,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let address = spec.address;
    let socket = if let Some(socket) = spare.take() {
        socket
    } else {
        let domain = Domain::for_address(address);
        let (kind, protocol) = kind(spec.protocol);
        let socket = Socket::new(domain, kind, protocol).map_err(not_the_ports_fault)?;
        configure(&socket, spec)?;
        prepare(&socket)?;
        socket
    };
    if let Err(error) = socket.bind(&address.into()) {
        *spare = Some(socket);
        return Err(error);
    }
    if spec.protocol != Protocol::Udp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Connections that may wait to be accepted. The system caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

fn configure(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    if spec.address.is_ipv6() && spec.address.ip().is_unspecified() {
        socket.set_only_v6(spec.only_v6)?;
    }
    Ok(())
}

/// Returns the type and the protocol of a socket. Linux makes it non-blocking without a further
/// system call.
fn kind(protocol: Protocol) -> (Type, Option<socket2::Protocol>) {
    match protocol {
        Protocol::Udp => (Type::DGRAM.nonblocking(), None),
        Protocol::Tcp => (Type::STREAM.nonblocking(), None),
        Protocol::Sctp => {
            let number = i32::from(Protocol::Sctp.number());
            (Type::STREAM.nonblocking(), Some(number.into()))
        }
    }
}

/// Distinguishes a socket denied at all (by a sandbox) from a denied port, so that the other ports
/// are not tried.
fn not_the_ports_fault(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        io::Error::other(error)
    } else {
        error
    }
}

/// Connects a socket bound to `local`, and discards datagrams that arrived before: the kernel keeps
/// those of any source that came between `bind` and `connect`.
pub(crate) fn connect(socket: &Socket, local: LocalAddress, peer: SocketAddr) -> io::Result<()> {
    socket.connect(&reachable_from(local, peer))?;
    drain(socket);
    Ok(())
}

/// Returns the peer in the family of the socket: a dual-stack one writes IPv4 addresses as IPv6.
fn reachable_from(local: LocalAddress, peer: SocketAddr) -> SockAddr {
    match peer {
        SocketAddr::V4(v4) if local.ip().is_ipv6() => {
            SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
        }
        _ => peer.into(),
    }
}

fn drain(socket: &Socket) {
    // A bound, because a flood could prolong this without end: datagrams beyond it are rejected by
    // the source check that RFC 8085 §5.1 asks of every receiver.
    const MOST: usize = 64;
    let mut discarded = [std::mem::MaybeUninit::uninit(); 1];
    for _ in 0..MOST {
        if socket.recv(&mut discarded).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_to(address: &str) -> (Socket, LocalAddress) {
        let address: SocketAddr = address.parse().expect(address);
        let socket = datagram(&mut None, address).expect("a free port");
        (socket, address.into())
    }

    fn datagram(spare: &mut Option<Socket>, address: SocketAddr) -> io::Result<Socket> {
        open(spare, &SocketSpec::new(Protocol::Udp, address, false))
    }

    fn port(socket: &Socket) -> u16 {
        let address = socket
            .local_addr()
            .expect("bound")
            .as_socket()
            .expect("an IP address");
        address.port()
    }

    #[test]
    fn datagrams_of_other_sources_before_connect_are_discarded() {
        let (socket, local) = bound_to("127.0.0.1:0");
        let (other, _) = bound_to("127.0.0.1:0");
        let (peer, _) = bound_to("127.0.0.1:0");
        for _ in 0..3 {
            let own = SocketAddr::new(local.ip(), port(&socket));
            other.send_to(b"early", &own.into()).expect("sent");
        }
        connect(&socket, local, SocketAddr::new(local.ip(), port(&peer))).expect("loopback");
        let error = socket
            .recv(&mut [std::mem::MaybeUninit::uninit(); 8])
            .expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_dual_stack_socket_connects_to_an_ipv4_peer() {
        let (peer, v4) = bound_to("127.0.0.1:0");
        let Ok(socket) = datagram(&mut None, "[::]:0".parse().expect("an address")) else {
            eprintln!("skipped: no IPv6 here");
            return;
        };
        let any = LocalAddress::from(std::net::Ipv6Addr::UNSPECIFIED);
        connect(&socket, any, SocketAddr::new(v4.ip(), port(&peer))).expect("loopback");
        socket.send(b"hello").expect("sent");
        let mut bytes = [std::mem::MaybeUninit::uninit(); 8];
        assert_eq!(peer.recv(&mut bytes).expect("it arrived"), 5);
    }

    #[test]
    fn a_listener_blocks_only_with_the_option() {
        let address = "127.0.0.1:0".parse().expect("an address");
        for blocking in [false, true] {
            let listener = udp(address, &UdpOptions::default().blocking(blocking)).expect("free");
            let nonblocking = socket2::SockRef::from(&listener).nonblocking();
            assert_eq!(nonblocking.expect("a flag"), !blocking);
        }
    }

    #[test]
    fn a_refused_socket_is_kept_for_the_next_port() {
        let (first, local) = bound_to("127.0.0.1:0");
        let mut spare = None;
        let taken = SocketAddr::new(local.ip(), port(&first));
        let error = datagram(&mut spare, taken).expect_err("in use");
        assert_eq!(Cause::from_error(&error), Cause::InUse);
        let kept = spare.as_ref().map(|socket| format!("{socket:?}"));
        let second = datagram(&mut spare, "127.0.0.1:0".parse().expect("an address"));
        assert_eq!(Some(format!("{:?}", second.expect("free"))), kept);
        assert!(spare.is_none());
    }
}
