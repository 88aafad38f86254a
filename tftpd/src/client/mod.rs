//! The client: one file from any TFTP server.

mod error;
mod handshake;
mod transfer;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use eport_core::Allocator;
use tokio::io::{AsyncWrite, AsyncWriteExt};

pub use error::GetError;

use crate::{
    net::{self, ClientSocket},
    proto::{Blksize, Direction, Mode, Options, Patience, Request, Windowsize},
};

/// Fetches files.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tftpd::Client;
///
/// let bytes = Client::new()?.get_bytes("192.0.2.1:69".parse()?, "pxelinux.0").await?;
/// # let _ = bytes; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    allocator: Allocator,
    options: Options,
    patience: Patience,
    answer_within: Duration,
}

/// What was fetched, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fetched {
    /// Bytes.
    pub size: u64,
    /// From the request to the last block.
    pub elapsed: Duration,
    /// The port that the server carried the transfer on from.
    pub server: SocketAddr,
    /// Packets that had to be repeated on this side.
    pub resent: u32,
}

impl Client {
    /// A client whose ports come from an allocator of its own.
    ///
    /// # Errors
    /// [`eport_core::BuildError`] if this machine's ports cannot be planned.
    pub fn new() -> Result<Self, eport_core::BuildError> {
        Ok(Self::with_allocator(Allocator::builder().build()?))
    }

    /// A client whose ports come from `allocator`.
    pub fn with_allocator(allocator: Allocator) -> Self {
        let options = Options {
            blksize: Blksize::new(1428),
            tsize: Some(0),
            windowsize: Windowsize::new(16),
            ..Options::default()
        };
        Self {
            allocator,
            options,
            patience: Patience::default(),
            answer_within: Duration::from_secs(5),
        }
    }

    /// The options to ask for; [`Options::default`] makes this a client of RFC 1350 alone. By
    /// default: blocks of 1428 bytes, 16 to a window, and the size.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How long the server may take to answer at all: 5 s by default.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// How long silence is borne once it has answered.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Fetches `name` from `server` into `sink`, block by block and in order. `sink` is flushed
    /// before the last block is acknowledged. When it fails, what has arrived so far is in `sink`.
    ///
    /// # Errors
    /// [`GetError`], which tells a missing file, a server that is not there and a broken transfer
    /// apart.
    pub async fn get<S>(
        &self,
        server: SocketAddr,
        name: impl AsRef<[u8]>,
        sink: &mut S,
    ) -> Result<Fetched, GetError>
    where
        S: AsyncWrite + Unpin + ?Sized,
    {
        let started = net::now();
        let request = Request {
            direction: Direction::Read,
            filename: checked(name.as_ref())?,
            mode: Mode::Octet,
            options: self.options,
        };
        let lease = self
            .allocator
            .udp(unspecified(server))
            .lease()
            .map_err(GetError::NoPort)?;
        let mut socket = ClientSocket::new(lease).map_err(GetError::Socket)?;
        let opened = handshake::open(&mut socket, server, &request, self.answer_within).await?;
        let (peer, announced) = (opened.peer, opened.size);
        let done = transfer::receive(&mut socket, opened, self.patience, sink).await?;
        match announced {
            Some(announced) if announced != done.size => Err(GetError::Size {
                announced,
                received: done.size,
            }),
            _ => Ok(Fetched {
                size: done.size,
                elapsed: net::now() - started,
                server: peer,
                resent: done.resent,
            }),
        }
    }

    /// As [`get`](Self::get), into memory.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_bytes(
        &self,
        server: SocketAddr,
        name: impl AsRef<[u8]>,
    ) -> Result<Vec<u8>, GetError> {
        let mut bytes = Vec::new();
        self.get(server, name, &mut bytes).await?;
        bytes.shutdown().await.map_err(GetError::Sink)?;
        Ok(bytes)
    }
}

fn checked(name: &[u8]) -> Result<&[u8], GetError> {
    if name.is_empty() || name.contains(&0) {
        Err(GetError::Name)
    } else {
        Ok(name)
    }
}

/// Any address of this machine from which `server` can be reached.
fn unspecified(server: SocketAddr) -> SocketAddr {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    SocketAddr::new(any, 0)
}
