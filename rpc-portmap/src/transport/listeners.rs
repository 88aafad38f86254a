//! Sockets that calls come to.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use eport_core::bind::{self as eport_bind, BindError, TcpOptions, UdpOptions};
use eport_core::{AnySocket, Lease, PortGuard};

use socket2::{Domain, SockRef, Type};

use super::bind;
use crate::rpcbind::{Family, Netid, UniversalAddress};

/// The sockets of a server.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
    unix: Vec<UnixEndpoint>,
    // Fields are dropped in the order they are declared in: close, then free the port.
    guards: Vec<PortGuard>,
}

impl Listeners {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds UDP and TCP on an address and port. `[::]` means every address of both families, of
    /// IPv4 alone where the kernel has no IPv6; beside `0.0.0.0`, which has to be added before, IPv6
    /// alone. Port 0 takes a free one for UDP and another for TCP; one for both is a
    /// [`DynamicPort`](super::DynamicPort).
    ///
    /// # Errors
    /// [`ListenError`]; nothing of this address is bound then.
    pub fn bind_ip(&mut self, address: SocketAddr) -> Result<(), ListenError> {
        let options = UdpOptions::default()
            .only_v6(true)
            .receive_buffer(RECEIVE_BUFFER);
        let udp = |address| eport_bind::udp(address, &options);
        let options = TcpOptions::default().only_v6(true);
        let tcp = |address| eport_bind::tcp(address, &options);
        if self.has_udp(SocketAddr::new(
            Ipv4Addr::UNSPECIFIED.into(),
            address.port(),
        )) {
            let Some(udp) = unless_no_family(udp(address), address).map_err(ListenError::Udp)?
            else {
                return Ok(());
            };
            self.tcp.push(tcp(address).map_err(ListenError::Tcp)?);
            self.udp.push(udp);
            return Ok(());
        }
        let udp = eport_bind::both_families(address, udp, UdpSocket::local_addr)
            .map_err(ListenError::Udp)?;
        let tcp = eport_bind::both_families(address, tcp, TcpListener::local_addr)
            .map_err(ListenError::Tcp)?;
        self.udp.extend(udp);
        self.tcp.extend(tcp);
        Ok(())
    }

    /// Adds a unix stream socket: a path, or an abstract name that begins with `@`.
    ///
    /// # Errors
    /// [`ListenError::Unix`] if the name is taken or forbidden.
    pub fn bind_unix(&mut self, name: &str) -> Result<(), ListenError> {
        let endpoint = UnixEndpoint::bind(name).map_err(|source| ListenError::Unix {
            name: name.to_owned(),
            source,
        })?;
        self.unix.push(endpoint);
        Ok(())
    }

    /// Adds a socket that is bound already, as a service manager passes it: UDP, TCP or a unix
    /// stream, the latter two listening.
    ///
    /// # Errors
    /// [`AdoptError`] if it is something else.
    pub fn adopt(&mut self, socket: OwnedFd) -> Result<(), AdoptError> {
        match kind(&socket)? {
            (Domain::IPV4 | Domain::IPV6, Type::DGRAM, false) => {
                let socket = UdpSocket::from(socket);
                socket.set_nonblocking(true)?;
                self.udp.push(socket);
            }
            (Domain::IPV4 | Domain::IPV6, Type::STREAM, true) => {
                let socket = TcpListener::from(socket);
                socket.set_nonblocking(true)?;
                self.tcp.push(socket);
            }
            (Domain::UNIX, Type::STREAM, true) => self.adopt_unix(UnixListener::from(socket))?,
            (_, Type::STREAM, false) => return Err(AdoptError::NotListening),
            _ => return Err(AdoptError::Kind),
        }
        Ok(())
    }

