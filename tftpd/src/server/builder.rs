//! What a server is made from.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use eport_core::{Allocator, BuildError as PortsError};

use super::{Record, Server, log, ports::transfer_ports};
use crate::{
    backend::{Backend, Memory},
    engine::{Caps, Observer, Service, Setup, TransferCount},
    net,
    policy::RequestPolicy,
    proto::{GrantLimits, Patience},
};

/// Collects what a [`Server`] needs; everything has a default.
#[must_use]
pub struct Builder {
    backend: Arc<dyn Backend>,
    allocator: Option<Allocator>,
    policy: RequestPolicy,
    limits: GrantLimits,
    patience: Patience,
    caps: Caps,
    single_port: bool,
    broadcast: bool,
    threads: usize,
    drain: Duration,
    observer: Observer,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            backend: Arc::new(Memory::new()),
            allocator: None,
            policy: RequestPolicy::default(),
            limits: GrantLimits::default(),
            patience: Patience::default(),
            caps: Caps::default(),
            single_port: false,
            broadcast: false,
            threads: net::processors(),
            drain: Duration::from_secs(30),
            observer: Arc::new(log::observer()),
        }
    }
}

impl Builder {
    /// Where the files come from. Without one there are none.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.backend = Arc::new(backend);
        self
    }

    /// Where the ports of transfers come from. Clones of one allocator may serve several servers;
    /// without one the server makes its own, with the range `auto`, by
    /// [`transfer_ports`].
    pub fn allocator(mut self, allocator: Allocator) -> Self {
        self.allocator = Some(allocator);
        self
    }

    /// What is granted to clients that ask for options.
    pub fn limits(mut self, limits: GrantLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How long silence is borne.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Who may ask for what, and which file is meant. By default everybody, and the one named.
    pub fn policy(mut self, policy: RequestPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Answers requests that were sent to a broadcast address too. Off by default (RFC 1123
    /// §4.2.3.5): every server on the network would answer.
    pub fn broadcast(mut self, broadcast: bool) -> Self {
        self.broadcast = broadcast;
        self
    }

    /// How much clients may hold at once.
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Lets transfers go on from the listening port, for networks that let no other one through:
    /// NAT, containers, load balancers. Off by default; a client that is gone is then noticed by
    /// its silence alone, and each block is sent by itself.
    pub fn single_port(mut self, single_port: bool) -> Self {
        self.single_port = single_port;
        self
    }

    /// How many threads carry transfers: one for each processor by default, and not more.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads.get().min(net::processors());
        self
    }

    /// How long running transfers may go on after the shutdown: 30 s by default.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// What to do with the record of each request, instead of logging it as one line. Called from
    /// the engine's thread: return at once.
    pub fn on_record(mut self, observer: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// The server.
    ///
    /// # Errors
    /// [`BuildError`] if no allocator was given and the machine's ports cannot be planned.
    pub fn build(self) -> Result<Server, BuildError> {
        let allocator = match self.allocator {
            Some(allocator) => allocator,
            None => transfer_ports(Allocator::builder())?,
        };
        let service = Service {
            backend: self.backend,
            limits: self.limits,
            patience: self.patience,
            single_port: self.single_port,
            broadcast: self.broadcast,
            policy: self.policy,
        };
        // One socket hears all, see `Listener::undivided`.
        let threads = if self.broadcast { 1 } else { self.threads };
        let caps = self.caps.share(threads);
        let setup = Setup {
            service,
            allocator,
            caps,
            count: Arc::<TransferCount>::default(),
            observer: self.observer,
        };
        Ok(Server {
            setup,
            threads,
            drain: self.drain,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("patience", &self.patience)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The ports for transfers could not be planned.
    #[error("no ports for transfers")]
    Ports(#[from] PortsError),
}
