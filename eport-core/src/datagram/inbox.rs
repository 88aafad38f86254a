//! Receiving a batch of datagrams per system call.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::libc::in6_pktinfo;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use super::Arrival;
use super::arrival::addresses;

/// Datagrams received with one system call.
const BATCH: usize = 32;

/// Room for a batch of 32 datagrams, shared by several sockets of one thread. Nothing is allocated
/// per datagram.
pub struct Inbox {
    /// One set for each socket: the kernel leaves the lengths of what it wrote in them, and a
    /// length left by IPv4 would cut the next IPv6 address short.
    headers: Vec<MultiHeaders<SockaddrStorage>>,
    /// The port of each socket.
    ports: Vec<u16>,
    longest: usize,
    buffers: Box<[u8]>,
}

impl Inbox {
    /// Allocates room for datagrams of up to `longest` bytes (at least one), a batch of them.
    /// Longer ones are dropped.
    ///
    /// # Errors
    /// The error of `getsockname`.
    pub fn new<'s>(
        sockets: impl IntoIterator<Item = &'s UdpSocket>,
        longest: usize,
    ) -> io::Result<Self> {
        let addresses = sockets.into_iter().map(UdpSocket::local_addr);
        let ports: Vec<_> = addresses
            .map(|address| Ok(address?.port()))
            .collect::<io::Result<_>>()?;
        let longest = longest.max(1);
        Ok(Self {
            headers: std::iter::repeat_with(headers).take(ports.len()).collect(),
            ports,
            longest,
            buffers: vec![0; BATCH * longest].into_boxed_slice(),
        })
    }

    /// Receives at most one batch from `socket`, the socket number `index` of those given to
    /// [`new`](Self::new), without blocking, and calls `each` with each datagram. Returns true if
    /// the batch was full, so that there may be more.
    ///
    /// # Errors
    /// The error of `recvmmsg`: `WouldBlock` if the receive buffer is empty, or the ICMP error of an
    /// earlier reply.
    pub fn receive(
        &mut self,
        index: usize,
        socket: &impl AsFd,
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
            .chunks_exact_mut(self.longest)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let received = recvmmsg(
            socket.as_fd().as_raw_fd(),
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
            if let Some((client, local, unicast)) = addresses(&message, port) {
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

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("ports", &self.ports)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in6_pktinfo)))
}
