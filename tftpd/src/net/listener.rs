//! The port that hears requests.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

use eport_core::bind::{self, BindError, UdpOptions};
use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
        recvmmsg, sendmsg, setsockopt, sockopt,
    },
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
    doors: Vec<Door>,
}

/// The sockets of one address, among which the kernel divides the clients.
type Door = Vec<UdpSocket>;

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
        let mut doors = Vec::new();
        for address in addresses {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            doors.extend(bind_one(*address, addresses.contains(&v4))?);
        }
        Self::new(doors)
    }

    /// Takes over sockets that are bound already, as a service manager passes them.
    ///
    /// # Errors
    /// [`ListenError`] if one of them is not a UDP socket of IPv4 or IPv6.
    pub fn from_sockets(sockets: Vec<UdpSocket>) -> Result<Self, ListenError> {
        Self::new(sockets.into_iter().map(|socket| vec![socket]).collect())
    }

    fn new(doors: Vec<Door>) -> Result<Self, ListenError> {
        doors
            .iter()
            .flatten()
            .try_for_each(announce_destination)
            .map_err(ListenError::Unusable)?;
        Ok(Self { doors })
    }

    /// The addresses listened on: one or two for each that was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let first = self.doors.iter().filter_map(|door| door.first());
        first
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// The first of [`local_addrs`](Self::local_addrs).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addrs().first().copied()
    }

    /// One socket for each address: a broadcast comes to every socket of its port, and would be
    /// answered by each.
    pub(crate) fn undivided(mut self) -> Self {
        for door in &mut self.doors {
            door.truncate(1);
        }
        self
    }

    /// The sockets for each of so many threads; every thread has some of each address, if there are
    /// as many.
    pub(crate) fn divide(self, threads: usize) -> Vec<Vec<UdpSocket>> {
        let mut parts: Vec<Vec<UdpSocket>> =
            std::iter::repeat_with(Vec::new).take(threads).collect();
        for door in self.doors {
            for (index, socket) in door.into_iter().enumerate() {
                if let Some(part) = parts.get_mut(index % threads.max(1)) {
                    part.push(socket);
                }
            }
        }
        parts
    }

    #[cfg(test)]
    fn sockets(&self) -> Vec<&UdpSocket> {
        self.doors.iter().flatten().collect()
    }
}

/// Why nothing is listening.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket that was passed in cannot be used.
    #[error("a socket that was passed in cannot be used for TFTP")]
    Unusable(#[source] io::Error),
}

/// How many sockets of one family may find their port taken in the other before `[::]:0` fails.
const PAIR_TRIES: u32 = 16;

/// Two sockets for `[::]`, so that each family tells the destination of a datagram in its own way;
/// one if IPv4 is seen to elsewhere.
fn bind_one(address: SocketAddr, without_v4: bool) -> Result<Vec<Door>, BindError> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) || without_v4 {
        return Ok(vec![door(address)?]);
    }
    let both = |port| -> Result<_, BindError> {
        let v6 = match door(SocketAddr::new(address.ip(), port)) {
            Ok(door) => Some(door),
            Err(BindError::FamilyNotSupported { .. }) => None,
            Err(other) => return Err(other),
        };
        let port = v6
            .as_ref()
            .and_then(|door| door.first()?.local_addr().ok())
            .map_or(port, |bound| bound.port());
        let v4 = door(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
        Ok(v6.into_iter().chain([v4]).collect())
    };
    let mut result = both(address.port());
    for _ in 1..PAIR_TRIES {
        match result {
            Err(BindError::InUse { .. }) if address.port() == 0 => result = both(0),
            _ => break,
        }
    }
    result
}

/// A socket for each processor.
fn door(address: SocketAddr) -> Result<Door, BindError> {
    bind::udp_group(address, &options(), super::processors())
}

/// A large buffer: the first requests of a rack that is switched on come all at once.
fn options() -> UdpOptions {
    UdpOptions::default().only_v6(true).receive_buffer(4 << 20)
}

fn announce_destination(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    socket.set_nonblocking(true)
}

/// A datagram that came to a listening socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) client: SocketAddr,
    /// Where it was sent to, and is answered from; for link-local addresses with the interface as scope.
    pub(crate) local: SocketAddr,
    /// Whether it was sent to this host alone, not to a broadcast or multicast address.
    pub(crate) unicast: bool,
}

/// Datagrams taken with one system call.
const BATCH: usize = 32;
/// The longest request that is read, in bytes. What is longer is dropped: no file name is.
const LONGEST: usize = 2048;

/// Room for what arrives.
pub(crate) struct Inbox {
    /// One set for each socket: the kernel leaves the lengths of what it wrote in them, and a
    /// length left by IPv4 would cut the next IPv6 address short.
    headers: Vec<MultiHeaders<SockaddrStorage>>,
    /// The port of each socket.
    ports: Vec<u16>,
    buffers: Box<[u8]>,
}

