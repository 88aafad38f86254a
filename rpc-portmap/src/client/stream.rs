//! Calls over a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::mpsc;

use super::error::CallError;
use super::pending::Pending;
use crate::rpc::{RecordLimits, RecordReader, put_record};

/// Calls that wait to be written at most; further callers wait for room.
const QUEUE: usize = 64;
/// Bytes read at a time.
const READ: usize = 64 << 10;

/// The handle of a connection whose task reads and writes: so a call that is cancelled half way
/// leaves the stream intact.
#[derive(Clone, Debug)]
pub(super) struct StreamLink {
    calls: mpsc::Sender<Vec<u8>>,
    pending: Pending,
}

impl StreamLink {
    pub(super) fn new<S>(stream: S, limits: RecordLimits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (calls, queue) = mpsc::channel(QUEUE);
        let pending = Pending::default();
        tokio::spawn(drive(stream, queue, pending.clone(), limits));
        Self { calls, pending }
    }

    /// Sends a call and waits for its reply.
    pub(super) async fn exchange(&self, xid: u32, call: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut record = Vec::with_capacity(call.len() + 4);
        put_record(&mut record, |out| out.extend_from_slice(call));
        let mut expected = self.pending.expect(xid);
        self.calls
            .send(record)
            .await
            .map_err(|_| CallError::Closed)?;
        expected.reply().await
    }

    /// Waits until the connection ends.
    pub(super) async fn closed(&self) {
        self.calls.closed().await;
    }
}

/// Moves bytes both ways until the stream ends or the last handle is dropped.
async fn drive<S>(
    stream: S,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pending: Pending,
    limits: RecordLimits,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut input, mut output) = split(stream);
    let writing = async {
        while let Some(record) = queue.recv().await {
            output.write_all(&record).await?;
        }
        Ok::<(), io::Error>(())
    };
    let reading = async {
        let mut reader = RecordReader::new(limits);
        let mut buffer = vec![0; READ];
        loop {
            let count = input.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            let mut bytes = buffer.get(..count).unwrap_or_default();
            while let Some(record) = reader.read(&mut bytes).map_err(io::Error::other)? {
                pending.deliver(record);
            }
        }
    };
    // The first to end closes the connection; waiting calls need no reason.
    let _: io::Result<()> = tokio::select! {
        end = writing => end,
        end = reading => end,
    };
    pending.close();
}
