//! Calls to RPC services.
//!
//! A [`Client`] holds a connection to one server over UDP, TCP or a unix socket; clones share the
//! socket, and any number of calls may be in flight. Every call ends by its deadline; dropping its
//! future cancels it.
//!
//! [`Rpcbind`] has typed calls to a portmapper, [`RegisteredPorts`] the ports that services
//! registered there; clients of other programs come from [`rpc_program!`](crate::rpc_program).
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_portmap::client::Client;
//! use rpc_portmap::rpc::{Program, Version};
//!
//! let client = Client::udp("192.0.2.1:2049".parse()?)?;
//! client.null(Program::new(100_003), Version::new(3)).await?; // NFS version 3 answers
//! # Ok(()) }
//! ```

mod datagram;
mod error;
mod pending;
mod registered_ports;
mod rpcbind;
mod stream;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eport_core::Lease;
pub use error::{CallError, ConnectError};
pub use registered_ports::RegisteredPorts;
pub use rpcbind::Rpcbind;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::rpc::{
    Call, Credential, NULL_PROCEDURE, Procedure, Program, RecordLimits, Reply, Version,
};
use crate::transport;
use crate::xdr::{self, Xdr};
use datagram::DatagramLink;
use stream::StreamLink;

/// The default deadline of a call.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    link: Link,
    transactions: Arc<Transactions>,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Link {
    Datagram(Arc<DatagramLink>),
    Stream(StreamLink),
}

impl Client {
    /// Opens a socket for calls by UDP. Nothing is sent before the first call.
    ///
    /// # Errors
    /// [`ConnectError`] if there is no way to the address.
    pub fn udp(server: SocketAddr) -> Result<Self, ConnectError> {
        let link = DatagramLink::open(server)?;
        Ok(Self::over(Link::Datagram(Arc::new(link))))
    }

    /// Takes a leased and connected socket for calls by UDP; the port is returned with the last
    /// clone.
    ///
    /// # Errors
    /// The system's error if the socket cannot be used.
    pub fn leased(lease: Lease<UdpSocket>) -> io::Result<Self> {
        let link = DatagramLink::leased(lease)?;
        Ok(Self::over(Link::Datagram(Arc::new(link))))
    }

    /// Connects by TCP within a time.
    ///
    /// # Errors
    /// [`ConnectError`] if no process listens there or the connection is not established in time.
    pub async fn tcp(server: SocketAddr, within: Duration) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError::Ip { server, source };
        let stream = timeout(within, connect_tcp(server))
            .await
            .map_err(|elapsed| failed(elapsed.into()))?
            .map_err(failed)?;
        // Calls are written whole; Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        Ok(Self::over(Link::Stream(StreamLink::new(stream, REPLY))))
    }

    /// Connects to a unix socket: a path, or an abstract name that begins with `@`.
    ///
    /// # Errors
    /// [`ConnectError`] if no process listens there.
    pub async fn unix(name: &str) -> Result<Self, ConnectError> {
        // An abstract name begins with a NUL for the system.
        let path = match name.strip_prefix('@') {
            Some(name) => format!("\0{name}"),
            None => name.to_owned(),
        };
        let stream = connect_unix(path)
            .await
            .map_err(|source| ConnectError::Unix {
                name: name.to_owned(),
                source,
            })?;
        Ok(Self::over(Link::Stream(StreamLink::new(stream, REPLY))))
    }

    /// Sets the deadline of each call; clones made before keep their own.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Calls a procedure and waits for its result.
    ///
    /// # Errors
    /// [`CallError`] if no result comes.
    pub async fn call<A: Xdr, R: Xdr>(
        &self,
        program: Program,
        version: Version,
        procedure: Procedure,
        args: &A,
    ) -> Result<R, CallError> {
        let args = xdr::to_bytes(args);
        let call = Call {
            xid: self.transactions.next(),
            program,
            version,
            procedure,
            credential: Credential::None,
            args: &args,
        };
        let mut message = Vec::new();
        call.encode(&mut message);
        let exchange = self.exchange(call.xid, message);
        let reply = timeout(self.timeout, exchange)
            .await
            .map_err(|_| CallError::TimedOut(self.timeout))??;
        let results = Reply::decode(&reply)?.outcome?;
        xdr::from_bytes(results).map_err(CallError::BadResults)
    }

    /// Calls the procedure NULL, which every version of every program answers.
    ///
    /// # Errors
    /// [`CallError`] if no answer comes.
    pub async fn null(&self, program: Program, version: Version) -> Result<(), CallError> {
        self.call(program, version, NULL_PROCEDURE, &()).await
    }

    /// Waits until the server closes the connection; UDP has none, so the wait never ends there.
    pub async fn closed(&self) {
        match &self.link {
            Link::Datagram(_) => std::future::pending().await,
            Link::Stream(link) => link.closed().await,
        }
    }

    async fn exchange(&self, xid: u32, message: Vec<u8>) -> Result<Vec<u8>, CallError> {
        match &self.link {
            Link::Datagram(link) => link.exchange(xid, &message).await,
            Link::Stream(link) => link.exchange(xid, &message).await,
        }
    }

    fn over(link: Link) -> Self {
        Self {
            link,
            transactions: Arc::default(),
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that connects by TCP"
)]
async fn connect_tcp(server: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(server).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that connects to unix sockets without blocking"
)]
async fn connect_unix(path: String) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// The longest reply that is accepted: a list of some hundred thousand registrations.
const REPLY: RecordLimits = RecordLimits {
    bytes: 32 << 20,
    fragments: 1 << 16,
};

/// Transaction ids that an off-path sender cannot guess.
#[derive(Debug)]
struct Transactions {
    hasher: RandomState,
    count: AtomicU32,
}

impl Default for Transactions {
    fn default() -> Self {
        Self {
            hasher: transport::random_state(),
            count: AtomicU32::new(0),
        }
    }
}

impl Transactions {
    fn next(&self) -> u32 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let [a, b, c, d, ..] = self.hasher.hash_one(count).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}