impl Inbox {
    /// Room for what comes to these sockets.
    pub(crate) fn new<'s>(sockets: impl IntoIterator<Item = &'s UdpSocket>) -> io::Result<Self> {
        let addresses = sockets.into_iter().map(UdpSocket::local_addr);
        let ports: Vec<_> = addresses
            .map(|address| Ok(address?.port()))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            headers: std::iter::repeat_with(headers).take(ports.len()).collect(),
            ports,
            buffers: vec![0; BATCH * LONGEST].into_boxed_slice(),
        })
    }

    /// Hands what has arrived on `socket`, which is number `index`, to `each`, at most one batch;
    /// whether there may be more.
    pub(crate) fn receive(
        &mut self,
        index: usize,
        socket: &UdpSocket,
        mut each: impl FnMut(Arrival<'_>),
    ) -> io::Result<bool> {
        let headers = self
            .headers
            .get_mut(index)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let port = *self.ports.get(index).ok_or(io::ErrorKind::InvalidInput)?;
        let mut truncated = false;
        let mut slices: Vec<_> = self
            .buffers
            .chunks_exact_mut(LONGEST)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut *headers,
            &mut slices,
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        let mut count = 0;
        for message in received {
            count += 1;
            truncated |= message.flags.contains(MsgFlags::MSG_CTRUNC);
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                continue;
            }
            if let Some((client, local, unicast)) = ends(&message, port) {
                let bytes = message.iovs().next().unwrap_or_default();
                each(Arrival {
                    bytes,
                    client,
                    local,
                    unicast,
                });
            }
        }
        if truncated {
            // The kernel wrote a shorter length over that of a buffer: begin with fresh ones.
            *headers = self::headers();
        }
        Ok(count == BATCH)
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in6_pktinfo)))
}

/// Who sent it, where to, and whether to this host alone.
fn ends(
    message: &RecvMsg<'_, '_, SockaddrStorage>,
    port: u16,
) -> Option<(SocketAddr, SocketAddr, bool)> {
    let client = socket_addr(message.address.as_ref()?)?;
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let to = ipv4(info.ipi_addr);
            // For a broadcast the kernel names another address, which to answer from (ip(7)).
            let answer_from = ipv4(info.ipi_spec_dst);
            Some((
                client,
                SocketAddr::new(answer_from.into(), port),
                to == answer_from,
            ))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scope = if to.is_unicast_link_local() {
                info.ipi6_ifindex
            } else {
                0
            };
            Some((
                client,
                SocketAddrV6::new(to, port, 0, scope).into(),
                !to.is_multicast(),
            ))
        }
        _ => None,
    })
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}

fn ipv4(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be(address.s_addr))
}

/// Sends a datagram from a listening socket, from the address that the client wrote to.
pub(crate) fn reply(
    socket: &UdpSocket,
    datagram: &[u8],
    from: SocketAddr,
    to: SocketAddr,
) -> io::Result<()> {
    let iov = [IoSlice::new(datagram)];
    let to = SockaddrStorage::from(to);
    let send = |control| {
        sendmsg(
            socket.as_raw_fd(),
            &iov,
            &[control],
            MsgFlags::MSG_DONTWAIT,
            Some(&to),
        )
    };
    match from {
        SocketAddr::V4(from) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr {
                s_addr: u32::from(*from.ip()).to_be(),
            },
            ipi_addr: in_addr { s_addr: 0 },
        })),
        SocketAddr::V6(from) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_addr: in6_addr {
                s6_addr: from.ip().octets(),
            },
            ipi6_ifindex: from.scope_id(),
        })),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(
        inbox: &mut Inbox,
        listener: &Listener,
        send_to: SocketAddr,
    ) -> Vec<(Vec<u8>, SocketAddr, bool)> {
        let loopback: IpAddr = if send_to.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        let client =
            bind::udp(SocketAddr::new(loopback, 0), &UdpOptions::default()).expect("a socket");
        client.send_to(b"ping", send_to).expect("sent");
        let mut heard = Vec::new();
        for (index, socket) in listener.sockets().into_iter().enumerate() {
            match inbox.receive(index, socket, |arrival| {
                assert_eq!(Some(arrival.client), client.local_addr().ok());
                heard.push((arrival.bytes.to_vec(), arrival.local, arrival.unicast));
            }) {
                Ok(more) => assert!(!more, "a single datagram came"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        heard
    }

    #[test]
    fn a_wildcard_listener_knows_which_address_was_asked() {
        let listener =
            Listener::bind("[::]:0".parse().expect("an address")).expect("both families");
        let port = listener.local_addr().expect("bound").port();
        assert_eq!(
            listener
                .local_addrs()
                .iter()
                .map(SocketAddr::port)
                .collect::<Vec<_>>(),
            [port, port]
        );
        let mut inbox = Inbox::new(listener.sockets()).expect("bound");
        // IPv6 after IPv4: the lengths of the one must not bind the other.
        for asked in ["127.0.0.1", "127.0.0.77", "::1", "127.0.0.1"] {
            let asked = SocketAddr::new(asked.parse().expect("an address"), port);
            assert_eq!(
                heard(&mut inbox, &listener, asked),
                [(b"ping".to_vec(), asked, true)]
            );
        }
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

    #[test]
    fn a_reply_leaves_from_the_address_that_was_asked() {
        let listener = Listener::bind("0.0.0.0:0".parse().expect("an address")).expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let client = bind::udp(
            "127.0.0.1:0".parse().expect("an address"),
            &UdpOptions::default(),
        )
        .expect("a socket");
        let from = SocketAddr::new("127.0.0.77".parse().expect("an address"), port);
        let to = client.local_addr().expect("bound");
        reply(listener.sockets()[0], b"pong", from, to).expect("sent");
        let mut buffer = [0; 10];
        assert_eq!(client.recv_from(&mut buffer).expect("arrived"), (4, from));
    }
}
