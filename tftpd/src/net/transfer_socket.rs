//! The socket of one transfer.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use eport_core::{
    Lease,
    bind::{self, UdpOptions},
};
use nix::sys::socket::{setsockopt, sockopt};

use super::reply;
use crate::proto::{Blksize, DATA_HEADER, Windowsize};

/// A socket that exchanges the datagrams of one transfer with its client.
#[derive(Debug)]
pub(crate) enum TransferSocket {
    /// A leased socket, connected to the client.
    Own {
        lease: Lease<UdpSocket>,
        segments: Segments,
    },
    /// The listening socket, whose datagrams are received and delivered by the engine.
    Shared {
        listener: Arc<UdpSocket>,
        /// The address that the request was sent to, from which replies are sent.
        local: SocketAddr,
        client: SocketAddr,
    },
}

/// The state of segmentation by the kernel (UDP GSO), with the bytes of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Segments {
    /// Not available, or of no use.
    Never,
    /// Off at the moment: it would segment every longer datagram, an OACK or an ERROR too.
    Wanted(u16),
    /// On.
    Set(u16),
}

/// The result of receiving from a socket.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Datagram(&'a [u8]),
    Nothing,
    /// The client's host answered an earlier datagram with "port unreachable".
    Unreachable,
}

/// An error of sending a datagram.
#[derive(Debug)]
pub(crate) enum SendError {
    /// As [`Received::Unreachable`].
    Unreachable,
    /// The send buffer is full: as a lost datagram, which the timer repeats.
    Full,
    /// A rule of this host's firewall forbids it.
    Forbidden,
    Io(io::Error),
}

impl TransferSocket {
    /// Wraps a leased socket.
    pub(crate) fn own(lease: Lease<UdpSocket>) -> Self {
        Self::Own {
            lease,
            segments: Segments::Never,
        }
    }

    /// Lets the kernel segment windows into full blocks of `blksize`, from the first window on. One
    /// send per window is cheaper from two blocks on.
    pub(crate) fn segment(&mut self, blksize: Blksize, window: Windowsize) {
        if let Self::Own { segments, .. } = self
            && window > Windowsize::ONE
        {
            *segments = Segments::Wanted(u16::try_from(stride(blksize)).unwrap_or(u16::MAX));
        }
    }

    /// Returns the largest block that reaches the client unfragmented, if the path MTU is
    /// known to the kernel: some firmware cannot reassemble fragments.
    pub(crate) fn whole_blksize(&self) -> Option<Blksize> {
        match self {
            Self::Own { lease, .. } => whole_blksize(lease, lease.peer()?),
            // Only a connected socket has a path MTU: one is made and closed again.
            Self::Shared { local, client, .. } => {
                let mut any_port = *local;
                any_port.set_port(0);
                let socket = bind::udp(any_port, &UdpOptions::default()).ok()?;
                socket.connect(client).ok()?;
                whole_blksize(&socket, *client)
            }
        }
    }

    /// Wraps the listening socket for `client`.
    pub(crate) fn shared(listener: Arc<UdpSocket>, local: SocketAddr, client: SocketAddr) -> Self {
        Self::Shared {
            listener,
            local,
            client,
        }
    }

    /// Returns the port on this side.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Own { lease, .. } => lease.port(),
            Self::Shared { local, .. } => local.port(),
        }
    }

    /// Returns true for the listening socket.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared { .. })
    }

    /// Returns the leased socket.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        match self {
            Self::Own { lease, .. } => Some(lease),
            Self::Shared { .. } => None,
        }
    }

    /// Receives one datagram from the leased socket.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        let Some(socket) = self.socket() else {
            return Received::Nothing;
        };
        match socket.recv(buffer) {
            Ok(length) => Received::Datagram(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Received::Unreachable,
            Err(_) => Received::Nothing,
        }
    }

    /// Sends one datagram.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> Result<(), SendError> {
        let sent = match self {
            Self::Own { lease, segments } => {
                if let Segments::Set(size) = *segments
                    && datagram.len() > usize::from(size)
                {
                    set_segments(lease, 0)?;
                    *segments = Segments::Wanted(size);
                }
                lease.send(datagram).map(drop)
            }
            Self::Shared {
                listener,
                local,
                client,
            } => reply(listener, datagram, *local, *client),
        };
        sent.map_err(send_error)
    }

    /// Sends consecutive datagrams of `stride` bytes each; the last may be shorter. One system call
    /// if the kernel can segment them.
    pub(crate) fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError> {
        if datagrams.len() > stride
            && let Self::Own { lease, segments } = self
            && is_segmenting(lease, segments)
        {
            match lease.send(datagrams) {
                Ok(_) => return Ok(()),
                // The blocks exceed the MTU, or the device cannot segment: not tried again.
                Err(error) if cannot_segment(&error) => {
                    *segments = Segments::Never;
                    set_segments(lease, 0)?;
                }
                Err(error) => return Err(send_error(error)),
            }
        }
        datagrams
            .chunks(stride)
            .try_for_each(|datagram| self.send(datagram))
    }
}

/// Returns the largest block that a connected socket sends to `peer` unfragmented.
fn whole_blksize(socket: &UdpSocket, peer: SocketAddr) -> Option<Blksize> {
    let (mtu, headers) = match peer {
        SocketAddr::V4(_) => (rustix::net::sockopt::ip_mtu(socket).ok()?, 20 + 8),
        SocketAddr::V6(_) => (rustix::net::sockopt::ipv6_mtu(socket).ok()?, 40 + 8),
    };
    let room = mtu.checked_sub(headers + u32::try_from(DATA_HEADER).ok()?)?;
    let room = u16::try_from(room).unwrap_or(u16::MAX);
    Blksize::new(room.min(Blksize::MAX.bytes()))
}

/// Switches requested segmentation on; returns true if it is on. Kernels before 4.18 refuse:
/// then each block is sent by itself.
fn is_segmenting(socket: &UdpSocket, segments: &mut Segments) -> bool {
    if let Segments::Wanted(size) = *segments {
        *segments = match set_segments(socket, size) {
            Ok(()) => Segments::Set(size),
            Err(_) => Segments::Never,
        };
    }
    matches!(segments, Segments::Set(_))
}

fn set_segments(socket: &UdpSocket, size: u16) -> Result<(), SendError> {
    setsockopt(&socket, sockopt::UdpGsoSegment, &i32::from(size))
        .map_err(|errno| SendError::Io(errno.into()))
}

fn cannot_segment(error: &io::Error) -> bool {
    use nix::libc::{EINVAL, EIO, EMSGSIZE, EOPNOTSUPP};
    matches!(
        error.raw_os_error(),
        Some(EINVAL | EIO | EMSGSIZE | EOPNOTSUPP)
    )
}

fn send_error(error: io::Error) -> SendError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => SendError::Unreachable,
        io::ErrorKind::WouldBlock => SendError::Full,
        io::ErrorKind::PermissionDenied => SendError::Forbidden,
        _ if error.raw_os_error() == Some(nix::libc::ENOBUFS) => SendError::Full,
        _ => SendError::Io(error),
    }
}

/// Returns the bytes of a full DATA packet.
pub(crate) fn stride(blksize: Blksize) -> usize {
    usize::from(blksize.bytes()) + DATA_HEADER
}
