//! The port that requests are sent to.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use eport_core::{
    bind::{self, BindError, UdpOptions},
    datagram,
};

/// One or more bound sockets on which requests arrive.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tftpd::Listener::bind("[::]:69".parse()?)?; // every address, both families
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Listener {
    groups: Vec<SocketGroup>,
}

/// The sockets of one address, among which the kernel divides the clients.
type SocketGroup = Vec<UdpSocket>;

impl Listener {
    /// Listens on one address. `[::]` means every address of both families (of IPv4 alone where
    /// the kernel has no IPv6), `0.0.0.0` every IPv4 address; port 0 takes one that is free.
    ///
    /// # Errors
    /// [`ListenError`] if the port is taken or forbidden, or the address is not this machine's.
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        Self::bind_all(&[address])
    }

    /// Listens on all of `addresses` or on none. Beside `0.0.0.0`, `[::]` with the same port means
    /// IPv6 alone.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_all(addresses: &[SocketAddr]) -> Result<Self, ListenError> {
        let mut groups = Vec::new();
        for address in addresses {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            groups.extend(bind_one(*address, addresses.contains(&v4))?);
        }
        Self::new(groups)
    }

    /// Takes over sockets that are bound already, as a service manager passes them.
    ///
    /// # Errors
    /// [`ListenError`] if one of them is not a UDP socket of IPv4 or IPv6.
    pub fn from_sockets(sockets: Vec<UdpSocket>) -> Result<Self, ListenError> {
        Self::new(sockets.into_iter().map(|socket| vec![socket]).collect())
    }

    fn new(groups: Vec<SocketGroup>) -> Result<Self, ListenError> {
        groups
            .iter()
            .flatten()
            .try_for_each(prepare)
            .map_err(ListenError::Unusable)?;
        Ok(Self { groups })
    }

    /// The addresses listened on: one or two for each that was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let first = self.groups.iter().filter_map(|group| group.first());
        first
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// The first of [`local_addrs`](Self::local_addrs).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addrs().first().copied()
    }

    /// Keeps one socket for each address: a broadcast is delivered to every socket of its port, and
    /// each would answer it.
    pub(crate) fn undivided(mut self) -> Self {
        for group in &mut self.groups {
            group.truncate(1);
        }
        self
    }

    /// Divides the sockets among so many threads; every thread gets some of each address, if there
    /// are as many.
    pub(crate) fn divide(self, threads: usize) -> Vec<Vec<UdpSocket>> {
        let mut parts: Vec<Vec<UdpSocket>> =
            std::iter::repeat_with(Vec::new).take(threads).collect();
        for group in self.groups {
            for (index, socket) in group.into_iter().enumerate() {
                if let Some(part) = parts.get_mut(index % threads.max(1)) {
                    part.push(socket);
                }
            }
        }
        parts
    }
}

/// The reason why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket that was passed in cannot be used.
    #[error("a socket that was passed in cannot be used for TFTP")]
    Unusable(#[source] io::Error),
}

/// Binds the sockets of one address; of `[::]` those of IPv6 alone if `without_v4`.
fn bind_one(address: SocketAddr, without_v4: bool) -> Result<Vec<SocketGroup>, BindError> {
    if without_v4 {
        return Ok(vec![group(address)?]);
    }
    bind::both_families(address, group, |group| {
        let first = group.first().ok_or(io::ErrorKind::NotFound)?;
        first.local_addr()
    })
}

/// Binds a socket for each processor.
fn group(address: SocketAddr) -> Result<SocketGroup, BindError> {
    bind::udp_group(address, &options(), super::processors())
}

/// A large receive buffer: when a rack is switched on, its first requests arrive together.
fn options() -> UdpOptions {
    UdpOptions::default().only_v6(true).receive_buffer(4 << 20)
}

fn prepare(socket: &UdpSocket) -> io::Result<()> {
    datagram::report_destination(socket)?;
    socket.set_nonblocking(true)
}

/// The longest request that is read, in bytes. A longer one is dropped: no file name needs it.
const LONGEST: usize = 2048;

/// Allocates room for the requests that arrive on `sockets`.
pub(crate) fn inbox<'s>(
    sockets: impl IntoIterator<Item = &'s UdpSocket>,
) -> io::Result<datagram::Inbox> {
    datagram::Inbox::new(sockets, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_one_port_in_both_families() {
        let listener =
            Listener::bind("[::]:0".parse().expect("an address")).expect("both families");
        let port = listener.local_addr().expect("bound").port();
        let ports: Vec<_> = listener
            .local_addrs()
            .iter()
            .map(SocketAddr::port)
            .collect();
        assert_eq!(ports, [port, port]);
    }

    #[test]
    fn both_wildcards_may_be_named_and_an_address_named_twice_is_taken() {
        let free = Listener::bind("[::]:0".parse().expect("an address")).expect("bound");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let [v4, v6] =
            ["0.0.0.0", "::"].map(|ip| SocketAddr::new(ip.parse().expect("an address"), port));
        for both in [[v4, v6], [v6, v4]] {
            assert_eq!(
                Listener::bind_all(&both).expect("bound").local_addrs(),
                both
            );
        }
        let twice = Listener::bind_all(&[v4, v4]).expect_err("taken");
        assert!(
            matches!(twice, ListenError::Bind(BindError::InUse { .. })),
            "{twice}"
        );
    }
}