    /// Joins the UDP sockets of IPv6 to a multicast group on every interface; returns the number of
    /// memberships. Interfaces that come later are not in it.
    pub fn join(&self, group: Ipv6Addr) -> usize {
        let interfaces = bind::multicast_interfaces();
        let wildcards = self.udp.iter().filter(|socket| {
            let any = |address: SocketAddr| address.ip() == Ipv6Addr::UNSPECIFIED;
            socket.local_addr().is_ok_and(any)
        });
        let join = |socket: &UdpSocket| {
            let joined = |index: &&u32| socket.join_multicast_v6(&group, **index).is_ok();
            interfaces.iter().filter(joined).count()
        };
        wildcards.map(join).sum()
    }

    /// The addresses of the server, by transport: TCP before UDP before unix sockets, IPv6 before IPv4,
    /// abstract names before paths.
    pub fn addresses(&self) -> Vec<(Netid, UniversalAddress)> {
        let tcp = self
            .tcp
            .iter()
            .map(|socket| (Netid::Tcp, places(socket.as_fd())));
        let udp = self
            .udp
            .iter()
            .map(|socket| (Netid::Udp, places(socket.as_fd())));
        let mut addresses: Vec<_> = tcp
            .chain(udp)
            .flat_map(|(netid, places)| places.map(move |address| (netid, address)))
            .map(|(netid, address)| {
                let family = Family::from_ip(address.ip());
                (netid.over(family), UniversalAddress::from(address))
            })
            .collect();
        addresses.sort_by_key(|(netid, _)| std::cmp::Reverse(*netid));
        // Where one of them can be shown only, that is the last: the one that older programs know.
        let mut unix: Vec<_> = self.unix.iter().map(|at| at.name.clone()).collect();
        unix.sort_by_key(|name| !name.starts_with('@'));
        let paths = unix.into_iter().map(UniversalAddress::Path);
        addresses.extend(paths.map(|path| (Netid::Local, path)));
        addresses
    }

    /// Adds a socket on a leased port, which goes back when this and what it served are gone.
    pub(super) fn add_leased(&mut self, lease: Lease<AnySocket>) {
        let (socket, guard) = lease.into_parts();
        match socket {
            AnySocket::Udp(socket) => {
                // The system's default holds fewer calls; it serves all the same.
                let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
                self.udp.push(socket);
            }
            AnySocket::Tcp(socket) => self.tcp.push(socket),
            _ => return,
        }
        self.guards.push(guard);
    }

    pub(crate) fn into_parts(
        self,
    ) -> (
        Vec<UdpSocket>,
        Vec<TcpListener>,
        Vec<UnixEndpoint>,
        Vec<PortGuard>,
    ) {
        (self.udp, self.tcp, self.unix, self.guards)
    }

    fn adopt_unix(&mut self, listener: UnixListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().map(|path| path.display().to_string());
        let name = path.or_else(|| {
            let name = address.as_abstract_name()?;
            Some(format!("@{}", String::from_utf8_lossy(name)))
        });
        self.unix.push(UnixEndpoint {
            listener,
            name: name.unwrap_or_default(),
            created: None,
        });
        Ok(())
    }

    fn has_udp(&self, address: SocketAddr) -> bool {
        let mut bound = self
            .udp
            .iter()
            .filter_map(|socket| socket.local_addr().ok());
        address.port() != 0 && bound.any(|bound| bound == address)
    }
}

/// Returns `None` instead of an error if the kernel has no IPv6 and the address is its wildcard.
fn unless_no_family<S>(
    bound: Result<S, BindError>,
    address: SocketAddr,
) -> Result<Option<S>, BindError> {
    match bound {
        Err(BindError::FamilyNotSupported { .. }) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            Ok(None)
        }
        bound => bound.map(Some),
    }
}

/// The addresses of a socket; two of a dual-stack one, which only other programs make.
fn places(socket: BorrowedFd<'_>) -> impl Iterator<Item = SocketAddr> {
    let socket = SockRef::from(&socket);
    let address = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    let v4 = address
        .filter(|address| address.ip() == Ipv6Addr::UNSPECIFIED)
        .filter(|_| socket.only_v6().is_ok_and(|only| !only))
        .map(|address| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()));
    address.into_iter().chain(v4)
}

