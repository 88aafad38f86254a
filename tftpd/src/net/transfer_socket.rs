//! The socket of one transfer, and the room in which its windows are put together.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use eport_core::{
    Lease,
    bind::{self, UdpOptions},
};
use nix::sys::socket::{setsockopt, sockopt};

use super::reply;
use crate::{
    backend::Content,
    proto::{Blksize, DATA_HEADER, Data, Rollover, Windowsize},
};

/// The most segments that one send may be cut into (the kernel's `UDP_MAX_SEGMENTS` of old).
const MAX_SEGMENTS: usize = 64;
/// The most bytes that one send may carry: an IPv4 packet less its headers.
const MAX_SEND: usize = 65_507;

/// The way from a transfer to its client and back.
#[derive(Debug)]
pub(crate) enum TransferSocket {
    /// A leased socket, connected to the client.
    Own {
        lease: Lease<UdpSocket>,
        segments: Segments,
    },
    /// The listening socket; what comes from the client is taken from it by somebody else.
    Shared {
        listener: Arc<UdpSocket>,
        /// The address that the client wrote to, from which it is answered.
        local: SocketAddr,
        client: SocketAddr,
    },
}

/// Whether the kernel cuts what is sent into datagrams (UDP GSO), of this many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Segments {
    /// It cannot, or there is nothing to cut.
    Never,
    /// Not yet, or no longer: it would cut everything that is longer, an OACK or an ERROR too.
    Wanted(u16),
    Set(u16),
}

/// What was waiting in a socket.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Datagram(&'a [u8]),
    Nothing,
    /// The client's host answered an earlier datagram with "port unreachable".
    Unreachable,
}

/// Why a datagram did not leave.
#[derive(Debug)]
pub(crate) enum SendError {
    /// As [`Received::Unreachable`].
    Unreachable,
    /// No room now: as good as lost on the way, the timer sees to it.
    Full,
    /// A rule of this host's firewall forbids it.
    Forbidden,
    Io(io::Error),
}

impl TransferSocket {
    /// A socket that is the transfer's alone.
    pub(crate) fn own(lease: Lease<UdpSocket>) -> Self {
        Self::Own {
            lease,
            segments: Segments::Never,
        }
    }

    /// Lets the kernel cut windows into full blocks of `blksize`, from the first window on. One
    /// send for a window pays from two blocks on.
    pub(crate) fn segment(&mut self, blksize: Blksize, window: Windowsize) {
        if let Self::Own { segments, .. } = self
            && window > Windowsize::ONE
        {
            *segments = Segments::Wanted(u16::try_from(stride(blksize)).unwrap_or(u16::MAX));
        }
    }

    /// The largest block that reaches the client in one piece, as far as the kernel knows the path.
    /// Firmware that cannot put fragments together never sees a larger one.
    pub(crate) fn whole_blksize(&self) -> Option<Blksize> {
        match self {
            Self::Own { lease, .. } => whole_blksize(lease, lease.peer()?),
            // A listening socket knows no path. One that does is made for a moment.
            Self::Shared { local, client, .. } => {
                let mut any_port = *local;
                any_port.set_port(0);
                let socket = bind::udp(any_port, &UdpOptions::default()).ok()?;
                socket.connect(client).ok()?;
                whole_blksize(&socket, *client)
            }
        }
    }

    /// The part of a listening socket that belongs to `client`.
    pub(crate) fn shared(listener: Arc<UdpSocket>, local: SocketAddr, client: SocketAddr) -> Self {
        Self::Shared {
            listener,
            local,
            client,
        }
    }

