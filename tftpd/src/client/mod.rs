//! The client: files from and to any TFTP server.

mod clock;
mod connect;
mod connection;
mod error;
mod handshake;
mod probe;
mod progress;
mod receive;
mod send;
mod send_buffer;
mod stall_timer;
mod stream;

use std::{net::SocketAddr, time::Duration};

use eport_core::Allocator;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::ToSocketAddrs,
};

pub use error::TransferError;
pub use probe::Probe;
pub use progress::Progress;
pub use stream::{FileReader, FileWriter};

use crate::proto::{Blksize, Mode, Options, Patience, Windowsize};
use connect::FileRequest;
use progress::Hook;
use stall_timer::StallLimits;

/// Fetches and sends files, and asks servers what they would do.
///
/// A server is whatever [`ToSocketAddrs`] takes: an address, several, or a name with a port. Of
/// several addresses the next is asked when one cannot be reached or nothing listens there.
///
/// Every transfer has a port of its own. Dropping the future, or the stream, ends the transfer and
/// gives the port back, wherever it stands; the server learns it when it writes to that port.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tftpd::Client;
///
/// let client = Client::new()?;
/// let loader = client.get_bytes("192.0.2.1:69", "pxelinux.0").await?;
/// client.put_bytes(("backup.example", 69), "pxelinux.0", &loader).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    allocator: Allocator,
    options: Options,
    mode: Mode,
    patience: Patience,
    answer_within: Duration,
    on_progress: Hook,
}

/// What was transferred, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transferred {
    /// Bytes of the file on this side.
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
            mode: Mode::Octet,
            patience: Patience::default(),
            answer_within: Duration::from_secs(5),
            on_progress: Hook::default(),
        }
    }

    /// The options to ask for; [`Options::default`] makes this a client of RFC 1350 alone. By
    /// default: blocks of 1428 bytes, 16 to a window, and the size.
    ///
    /// A window that the system's receive buffer cannot hold is asked for no larger than it can.
    /// Of `tsize` it matters only whether it is set.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How the bytes travel: [`Mode::Octet`] by default. With [`Mode::Netascii`] lines end as they
    /// do here on this side, and in CR LF on the way.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How long the server may take to answer at all: 5 s by default. Three times as long the
    /// first block may take to get through after the answer.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// How long silence is borne once blocks have got through.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Calls `hook` whenever more of a file has arrived, or has been acknowledged.
    #[must_use]
    pub fn on_progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Hook::new(hook);
        self
    }

    /// Fetches `name` from `server` into `sink`, block by block and in order. `sink` is flushed
    /// before the last block is acknowledged. When it fails, what has arrived so far is in `sink`.
    ///
    /// # Errors
    /// [`TransferError`], which tells a missing file, a server that is not there and a broken
    /// transfer apart.
    pub async fn get<S>(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
        sink: &mut S,
    ) -> Result<Transferred, TransferError>
    where
        S: AsyncWrite + Unpin + ?Sized,
    {
        let opened = self.open(server, FileRequest::read(name.as_ref())).await?;
        receive::receive(self, opened, sink).await
    }

    /// As [`get`](Self::get), into memory.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_bytes(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
    ) -> Result<Vec<u8>, TransferError> {
        let mut bytes = Vec::new();
        self.get(server, name, &mut bytes).await?;
        Ok(bytes)
    }

    /// Sends `source` to `server` as `name`, up to its end. `size`, if it is known, is announced,
    /// and `source` must be exactly as long.
    ///
    /// No more than a window is held in memory.
    ///
    /// # Errors
    /// [`TransferError`], which tells a refusal, a full disk, a server that is not there and a
    /// broken transfer apart.
    pub async fn put<S>(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
        source: &mut S,
        size: Option<u64>,
    ) -> Result<Transferred, TransferError>
    where
        S: AsyncRead + Unpin + ?Sized,
    {
        let opened = self
            .open(server, FileRequest::write(name.as_ref(), size))
            .await?;
        send::send(self, opened, source, size).await
    }

    /// As [`put`](Self::put), from memory.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_bytes(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Transferred, TransferError> {
        let mut bytes = bytes.as_ref();
        let size = Some(bytes.len() as u64);
        self.put(server, name, &mut bytes, size).await
    }

    /// Opens `name` on `server` to be read while it arrives.
    ///
    /// # Errors
    /// [`TransferError`] if the server refuses or does not answer. What fails later is an error of
    /// the stream.
    pub async fn open_read(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
    ) -> Result<FileReader, TransferError> {
        let opened = self.open(server, FileRequest::read(name.as_ref())).await?;
        Ok(FileReader::new(self.clone(), opened))
    }

    /// Opens `name` on `server` to be sent while it is written. `size` is as in
    /// [`put`](Self::put).
    ///
    /// # Errors
    /// [`TransferError`] if the server refuses or does not answer. What fails later is an error of
    /// the stream.
    pub async fn open_write(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
        size: Option<u64>,
    ) -> Result<FileWriter, TransferError> {
        let opened = self
            .open(server, FileRequest::write(name.as_ref(), size))
            .await?;
        Ok(FileWriter::new(self.clone(), opened, size))
    }

    /// Asks `server` for `name` and ends the transfer at once, so that it moves no file.
    ///
    /// # Errors
    /// [`TransferError`]; a refusal too, although it shows that the server is there
    /// ([`TransferError::is_answer`]).
    pub async fn probe(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
    ) -> Result<Probe, TransferError> {
        let opened = self.open(server, FileRequest::read(name.as_ref())).await?;
        Ok(Probe::end(opened).await)
    }

    fn limits(&self) -> StallLimits {
        StallLimits {
            first: self.answer_within * 3,
            later: self.patience.silence,
        }
    }

    fn progressed(&self, transferred: u64, size: Option<u64>) {
        self.on_progress.call(Progress { transferred, size });
    }
}
