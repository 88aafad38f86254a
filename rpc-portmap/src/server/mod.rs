//! A framework for RPC services: programs, layers, limits, registration.
//!
//! [`rpc_program!`](crate::rpc_program) turns a list of procedures into a trait with one async
//! method for each. A [`Server`] carries any number of programs and versions and answers the common
//! cases by itself ([RFC 5531 §9](https://www.rfc-editor.org/rfc/rfc5531#section-9)): the procedure
//! NULL, `PROG_UNAVAIL`, `PROG_MISMATCH` with the lowest and highest version, `PROC_UNAVAIL`,
//! `GARBAGE_ARGS`, and `SYSTEM_ERR` for a method that panics.
//!
//! A [`Layer`] surrounds all procedures: [`Networks`] for access, [`RateLimit`] for datagrams per
//! second, [`Trace`] for the log, [`Statistics`] for counters. [`ServerLimits`] bound what callers
//! may hold, and [`ServerBuilder::reply_cache`] keeps repeated datagrams from being carried out
//! twice.
//!
//! ```
//! use std::sync::Arc;
//! use rpc_portmap::rpc::RpcError;
//! use rpc_portmap::server::{Caller, Server};
//! use rpc_portmap::transport::Listeners;
//!
//! rpc_portmap::rpc_program! {
//!     /// Version 1 of a program that doubles numbers.
//!     pub trait Doubler1 = (0x2000_0001, 1);
//!     server Doubler1Server;
//!     client Doubler1Client;
//!     /// Twice the number.
//!     1 => fn double(u32) -> u64;
//! }
//!
//! struct Service;
//!
//! impl Doubler1 for Service {
//!     async fn double(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
//!         Ok(2 * u64::from(number))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut listeners = Listeners::new();
//! listeners.bind_ip("127.0.0.1:0".parse()?)?;
//! let server = Server::builder().version(Doubler1Server::new(Arc::new(Service))).build();
//! server.serve(listeners, async { /* return when it is time to stop */ }).await?;
//! # Ok(()) }
//! ```

mod caller;
mod catch_panic;
mod connections;
mod datagrams;
mod dispatcher;
mod layer;
mod layers;
mod program;
mod registration;
mod reply_cache;
mod streams;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use caller::{Caller, ClaimedUser, Peer};
use eport_core::system::Host;
pub use layer::{Layer, Outcome, Rejection, Request};
pub use layers::{Networks, RateLimit, Statistics, Totals, Trace};
pub use program::{BoxFuture, ProgramVersion};
pub use registration::{RegistrationGuard, RegistrationState};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::registry::Claim;
use crate::rpc::RecordLimits;
use crate::rpcbind::{Netid, UniversalAddress};
use crate::transport::Listeners;
use connections::Connections;
use dispatcher::Dispatcher;
use reply_cache::ReplyCache;

/// The limits of a server towards its callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The longest record of a stream, in bytes, and its most fragments.
    pub record: RecordLimits,
    /// The most open connections; fewer if the process may not open so many descriptors. At the
    /// limit the TCP connection that has been idle for longest is evicted; unix connections are
    /// not.
    pub connections: usize,
    /// The most open connections of one other machine (IPv6: one /64) or of one user other than
    /// root; at this limit the peer's own connection that has been idle for longest is evicted.
    pub connections_per_peer: usize,
    /// The time within which a caller on a stream has to accept a reply.
    pub write: Duration,
    /// The most calls by datagram that wait for a method to finish; further ones are dropped.
    pub waiting_datagrams: usize,
    /// The time for which calls may continue after the server was stopped.
    pub drain: Duration,
}

impl ServerLimits {
    /// Sets [`record`](Self::record).
    #[must_use]
    pub const fn record(self, record: RecordLimits) -> Self {
        Self { record, ..self }
    }

    /// Sets [`connections`](Self::connections).
    #[must_use]
    pub const fn connections(self, connections: usize) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// Sets [`connections_per_peer`](Self::connections_per_peer).
    #[must_use]
    pub const fn connections_per_peer(self, connections_per_peer: usize) -> Self {
        Self {
            connections_per_peer,
            ..self
        }
    }

    /// Sets [`write`](Self::write).
    #[must_use]
    pub const fn write(self, write: Duration) -> Self {
        Self { write, ..self }
    }

    /// Sets [`waiting_datagrams`](Self::waiting_datagrams).
    #[must_use]
    pub const fn waiting_datagrams(self, waiting_datagrams: usize) -> Self {
        Self {
            waiting_datagrams,
            ..self
        }
    }

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub const fn drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            record: RecordLimits::default(),
            connections: 800,
            connections_per_peer: 64,
            write: Duration::from_secs(10),
            waiting_datagrams: 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// A set of programs that is ready to be served.
#[derive(Debug)]
pub struct Server {
    dispatcher: Arc<Dispatcher>,
    limits: ServerLimits,
    reply_cache: Option<usize>,
}

/// A builder of a [`Server`].
#[derive(Debug, Default)]
pub struct ServerBuilder {
    dispatcher: Dispatcher,
    limits: ServerLimits,
    reply_cache: Option<usize>,
}

impl ServerBuilder {
    /// Adds a version of a program; it replaces one with the same numbers.
    #[must_use]
    pub fn version(mut self, version: impl ProgramVersion) -> Self {
        self.dispatcher.mount(Arc::new(version));
        self
    }

