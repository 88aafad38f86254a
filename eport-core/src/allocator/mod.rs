//! The allocator: draws a port, binds it, and hands out the socket.

mod builder;
mod error;
mod tries;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub use builder::{Builder, Policy};
pub use error::{BuildError, LeaseError};
use tries::Tries;
pub use udp::UdpRequest;

use crate::bind::Cause;
use crate::lease::{Failure, Lease, Ledger, Stats, Ticket};
use crate::plan::Plan;
use crate::pool::{Counts, DrawError, ForeignCause, LocalAddress, Pool, PortState, Space};
use crate::strategy::Generator;
use crate::system;

/// Hands out sockets bound to ports that nobody can guess and nobody else uses.
///
/// Clones share everything: one process has one allocator. See the [crate page](crate) for an
/// example.
#[derive(Clone, Debug)]
pub struct Allocator {
    plan: Arc<Plan>,
    ledger: Arc<Ledger>,
    early_rechecks: u32,
}

impl Allocator {
    /// Starts an allocator for this machine; by default with the ports `auto`.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// An allocator for the ports of a plan.
    ///
    /// # Errors
    /// [`BuildError::Entropy`] when the policy gives no seed and the system has none either.
    pub fn new(plan: Plan, policy: Policy) -> Result<Self, BuildError> {
        let generator = match policy.seed {
            Some(seed) => Generator::repeatable(seed),
            None => {
                Generator::reseeding(system::seed().map_err(BuildError::Entropy)?, system::reseed)
            }
        };
        let pool = Pool::new(&plan, policy.limits, policy.clock.now());
        let ledger = Ledger::new(pool, plan.ports().len(), generator, policy.clock);
        Ok(Self {
            plan: Arc::new(plan),
            ledger: Arc::new(ledger),
            early_rechecks: policy.early_rechecks,
        })
    }

    /// Asks for a UDP socket on a local address; `::` is dual-stack unless
    /// [`LocalAddress::only_v6`].
    pub fn udp(&self, local: impl Into<LocalAddress>) -> UdpRequest<'_> {
        UdpRequest::new(self, local.into())
    }

    /// Leases a port and lets `open` make the thing that is bound to it.
    ///
    /// This is how other sockets than ours, simulations and tests use the allocator. `open` gets
    /// the local address with the port that was drawn, and answers like `bind`: for
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) and
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) the port is set aside as foreign and
    /// another one is drawn; every other error ends the request. No free port is tried twice for
    /// one request. No lock is held while `open` runs.
    ///
    /// # Errors
    /// [`LeaseError`]; whatever it is, no port stays leased.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use eport_core::{Allocator, Space};
    ///
    /// let allocator = Allocator::builder().ports("50000-50001".parse()?).build()?;
    /// let lease = allocator.claim(Space::udp(Ipv4Addr::LOCALHOST), None, |address| match address.port() {
    ///     50_000 => Err(std::io::ErrorKind::AddrInUse.into()),
    ///     port => Ok(format!("bound to {port}")),
    /// })?;
    /// assert_eq!(*lease, "bound to 50001");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn claim<S>(
        &self,
        space: Space,
        peer: Option<SocketAddr>,
        mut open: impl FnMut(SocketAddr) -> io::Result<S>,
    ) -> Result<Lease<S>, LeaseError> {
        let (space, peer) = resolve(space, peer)?;
        let mut tries = Tries::new(space, peer, self.ledger.now());
        loop {
            let ticket = self.next(&mut tries)?;
            let error = match open(ticket.local_addr()) {
                Ok(socket) => return Ok(Lease::new(socket, ticket)),
                Err(error) => error,
            };
            match Cause::of(&error) {
                Cause::InUse => tries.refused(ticket, ForeignCause::InUse),
                Cause::Denied => tries.refused(ticket, ForeignCause::Denied),
                cause => return Err(self.failed(space, cause, error)),
            }
        }
    }

    /// The plan whose ports are handed out, with notes for the operator.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the allocator has done and how many ports are in which state.
    pub fn stats(&self) -> Stats {
        self.ledger.stats()
    }

    /// How many ports of `space` are in which state.
    pub fn counts(&self, space: Space) -> Counts {
        self.ledger.counts(space)
    }

    /// What is the case with `port` in `space`, and why.
    pub fn explain(&self, space: Space, port: u16) -> PortState {
        self.ledger.explain(space, port)
    }

    /// The next port to try.
    fn next(&self, tries: &mut Tries) -> Result<Ticket, LeaseError> {
        let space = tries.space();
        match self.ledger.draw(tries.attempt()) {
            Ok(ticket) => return Ok(ticket),
            Err(DrawError::TooManySpaces(limit)) => {
                return Err(LeaseError::TooManyAddresses {
                    local: space.local(),
                    limit,
                });
            }
            Err(DrawError::Exhausted(_)) => {}
        }
        if let Some(attempt) = tries.recheck(self.early_rechecks)
            && let Some(ticket) = self.ledger.recheck(attempt)
        {
            return Ok(ticket);
        }
        let (in_use, denied) = tries.settle();
        let counts = self.ledger.count_exhausted(space);
        Err(LeaseError::Exhausted {
            space,
            counts,
            in_use,
            denied,
        })
    }

    fn failed(&self, space: Space, cause: Cause, source: io::Error) -> LeaseError {
        let local = space.local();
        let (failure, error) = match cause {
            Cause::NotLocal => (Failure::NotLocal, LeaseError::NotLocal { local, source }),
            Cause::NoDescriptors => (Failure::NoDescriptors, LeaseError::NoDescriptors { source }),
            Cause::NoMemory => (Failure::NoMemory, LeaseError::NoMemory { source }),
            Cause::NoFamily => (
                Failure::Other,
                LeaseError::FamilyNotSupported { local, source },
            ),
            Cause::InUse | Cause::Denied | Cause::Other => {
                (Failure::Other, LeaseError::Io { space, source })
            }
        };
        self.ledger.count_failure(failure);
        error
    }
}

/// The space and the peer in the form the kernel would see them in, if they fit together.
///
/// A dual-stack listener reports IPv4 peers as IPv6 addresses; they are IPv4 peers here. A
/// link-local address without an interface takes the one of its peer.
fn resolve(
    space: Space,
    peer: Option<SocketAddr>,
) -> Result<(Space, Option<SocketAddr>), LeaseError> {
    let peer = peer.map(|peer| match peer {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => SocketAddr::V6(v6),
        _ => SocketAddr::new(peer.ip().to_canonical(), peer.port()),
    });
    let local = match peer {
        Some(SocketAddr::V6(v6)) => space.local().or_scope(v6.scope_id()),
        _ => space.local(),
    };
    if local.lacks_scope() {
        return Err(LeaseError::NoInterface { local });
    }
    let dual_stack = local.ip().is_unspecified() && !local.is_only_v6();
    match peer {
        Some(peer) if peer.is_ipv4() && local.ip().is_ipv6() && !dual_stack => {
            Err(LeaseError::FamilyMismatch { local, peer })
        }
        Some(peer) if peer.is_ipv6() && local.ip().is_ipv4() => {
            Err(LeaseError::FamilyMismatch { local, peer })
        }
        _ => Ok((Space::new(space.protocol(), local), peer)),
    }
}
