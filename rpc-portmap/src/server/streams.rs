//! Calls over connections: TCP and unix sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ServerLimits;
use super::caller::{Caller, Peer};
use super::connections::{ConnectionPermit, Connections};
use super::dispatcher::Dispatcher;
use crate::rpc::{RecordReader, put_record};
use crate::rpcbind::{Family, Netid};
use crate::transport::{AsyncUnixEndpoint, now};

/// The state that all tasks of a server share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) limits: ServerLimits,
    pub(super) connections: Arc<Connections>,
    /// Cancelled to stop accepting calls.
    pub(super) stop: CancellationToken,
    /// Cancelled to stop all tasks.
    pub(super) abort: CancellationToken,
    /// Held by every task and never used to send; the channel ends with the last task.
    pub(super) alive: mpsc::Sender<std::convert::Infallible>,
}

/// Bytes read at a time.
const READ: usize = 8 << 10;
/// Replies that are gathered before they are written, in bytes.
const GATHER: usize = 64 << 10;
/// The time that an evicted connection takes to close.
const LEAVING: Duration = Duration::from_millis(1);
/// The wait when the system has no descriptor for a new connection and none can be evicted.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

pub(super) async fn accept_tcp(listener: TcpListener, shared: Shared) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit_tcp(stream, peer, &shared),
            Err(error) => shared.recover(&error).await,
        }
    }
}

pub(super) async fn accept_unix(endpoint: AsyncUnixEndpoint, shared: Shared) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = endpoint.listener().accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => admit_unix(stream, &shared),
            Err(error) => shared.recover(&error).await,
        }
    }
}

fn admit_tcp(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // A dual-stack socket reports IPv4 peers as IPv4-mapped IPv6 addresses.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let transport = Netid::Tcp.over(Family::from_ip(peer.ip()));
    let peer = Peer::Ip(peer);
    let Some(permit) = shared.connections.admit(&peer, now()) else {
        return;
    };
    // Replies are written whole; Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let caller = Caller::new(transport, peer, Some(local.ip().to_canonical()));
    shared.spawn_connection(stream, caller, permit);
}

fn admit_unix(stream: UnixStream, shared: &Shared) {
    let Ok(credentials) = stream.peer_cred() else {
        return;
    };
    let peer = Peer::Unix {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid(),
    };
    let Some(permit) = shared.connections.admit(&peer, now()) else {
        return;
    };
    shared.spawn_connection(stream, Caller::new(Netid::Local, peer, None), permit);
}

impl Shared {
    fn spawn_connection<S>(&self, stream: S, caller: Caller, permit: ConnectionPermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shared.abort.cancelled() => {}
                // A connection ends with its peer; the error is not the server's.
                _ = serve_connection(stream, caller, &permit, &shared) => {}
            }
        });
    }

    /// Continues after a failed accept: without a pause if the connection itself was aborted, with
    /// one idle connection evicted if the system has run out of descriptors.
    async fn recover(&self, error: &io::Error) {
        let of_connection = [
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
        ];
        if !of_connection.contains(&error.kind()) {
            let evicted = self.connections.evict_idle();
            sleep(if evicted { LEAVING } else { NO_DESCRIPTOR }).await;
        }
    }
}

/// Answers call after call until the peer closes, breaks the protocol, or does not accept its
/// replies in time.
///
/// Calls are answered one at a time: a peer that sends faster than it is answered is held back by
/// its own transport, and replies keep the order of the calls.
async fn serve_connection<S>(
    mut stream: S,
    caller: Caller,
    permit: &ConnectionPermit,
    shared: &Shared,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = RecordReader::new(shared.limits.record);
    let mut buffer = vec![0; READ];
    let mut out = Vec::new();
    loop {
        let count = tokio::select! {
            () = shared.stop.cancelled() => return Ok(()),
            () = permit.evicted() => return Ok(()),
            count = stream.read(&mut buffer) => count?,
        };
        let mut input = buffer.get(..count).unwrap_or_default();
        if input.is_empty() {
            return Ok(());
        }
        permit.busy();
        while let Some(record) = reader.read(&mut input).map_err(io::Error::other)? {
            if let Some(reply) = shared.dispatcher.answer(caller.clone(), &record).await {
                put_record(&mut out, |out| out.extend_from_slice(&reply));
            }
            if out.len() >= GATHER {
                write(&mut stream, &mut out, shared.limits.write).await?;
            }
        }
        write(&mut stream, &mut out, shared.limits.write).await?;
        permit.idle(now());
    }
}

/// Writes the gathered replies, unless the peer does not accept them within `deadline`.
async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    out: &mut Vec<u8>,
    deadline: Duration,
) -> io::Result<()> {
    if !out.is_empty() {
        timeout(deadline, stream.write_all(out)).await??;
        out.clear();
        // Shrinks the buffer again: one long reply does not predict another.
        out.shrink_to(2 * GATHER);
    }
    Ok(())
}
