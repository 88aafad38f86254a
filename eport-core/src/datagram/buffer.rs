//! Receiving one datagram per system call.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::libc::in6_pktinfo;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg};

use super::Arrival;
use super::arrival::addresses;

/// Room for one datagram of one socket. In contrast to [`Inbox`](super::Inbox) it is `Send`, so a
/// task of an async runtime can hold it across an `await`.
#[derive(Debug)]
pub struct Buffer {
    port: u16,
    bytes: Box<[u8]>,
    control: Vec<u8>,
}

impl Buffer {
    /// Allocates `longest` bytes for the datagrams of `socket`. Longer ones are dropped.
    ///
    /// # Errors
    /// The error of `getsockname`.
    pub fn new(socket: &UdpSocket, longest: usize) -> io::Result<Self> {
        Ok(Self {
            port: socket.local_addr()?.port(),
            bytes: vec![0; longest].into_boxed_slice(),
            control: cmsg_space!(in6_pktinfo),
        })
    }

    /// Receives the next datagram without blocking; `Ok(None)` if it was too long, or without a
    /// destination because it came before [`report_destination`](super::report_destination).
    ///
    /// # Errors
    /// The error of `recvmsg`: `WouldBlock` if the receive buffer is empty, or the ICMP error of an
    /// earlier reply.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<Option<Arrival<'_>>> {
        let (addresses, length) = {
            let mut iov = [IoSliceMut::new(&mut self.bytes)];
            let message = recvmsg::<SockaddrStorage>(
                socket.as_fd().as_raw_fd(),
                &mut iov,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                return Ok(None);
            }
            (addresses(&message, self.port), message.bytes)
        };
        let bytes = self.bytes.get(..length).unwrap_or_default();
        Ok(addresses.map(|(client, local, unicast)| Arrival {
            bytes,
            client,
            local,
            unicast,
        }))
    }
}
