//! The client: reads files from TFTP servers and writes files to them.
//!
//! [`Client`] has a method for each way: [`get`](Client::get) and [`put`](Client::put) for a sink
//! or source of bytes, [`get_bytes`](Client::get_bytes) and [`put_bytes`](Client::put_bytes) for
//! memory, [`open_read`](Client::open_read) and [`open_write`](Client::open_write) for a stream,
//! [`probe`](Client::probe) for the server's answer alone.

mod clock;
pub(crate) mod connect;
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

/// A client that reads, writes and probes files on TFTP servers.
///
/// A server is given as [`ToSocketAddrs`]: an address, several, or a name with a port. Of several
/// addresses the next is tried if one cannot be reached or nothing listens there.
///
/// Every transfer has a local port of its own. Dropping the future, or the stream, ends the
/// transfer at any point and releases the port; the server then receives ICMP port unreachable.
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

/// The result of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transferred {
    /// Size in bytes of the file on this side.
    pub size: u64,
    /// Time from the request to the last block.
    pub elapsed: Duration,
    /// The server's address and its port for this transfer.
    pub server: SocketAddr,
    /// Packets that this side sent again.
    pub resent: u32,
}

impl Client {
    /// Returns a client with an allocator of its own.
    ///
    /// # Errors
    /// [`eport_core::BuildError`] if the port range of this machine cannot be determined.
    pub fn new() -> Result<Self, eport_core::BuildError> {
        Ok(Self::with_allocator(Allocator::builder().build()?))
    }

    /// Returns a client that leases its ports from `allocator`.
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

    /// Sets the options to ask for; [`Options::default`] asks for none, as in RFC 1350. The default
    /// is blocks of 1428 bytes, 16 in a window, and `tsize`.
    ///
    /// A window larger than the system's receive buffer is reduced to its size. The value of
    /// `tsize` has no effect; if it is set, the option is sent.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets the transfer mode: [`Mode::Octet`] by default. With [`Mode::Netascii`], lines end in LF
    /// on this side and in CR LF on the wire.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the limit for the server's first answer: 5 s by default. The first block after the
    /// answer has three times as long.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// Sets the limits on retransmission; [`Patience::silence`] is the longest time between blocks.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Calls `hook` each time more of a file was received or acknowledged.
    #[must_use]
    pub fn on_progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Hook::new(hook);
        self
    }

    /// Reads `name` from `server` into `sink`, in order. `sink` is flushed before the last block is
    /// acknowledged. On failure `sink` holds the blocks received so far.
    ///
    /// # Errors
    /// [`TransferError`]; its variants distinguish a missing file, a server that cannot be reached
    /// and an interrupted transfer.
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

    /// Writes `source`, up to its end, to `server` as `name`. `size` in bytes, if known, is sent as
    /// `tsize`, and `source` must have exactly that length.
    ///
    /// At most one window is held in memory.
    ///
    /// # Errors
    /// [`TransferError`]; its variants distinguish a refusal, a full disk, a server that cannot be
    /// reached and an interrupted transfer.
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

    /// Opens `name` on `server` as a stream to read from while blocks arrive.
    ///
    /// # Errors
    /// [`TransferError`] if the server refuses or does not answer. Later failures are errors of the
    /// stream.
    pub async fn open_read(
        &self,
        server: impl ToSocketAddrs,
        name: impl AsRef<[u8]>,
    ) -> Result<FileReader, TransferError> {
        let opened = self.open(server, FileRequest::read(name.as_ref())).await?;
        Ok(FileReader::new(self.clone(), opened))
    }

    /// Opens `name` on `server` as a stream to write to. `size` is as in [`put`](Self::put).
    ///
    /// # Errors
    /// [`TransferError`] if the server refuses or does not answer. Later failures are errors of the
    /// stream.
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

    /// Requests `name` from `server` and ends the transfer after the first answer.
    ///
    /// # Errors
    /// [`TransferError`]; also for a refusal, which proves that the server is running
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