    /// Adds a layer, inside those added before.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.dispatcher.wrap(Arc::new(layer));
        self
    }

    /// Sets the limits towards callers.
    #[must_use]
    pub const fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Caches this many replies to datagrams for a minute, so that a call that is retransmitted
    /// because its reply was lost is answered from the cache and not carried out twice ([RFC 5531
    /// §5](https://www.rfc-editor.org/rfc/rfc5531#section-5)). Idempotent programs do without.
    #[must_use]
    pub const fn reply_cache(mut self, replies: usize) -> Self {
        self.reply_cache = Some(replies);
        self
    }

    /// Builds the server.
    pub fn build(self) -> Server {
        Server {
            dispatcher: Arc::new(self.dispatcher),
            limits: self.limits,
            reply_cache: self.reply_cache,
        }
    }
}

impl Server {
    /// Starts a server without programs.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Returns the claims of a server at these addresses: all its programs in all their versions.
    pub fn claims(&self, addresses: &[(Netid, UniversalAddress)]) -> Vec<Claim> {
        let programs = self.dispatcher.programs();
        programs
            .flat_map(|(program, versions)| Claim::all(program, &versions, addresses))
            .collect()
    }

    /// Registers all programs at these addresses with this machine's portmapper, for as long as
    /// the value lives.
    pub fn register(&self, addresses: &[(Netid, UniversalAddress)]) -> RegistrationGuard {
        RegistrationGuard::new(self.claims(addresses))
    }

    /// Serves until `shutdown` is done, then finishes the calls that have begun, for at most
    /// [`ServerLimits::drain`]. Dropping the future stops all tasks.
    ///
    /// # Errors
    /// The system's error if a socket cannot be used; no action of a caller is an error.
    pub async fn serve(
        self,
        listeners: impl Into<Listeners>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let abort = CancellationToken::new();
        let _abort = abort.clone().drop_guard();
        let (alive, mut ended) = mpsc::channel::<std::convert::Infallible>(1);
        self.start(listeners.into(), &stop, &abort, &alive)?;
        drop(alive);
        shutdown.await;
        stop.cancel();
        // Every task holds a sender; the channel ends with the last one.
        let drained = tokio::time::timeout(self.limits.drain, ended.recv());
        let _ = drained.await;
        Ok(())
    }

    fn start(
        &self,
        listeners: Listeners,
        stop: &CancellationToken,
        abort: &CancellationToken,
        alive: &mpsc::Sender<std::convert::Infallible>,
    ) -> io::Result<()> {
        let (udp, tcp, unix, guards) = listeners.into_parts();
        let guards = Arc::new(guards);
        let most = self.limits.connections.min(affordable_connections());
        let connections = Arc::new(Connections::new(most, self.limits.connections_per_peer));
        let replies = self.reply_cache.map(ReplyCache::new).map(Arc::new);
        let spawn = |task: BoxFuture<'static, ()>| {
            let (abort, alive, guards) = (abort.clone(), alive.clone(), Arc::clone(&guards));
            tokio::spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = task => {}
                }
                // The sockets are closed with the task; only then are their ports returned.
                drop((alive, guards));
            });
        };
        let shared = streams::Shared {
            dispatcher: Arc::clone(&self.dispatcher),
            limits: self.limits,
            connections,
            stop: stop.clone(),
            abort: abort.clone(),
            alive: alive.clone(),
        };
        for socket in udp {
            let server = datagrams::DatagramServer::new(socket, &shared, replies.clone())?;
            spawn(Box::pin(server.run()));
        }
        for listener in tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            spawn(Box::pin(streams::accept_tcp(listener, shared.clone())));
        }
        for endpoint in unix {
            spawn(Box::pin(streams::accept_unix(
                endpoint.register()?,
                shared.clone(),
            )));
        }
        Ok(())
    }
}

/// Descriptors kept for anything but connections: listeners, files, the runtime's own.
const OTHER_DESCRIPTORS: u64 = 32;

/// Returns the number of connections that the descriptor limit allows, so that an idle connection
/// is evicted before the system fails an accept.
fn affordable_connections() -> usize {
    let known = Host::new().open_files().ok().flatten();
    known.map_or(usize::MAX, |files| {
        let left = files.soft.saturating_sub(OTHER_DESCRIPTORS);
        usize::try_from(left.max(files.soft / 2)).unwrap_or(usize::MAX)
    })
}
