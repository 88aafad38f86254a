//! Calls by UDP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use eport_core::Lease;
use eport_core::bind::{self, UdpOptions};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::{CallError, ConnectError};
use super::pending::Pending;

/// The wait before a call is sent again; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest reply, in bytes.
const LONGEST: usize = 65_536;

/// A connected socket, on a port of the kernel's choice or a leased one, with the task that reads
/// from it.
#[derive(Debug)]
pub(super) struct DatagramLink {
    socket: Arc<Connected>,
    pending: Pending,
    reader: JoinHandle<()>,
}

impl DatagramLink {
    pub(super) fn open(server: SocketAddr) -> Result<Self, ConnectError> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = bind::udp(any, &UdpOptions::default())
            .map_err(|source| ConnectError::NoSocket { server, source })?;
        let failed = |source| ConnectError::Ip { server, source };
        // Connected, so that the kernel drops datagrams from other addresses and reports ICMP
        // errors.
        socket.connect(server).map_err(failed)?;
        UdpSocket::from_std(socket)
            .map(|socket| Self::over(Connected::Plain(socket)))
            .map_err(failed)
    }

    /// Takes a leased socket that is already connected.
    pub(super) fn leased(lease: Lease<std::net::UdpSocket>) -> io::Result<Self> {
        let lease = lease.try_map(UdpSocket::from_std)?;
        Ok(Self::over(Connected::Leased(lease)))
    }

    fn over(socket: Connected) -> Self {
        let socket = Arc::new(socket);
        let pending = Pending::default();
        let reader = tokio::spawn(read(Arc::clone(&socket), pending.clone()));
        Self {
            socket,
            pending,
            reader,
        }
    }

    /// Sends a call until its reply comes; the caller bounds the time.
    pub(super) async fn exchange(&self, xid: u32, call: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut expected = self.pending.expect(xid);
        let mut wait = FIRST_WAIT;
        loop {
            self.socket
                .send(call)
                .await
                .map_err(CallError::Unreachable)?;
            if let Ok(reply) = timeout(wait, expected.reply()).await {
                return reply;
            }
            wait *= 2;
        }
    }
}

impl Drop for DatagramLink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Debug)]
enum Connected {
    Plain(UdpSocket),
    Leased(Lease<UdpSocket>),
}

impl Deref for Connected {
    type Target = UdpSocket;

    fn deref(&self) -> &UdpSocket {
        match self {
            Self::Plain(socket) => socket,
            Self::Leased(lease) => lease,
        }
    }
}

async fn read(socket: Arc<Connected>, pending: Pending) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => pending.deliver(buffer.get(..length).unwrap_or_default().to_vec()),
            Err(error) => {
                let kind = error.kind();
                pending.fail_all(|| CallError::Unreachable(io::Error::from(kind)));
            }
        }
    }
}
