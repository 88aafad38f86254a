//! A transfer as a stream of bytes.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::{Client, TransferError, Transferred, handshake::Opened, receive, send};
use crate::proto::Terms;

/// A file that is read while it arrives; see [`Client::open_read`].
///
/// The transfer runs only while this stream is polled: a slow reader delays the ACKs, and at most
/// one window is buffered. Servers end a transfer without ACKs, often after 25 s. End of file means
/// that the file is complete; an earlier failure is an error whose inner error is a
/// [`TransferError`]. Dropped early, the stream releases its port and sends no ERROR.
pub struct FileReader {
    transfer: Transfer,
    bytes: DuplexStream,
    server: SocketAddr,
    size: Option<u64>,
}

/// A file that is sent while it is written; see [`Client::open_write`].
///
/// Bytes are sent once they fill a block; [`flush`](tokio::io::AsyncWriteExt::flush) does not send
/// a part of one. The server has the file once [`shutdown`](tokio::io::AsyncWriteExt::shutdown) has
/// succeeded. The inner error of an error is a [`TransferError`]. Dropped before that, the stream
/// releases its port and sends no ERROR, and the server's transfer never completes.
pub struct FileWriter {
    transfer: Transfer,
    bytes: DuplexStream,
    server: SocketAddr,
}

impl FileReader {
    pub(super) fn new(client: Client, opened: Opened) -> Self {
        let server = opened.connection.peer();
        let size = opened.oack.and_then(|oack| oack.tsize);
        let (bytes, mut sink) = duplex(window_bytes(opened.terms));
        let run = async move { receive::receive(&client, opened, &mut sink).await };
        Self {
            transfer: Transfer::new(run),
            bytes,
            server,
            size,
        }
    }

    /// Returns the server's address and its port for this transfer.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns the size that the server announced, in bytes.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns the result of the transfer, after the end of the file.
    pub const fn transferred(&self) -> Option<&Transferred> {
        self.transfer.done()
    }
}

impl FileWriter {
    pub(super) fn new(client: Client, opened: Opened, size: Option<u64>) -> Self {
        let server = opened.connection.peer();
        let (bytes, mut source) = duplex(window_bytes(opened.terms));
        let run = async move { send::send(&client, opened, &mut source, size).await };
        Self {
            transfer: Transfer::new(run),
            bytes,
            server,
        }
    }

    /// Returns the server's address and its port for this transfer.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns the result of the transfer, after a successful shutdown.
    pub const fn transferred(&self) -> Option<&Transferred> {
        self.transfer.done()
    }
}

impl AsyncRead for FileReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.transfer.poll(cx);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.bytes).poll_read(cx, buffer))?;
        // The transfer drops its end of the pipe when it ends, with or without success.
        let at_end = buffer.filled().len() == before && buffer.remaining() > 0;
        Poll::Ready(if at_end {
            self.transfer.failure()
        } else {
            Ok(())
        })
    }
}

impl AsyncWrite for FileWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.transfer.poll(cx);
        self.transfer.failure()?;
        let written = ready!(Pin::new(&mut self.bytes).poll_write(cx, bytes))?;
        // The transfer has no task of its own; it is polled here to send the new bytes.
        self.transfer.poll(cx);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transfer.poll(cx);
        Poll::Ready(self.transfer.failure())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.bytes).poll_shutdown(cx))?;
        self.transfer.poll(cx);
        if self.transfer.is_running() {
            return Poll::Pending;
        }
        Poll::Ready(self.transfer.failure())
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("server", &self.server)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The transfer behind a stream, polled by the stream's reads and writes.
enum Transfer {
    Running(Running),
    Done(Transferred),
    /// `None` once the error was returned.
    Failed(Option<TransferError>),
}

type Running = Pin<Box<dyn Future<Output = Result<Transferred, TransferError>> + Send>>;

impl Transfer {
    fn new(run: impl Future<Output = Result<Transferred, TransferError>> + Send + 'static) -> Self {
        Self::Running(Box::pin(run))
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Self::Running(running) = self
            && let Poll::Ready(result) = running.as_mut().poll(cx)
        {
            *self = match result {
                Ok(done) => Self::Done(done),
                Err(error) => Self::Failed(Some(error)),
            };
        }
    }

    const fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    const fn done(&self) -> Option<&Transferred> {
        match self {
            Self::Done(done) => Some(done),
            _ => None,
        }
    }

    /// Returns the transfer's error, if it failed; the details only the first time.
    fn failure(&mut self) -> io::Result<()> {
        let Self::Failed(error) = self else {
            return Ok(());
        };
        Err(match error.take() {
            Some(error) => io::Error::other(error),
            None => io::Error::other("the transfer has failed"),
        })
    }
}

/// Returns the bytes of a window.
fn window_bytes(terms: Terms) -> usize {
    usize::from(terms.blksize.bytes()) * usize::from(terms.windowsize.blocks())
}
