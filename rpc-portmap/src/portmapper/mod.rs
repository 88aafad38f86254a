//! The portmapper: program 100000, versions 2, 3 and 4 ([RFC
//! 1833](https://www.rfc-editor.org/rfc/rfc1833)), as a service for a [`Server`].
//!
//! ```no_run
//! use rpc_portmap::portmapper::Portmapper;
//! use rpc_portmap::server::Server;
//! use rpc_portmap::transport::Listeners;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut listeners = Listeners::new();
//! listeners.bind_unix("@/run/rpcbind.sock")?;
//! listeners.bind_unix("/run/rpcbind.sock")?;
//! listeners.bind_ip("[::]:111".parse()?)?;
//! let portmapper = Portmapper::builder().at(&listeners).build()?;
//! portmapper.server().serve(listeners, std::future::pending()).await?;
//! # Ok(()) }
//! ```

mod access;
mod files;
mod forward;
mod host;
mod journal;
mod liveness_cache;
mod netbuf;
mod procedures;
mod service;
mod stats;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use access::Access;
pub use files::StateError;
#[cfg(feature = "cli")]
pub(crate) use files::text as text_of;
pub use forward::Forwarding;
pub use host::LocalHost;
use service::Service;

use crate::registry::{Claim, Registry, RegistryPolicy};
use crate::rpc::Version;
use crate::rpcbind::{Netid, PROGRAM, UniversalAddress, v2, v3, v4};
use crate::server::{RateLimit, Server};
use crate::transport::Listeners;
use journal::Journal;

/// The interval at which registrations of ended services are removed.
pub const SWEEP: Duration = Duration::from_secs(60);

/// Datagrams answered per second for one source other than this machine: far more than a client has
/// to look up, far less than a reflection attack needs.
const PER_SECOND: u32 = 500;
/// Datagrams of such a source that are answered in a burst after a pause.
const AT_ONCE: u32 = 1000;

/// A portmapper that is ready to be served.
#[derive(Clone, Debug)]
pub struct Portmapper {
    service: Arc<Service>,
    access: Access,
}

/// A builder of a [`Portmapper`].
#[derive(Debug, Default)]
pub struct PortmapperBuilder {
    policy: RegistryPolicy,
    access: Access,
    state: Option<PathBuf>,
    forwarding: Option<Forwarding>,
    own: Vec<Claim>,
}

impl PortmapperBuilder {
    /// Sets the rules for registrations.
    #[must_use]
    pub fn policy(self, policy: RegistryPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Sets the access rules for look-ups and lists.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Stores registrations in a file, from which a restart restores them.
    #[must_use]
    pub fn state(self, file: impl Into<PathBuf>) -> Self {
        Self {
            state: Some(file.into()),
            ..self
        }
    }

    /// Forwards calls to registered programs (`CALLIT`, `BCAST`, `INDIRECT`); off by default.
    #[must_use]
    pub fn forwarding(self, forwarding: Forwarding) -> Self {
        Self {
            forwarding: Some(forwarding),
            ..self
        }
    }

    /// Registers the portmapper itself at the addresses of these listeners.
    #[must_use]
    pub fn at(self, listeners: &Listeners) -> Self {
        self.at_addresses(&listeners.addresses())
    }

    /// Registers the portmapper itself at these addresses.
    #[must_use]
    pub fn at_addresses(mut self, addresses: &[(Netid, UniversalAddress)]) -> Self {
        for at in addresses {
            let versions: &[Version] = match at.0 {
                Netid::Tcp | Netid::Udp => &[v4::VERSION, v3::VERSION, v2::VERSION],
                _ => &[v4::VERSION, v3::VERSION],
            };
            let own = Claim::all(PROGRAM, versions, std::slice::from_ref(at));
            self.own.extend(own);
        }
        self
    }

    /// Builds the portmapper, with the registrations of the state file.
    ///
    /// # Errors
    /// [`StateError`] if the file cannot be used.
    pub fn build(self) -> Result<Portmapper, StateError> {
        let host = LocalHost::new();
        let mut registry = Registry::new(self.policy);
        for claim in self.own {
            registry.insert_portmapper(claim);
        }
        let journal = match self.state {
            Some(path) => Some(Journal::open(path, &mut registry, &host)?),
            None => None,
        };
        Ok(Portmapper {
            service: Arc::new(Service::new(registry, journal, host, self.forwarding)),
            access: self.access,
        })
    }
}

impl Portmapper {
    /// Starts a builder of a portmapper without state file and without forwarding.
    pub fn builder() -> PortmapperBuilder {
        PortmapperBuilder::default()
    }

    /// Builds a server with the three versions of the program.
    pub fn server(&self) -> Server {
        self.add_to(Server::builder()).build()
    }

    /// Adds the portmapper to a server with other programs.
    #[must_use]
    pub fn add_to(&self, server: crate::server::ServerBuilder) -> crate::server::ServerBuilder {
        let service = &self.service;
        server
            .layer(RateLimit::new(PER_SECOND, AT_ONCE))
            .layer(self.access.clone())
            .layer(service.counters.clone())
            .version(forward::SilentForward(procedures::Portmap2Server::new(
                Arc::clone(service),
            )))
            .version(forward::SilentForward(procedures::Rpcbind3Server::new(
                Arc::clone(service),
            )))
            .version(forward::SilentForward(procedures::Rpcbind4Server::new(
                Arc::clone(service),
            )))
    }

    /// Returns the number of registrations, its own included.
    pub fn registrations(&self) -> usize {
        self.service.len()
    }

    /// Removes the registrations of ended services every [`SWEEP`], without end.
    pub async fn sweep_periodically(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.service.sweep();
        }
    }
}
