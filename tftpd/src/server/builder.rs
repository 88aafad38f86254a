//! The builder of a server.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use eport_core::{Allocator, BuildError as PortsError};

use super::{
    Record, Server,
    log::{self, Advice},
    ports::transfer_ports,
};
use crate::{
    backend::{Backend, Memory},
    engine::{Caps, Observer, Service, Setup, TransferCount},
    net,
    policy::RequestPolicy,
    proto::{GrantLimits, Patience},
};

/// The configuration of a [`Server`]; every part has a default.
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
    observer: Option<Observer>,
    advice: Advice,
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
            observer: None,
            advice: |_| None,
        }
    }
}

impl Builder {
    /// Sets the source of files. Without one, no file exists.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.backend = Arc::new(backend);
        self
    }

    /// Sets the allocator of the ports of transfers. Clones of one allocator may serve several servers;
    /// without one, the server makes its own by [`transfer_ports`], with the range `auto`.
    pub fn allocator(mut self, allocator: Allocator) -> Self {
        self.allocator = Some(allocator);
        self
    }

    /// Sets the limits of the options that are granted.
    pub fn limits(mut self, limits: GrantLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the time limits for clients that do not answer.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the access lists, rules and client directories. By default every client may read every
    /// file by its name.
    pub fn policy(mut self, policy: RequestPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Also answers requests to a broadcast address. Off by default (RFC 1123 §4.2.3.5): every server
    /// on the network would answer.
    pub fn broadcast(mut self, broadcast: bool) -> Self {
        self.broadcast = broadcast;
        self
    }

    /// Sets the limits of what clients may hold.
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Uses the listening port for transfers too, for networks that pass no other one: NAT,
    /// containers, load balancers. Off by default: a closed client port is then noticed by a
    /// time-out only, and each block is sent by itself.
    pub fn single_port(mut self, single_port: bool) -> Self {
        self.single_port = single_port;
        self
    }

    /// Sets the number of threads: by default, and at most, one per processor.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads.get().min(net::processors());
        self
    }

    /// Sets the time for running transfers to finish after the shutdown: 30 s by default.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Sets a function for the record of each request, instead of one log line. It is called on the
    /// engine's thread and must not block.
    pub fn on_record(mut self, observer: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets a function that completes the hint of a log line: it returns a remedy for the label of a
    /// [`Rejection`](super::Rejection) or a [`Cause`](super::Cause), such as the setting of the
    /// program.
    pub fn advice(mut self, advice: fn(label: &str) -> Option<&'static str>) -> Self {
        self.advice = advice;
        self
    }

    /// Builds the server.
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
        // Only one socket receives broadcasts, see `Listener::undivided`.
        let threads = if self.broadcast { 1 } else { self.threads };
        let caps = self.caps.share(threads);
        let setup = Setup {
            service,
            allocator,
            caps,
            count: Arc::<TransferCount>::default(),
            observer: self
                .observer
                .unwrap_or_else(|| Arc::new(log::observer(self.advice))),
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

/// An error of building a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The ports for transfers could not be planned.
    #[error("no ports for transfers")]
    Ports(#[from] PortsError),
}
