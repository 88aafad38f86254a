//! A framework for RPC services.
//!
//! [`rpc_program!`](crate::rpc_program) turns a list of procedures into a trait with one async
//! method for each. A [`Server`] carries any number of programs and versions and answers by
//! itself what is the same for all of them: the procedure NULL, `PROG_UNAVAIL`, `PROG_MISMATCH`
//! with the lowest and highest version, `PROC_UNAVAIL`, `GARBAGE_ARGS`, and `SYSTEM_ERR` where a
//! method panics.
//!
//! A [`Layer`] surrounds all procedures; there are [`Networks`] for who may call, [`RateLimit`] for
//! how often, [`Trace`] for the log and [`Statistics`] to count. [`ServerLimits`] bound what callers may
//! hold, and [`ServerBuilder::reply_cache`] keeps repeated datagrams from being carried out twice.
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

/// What a server allows itself and its callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The longest record of a stream, and its most fragments.
    pub record: RecordLimits,
    /// Connections open at once; fewer where the process may not have so many descriptors. When they
    /// are all taken, the TCP connection that has been idle for longest makes room; unix
    /// connections stay.
    pub connections: usize,
    /// Connections open at once from one other machine (IPv6: one network of /64) or of one user
    /// other than root; when it has them all, its own that has been idle for longest makes room.
    pub connections_per_peer: usize,
    /// How long a caller on a stream may take to accept a reply.
    pub write: Duration,
    /// Calls by datagram that may be waiting for something at once; further ones are dropped.
    pub waiting_datagrams: usize,
    /// How long calls may go on after the server was told to stop.
    pub drain: Duration,
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

/// Programs that are ready to be served.
#[derive(Debug)]
pub struct Server {
    dispatcher: Arc<Dispatcher>,
    limits: ServerLimits,
    reply_cache: Option<usize>,
}

/// Makes a [`Server`].
#[derive(Debug, Default)]
pub struct ServerBuilder {
    dispatcher: Dispatcher,
    limits: ServerLimits,
    reply_cache: Option<usize>,
}

impl ServerBuilder {
    /// Adds a version of a program; in place of the same one, if it was added before.
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

    /// Sets what is allowed.
    #[must_use]
    pub const fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps this many replies to datagrams for a minute, so that a call that is sent again because its
    /// reply was lost is answered again and not carried out again (RFC 5531 §5). Calls that may be
    /// carried out twice do without.
    #[must_use]
    pub const fn reply_cache(mut self, replies: usize) -> Self {
        self.reply_cache = Some(replies);
        self
    }

    /// The server.
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

    /// What a server at these addresses can register: all its programs in all their versions.
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

    /// Serves until `shutdown` is done, then finishes the calls that have begun, for as long as
    /// [`ServerLimits::drain`] allows. Dropping the future stops everything at once.
    ///
    /// # Errors
    /// What the system says if a socket cannot be used; nothing that a caller does is an error.
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
        // All that is served holds a sender; the channel ends with the last one.
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
                // The sockets went with the task; now their ports may go back.
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

/// Descriptors for anything but connections: listeners, files, the runtime's own.
const OTHER_DESCRIPTORS: u64 = 32;

/// How many connections there are descriptors for. Newcomers are let in at once then, instead of
/// waiting until the system has refused one.
fn affordable_connections() -> usize {
    let known = Host::new().open_files().ok().flatten();
    known.map_or(usize::MAX, |files| {
        let left = files.soft.saturating_sub(OTHER_DESCRIPTORS);
        usize::try_from(left.max(files.soft / 2)).unwrap_or(usize::MAX)
    })
}