    /// The port on this side.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Own { lease, .. } => lease.port(),
            Self::Shared { local, .. } => local.port(),
        }
    }

    /// Whether it is the listening socket.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared { .. })
    }

    /// The socket that is this transfer's alone.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        match self {
            Self::Own { lease, .. } => Some(lease),
            Self::Shared { .. } => None,
        }
    }

    /// Takes one datagram.
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

    /// Sends datagrams of `stride` bytes each that stand one behind the other; the last may be
    /// shorter. One system call if the kernel can cut them apart.
    pub(crate) fn send_run(&mut self, datagrams: &[u8], stride: usize) -> Result<(), SendError> {
        if datagrams.len() > stride
            && let Self::Own { lease, segments } = self
            && is_cutting(lease, segments)
        {
            match lease.send(datagrams) {
                Ok(_) => return Ok(()),
                // The blocks do not fit the MTU, or the device cannot: fall back for good.
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

/// The largest block that a connected socket sends to `peer` in one piece.
fn whole_blksize(socket: &UdpSocket, peer: SocketAddr) -> Option<Blksize> {
    let (mtu, headers) = match peer {
        SocketAddr::V4(_) => (rustix::net::sockopt::ip_mtu(socket).ok()?, 20 + 8),
        SocketAddr::V6(_) => (rustix::net::sockopt::ipv6_mtu(socket).ok()?, 40 + 8),
    };
    let room = mtu.checked_sub(headers + u32::try_from(DATA_HEADER).ok()?)?;
    let room = u16::try_from(room).unwrap_or(u16::MAX);
    Blksize::new(room.min(Blksize::MAX.bytes()))
}

/// Whether the kernel cuts from now on. A kernel before 4.18 refuses: then each block is sent by
/// itself.
fn is_cutting(socket: &UdpSocket, segments: &mut Segments) -> bool {
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

/// Room for the datagrams of one send, shared by all transfers of a thread: a transfer itself
/// holds no bytes.
#[derive(Debug)]
pub(crate) struct WindowBuffer(Box<[u8]>);

impl WindowBuffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; MAX_SEND + DATA_HEADER].into_boxed_slice())
    }

    /// How many blocks of this size go into one send.
    pub(crate) fn capacity(blksize: Blksize) -> u16 {
        let fit = (MAX_SEND / stride(blksize)).clamp(1, MAX_SEGMENTS);
        u16::try_from(fit).unwrap_or(1)
    }

    /// Puts DATA packets `first` and `count - 1` more together, reading their payloads with one
    /// call straight to their places. `count` is at most [`capacity`](Self::capacity). How many
    /// packets were made comes back with them: fewer if content of unknown size ends before.
    ///
    /// # Errors
    /// What the reader says, or `UnexpectedEof` if the file has become shorter.
    pub(crate) fn fill(
        &mut self,
        content: &Content,
        (blksize, rollover): (Blksize, Rollover),
        first: u64,
        count: u16,
    ) -> io::Result<(&[u8], u16)> {
        let block = u64::from(blksize.bytes());
        let offset = (first - 1) * block;
        let room = block * u64::from(count);
        let mut left = content
            .size()
            .map_or(room, |size| size.saturating_sub(offset).min(room));
        let expected = usize::try_from(left).unwrap_or(usize::MAX);
        let packets = self
            .0
            .chunks_mut(stride(blksize))
            .take(count.into())
            .zip(first..);
        let payloads = packets.map(|(packet, number)| {
            let (header, payload) = packet.split_at_mut(DATA_HEADER);
            header.copy_from_slice(&Data::header(rollover.to_wire(number)));
            let length = left.min(block);
            left -= length;
            let length = usize::try_from(length).unwrap_or(0);
            IoSliceMut::new(payload.get_mut(..length).unwrap_or_default())
        });
        let read = read_into(content, payloads, count, offset, expected)?;
        if read < expected && content.size().is_some() {
            return Err(became_shorter());
        }
        let made = u16::try_from(read / usize::from(blksize.bytes()) + 1)
            .unwrap_or(count)
            .min(count);
        let length = read + usize::from(made) * DATA_HEADER;
        Ok((self.0.get(..length).unwrap_or_default(), made))
    }

    /// As [`fill`](Self::fill), for bytes that come one block after the other: `payload` writes the
    /// payload of a block and answers with its length. A short one is the last; how many packets
    /// were made comes back with them.
    pub(crate) fn fill_with(
        &mut self,
        (blksize, rollover): (Blksize, Rollover),
        first: u64,
        count: u16,
        mut payload: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(&[u8], u16)> {
        let (mut length, mut made) = (0, 0);
        for (packet, number) in self
            .0
            .chunks_mut(stride(blksize))
            .take(count.into())
            .zip(first..)
        {
            let (header, room) = packet.split_at_mut(DATA_HEADER);
            header.copy_from_slice(&Data::header(rollover.to_wire(number)));
            let room = room.get_mut(..blksize.bytes().into()).unwrap_or_default();
            let written = payload(number, room)?;
            length += DATA_HEADER + written;
            made += 1;
            if written < room.len() {
                break;
            }
        }
        Ok((self.0.get(..length).unwrap_or_default(), made))
    }
}

/// Why a transfer ends whose content has fewer bytes than it was opened with.
pub(crate) fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")
}

/// Reads what is at `offset` into `count` payloads with one call.
fn read_into<'b>(
    content: &Content,
    mut payloads: impl Iterator<Item = IoSliceMut<'b>>,
    count: u16,
    offset: u64,
    expected: usize,
) -> io::Result<usize> {
    let mut slots: [IoSliceMut<'_>; MAX_SEGMENTS];
    // The common case by far where windows are not used: no table for 64 of them.
    let mut single;
    let used = if count == 1 {
        single = [payloads.next().unwrap_or_else(|| IoSliceMut::new(&mut []))];
        &mut single[..]
    } else {
        slots =
            std::array::from_fn(|_| payloads.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        slots.get_mut(..usize::from(count)).unwrap_or_default()
    };
    if expected > 0 {
        content.read_at(used, offset)
    } else {
        Ok(0)
    }
}

/// Bytes of a full DATA packet.
pub(crate) fn stride(blksize: Blksize) -> usize {
    usize::from(blksize.bytes()) + DATA_HEADER
}