fn kind(socket: &OwnedFd) -> io::Result<(Domain, Type, bool)> {
    let socket = SockRef::from(socket);
    Ok((socket.domain()?, socket.r#type()?, socket.is_listener()?))
}

/// Bytes of datagrams that may wait: a few thousand calls.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A unix socket that listens; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct UnixEndpoint {
    listener: UnixListener,
    name: String,
    created: Option<SocketFile>,
}

/// The same for tokio.
#[derive(Debug)]
pub(crate) struct AsyncUnixEndpoint {
    listener: tokio::net::UnixListener,
    _created: Option<SocketFile>,
}

impl AsyncUnixEndpoint {
    pub(crate) const fn listener(&self) -> &tokio::net::UnixListener {
        &self.listener
    }
}

/// A file that was made, by path, device and inode; it is removed unless another one is there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl UnixEndpoint {
    fn bind(name: &str) -> io::Result<Self> {
        let listener = bind::unix(name)?;
        let created = if name.starts_with('@') {
            None
        } else {
            let meta = bind::metadata(Path::new(name))?;
            Some(SocketFile {
                path: PathBuf::from(name),
                device: meta.dev(),
                inode: meta.ino(),
            })
        };
        Ok(Self {
            listener,
            name: name.to_owned(),
            created,
        })
    }

    /// Gives the listener to the runtime.
    pub(crate) fn register(self) -> io::Result<AsyncUnixEndpoint> {
        Ok(AsyncUnixEndpoint {
            listener: tokio::net::UnixListener::from_std(self.listener)?,
            _created: self.created,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |now: fs::Metadata| (now.dev(), now.ino()) == (self.device, self.inode);
        if bind::metadata(&self.path).is_ok_and(is_ours) {
            // A file that cannot be removed is harmless: the next one to bind finds it abandoned.
            let _ = bind::remove_file(&self.path);
        }
    }
}

/// The reason why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A UDP port could not be had.
    #[error("cannot listen by UDP")]
    Udp(#[source] BindError),
    /// A TCP port could not be had.
    #[error("cannot listen by TCP")]
    Tcp(#[source] BindError),
    /// A unix socket could not be had.
    #[error("cannot listen on the unix socket {name}")]
    Unix {
        /// Its path or abstract name.
        name: String,
        /// The system's error.
        source: io::Error,
    },
}

/// The reason why a socket that was passed cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// It is a stream that does not listen.
    #[error("the socket is a stream that does not listen; pass listening ones (Accept=no)")]
    NotListening,
    /// Calls come by UDP, TCP and unix streams.
    #[error("the socket is neither UDP nor TCP nor a unix stream")]
    Kind,
    /// The system does not report its kind.
    #[error("the descriptor cannot be used as a socket")]
    Io(#[from] io::Error),
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests use files directly")]
mod tests {
    use super::*;

    #[test]
    fn both_wildcards_are_four_sockets_and_loopback_is_two() {
        let mut listeners = Listeners::new();
        listeners.bind_ip(free_port("[::]:0")).expect("free");
        let netids: Vec<_> = listeners
            .addresses()
            .into_iter()
            .map(|(netid, _)| netid)
            .collect();
        assert_eq!(netids, [Netid::Tcp6, Netid::Udp6, Netid::Tcp, Netid::Udp]);
        let mut listeners = Listeners::new();
        listeners
            .bind_ip("127.0.0.1:0".parse().expect("an address"))
            .expect("free");
        assert_eq!(listeners.addresses().len(), 2);
    }

    #[test]
    fn the_wildcard_of_ipv6_alone_may_lack_its_family() {
        let bind = |address: &str, is_missing: bool| {
            let address = address.parse().expect("an address");
            let source = io::ErrorKind::Unsupported.into();
            let error = if is_missing {
                BindError::FamilyNotSupported { address, source }
            } else {
                BindError::InUse { address, source }
            };
            unless_no_family::<()>(Err(error), address)
        };
        assert!(matches!(bind("[::]:111", true), Ok(None)));
        assert!(bind("[::1]:111", true).is_err());
        assert!(bind("[::]:111", false).is_err());
    }

    #[test]
    fn a_port_that_is_taken_names_the_address() {
        let address = free_port("127.0.0.1:0");
        let mut first = Listeners::new();
        first.bind_ip(address).expect("free");
        let error = Listeners::new().bind_ip(address).expect_err("taken");
        let cause = std::error::Error::source(&error).expect("a cause");
        assert!(cause.to_string().contains(&address.to_string()), "{cause}");
    }

    #[test]
    fn an_abandoned_unix_socket_is_taken_over_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sock");
        let name = path.to_str().expect("text");
        let live = UnixEndpoint::bind(name).expect("free");
        assert_eq!(fs::metadata(name).expect("there").mode() & 0o777, 0o666);
        let error = UnixEndpoint::bind(name).expect_err("a socket listens");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let kept = live.listener.try_clone().expect("a copy");
        drop(live);
        assert!(!path.exists());
        drop(kept);

        let mut abandoned = UnixEndpoint::bind(name).expect("free");
        std::mem::forget(abandoned.created.take());
        drop(abandoned);
        assert!(path.exists());
        let again = UnixEndpoint::bind(name).expect("abandoned");
        drop(again);
        assert!(!path.exists());
    }

    #[test]
    fn an_abstract_name_is_taken_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let name = format!("@{}", directory.path().display());
        let first = UnixEndpoint::bind(&name).expect("free");
        assert!(UnixEndpoint::bind(&name).is_err());
        drop(first);
        assert!(UnixEndpoint::bind(&name).is_ok());
    }

    #[test]
    fn what_a_service_manager_passes_is_taken_for_what_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sock").display().to_string();
        let abstract_name = format!("@{path}");
        let any: SocketAddr = "[::]:0".parse().expect("an address");
        let udp = eport_bind::udp(any, &UdpOptions::default()).expect("free");
        let tcp = eport_bind::tcp(any, &TcpOptions::default().only_v6(true)).expect("free");
        let mut listeners = Listeners::new();
        for socket in [OwnedFd::from(udp), tcp.into()] {
            listeners.adopt(socket).expect("of use");
        }
        for name in [&path, &abstract_name] {
            let listener = bind::unix(name).expect("free");
            listeners.adopt(listener.into()).expect("of use");
        }
        let addresses = listeners.addresses();
        let netids: Vec<_> = addresses.iter().map(|(netid, _)| *netid).collect();
        let local = Netid::Local;
        // The UDP socket is dual-stack.
        assert_eq!(netids, [Netid::Tcp6, Netid::Udp6, Netid::Udp, local, local]);
        let names: Vec<_> = addresses[3..]
            .iter()
            .map(|(_, at)| at.to_string())
            .collect();
        assert_eq!(names, [abstract_name, path]);
    }

    #[test]
    fn sockets_that_cannot_take_calls_are_refused() {
        let (stream, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let datagrams = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
        let file = tempfile::tempfile().expect("a file");
        let mut listeners = Listeners::new();
        let mut refused = |fd: OwnedFd| listeners.adopt(fd).expect_err("not a listening socket");
        assert!(matches!(refused(stream.into()), AdoptError::NotListening));
        assert!(matches!(refused(datagrams.into()), AdoptError::Kind));
        assert!(matches!(refused(file.into()), AdoptError::Io(_)));
    }

    #[test]
    fn the_wildcard_of_ipv6_joins_the_group_and_the_others_do_not() {
        let group = crate::rpcbind::GROUP;
        let mut listeners = Listeners::new();
        listeners.bind_ip(free_port("127.0.0.1:0")).expect("free");
        assert_eq!(listeners.join(group), 0);
        listeners.bind_ip(free_port("[::]:0")).expect("free");
        assert_eq!(listeners.join(group), bind::multicast_interfaces().len());
    }

    /// An address with a port that is free for UDP and TCP at this moment.
    fn free_port(address: &str) -> SocketAddr {
        let mut address: SocketAddr = address.parse().expect("an address");
        let probe = eport_bind::tcp(address, &TcpOptions::default());
        let probe = probe.expect("some port is free");
        address.set_port(probe.local_addr().expect("bound").port());
        address
    }
}
