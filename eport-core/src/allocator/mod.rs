//! The allocator: draws a port, binds it, and hands out the socket.

mod adopt;
mod builder;
mod claim;
mod endpoint;
mod error;
mod reload;
mod request;
mod set;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

pub use builder::AllocatorBuilder;
use claim::{Claim, Open};
pub use endpoint::{AnySocket, Endpoint};
pub use error::{AdoptError, BuildError, LeaseError};
pub use reload::Reloaded;
pub use request::{LeaseFuture, LeaseRequest, UdpRequest};
pub use set::SetRequest;

use crate::address::{LocalAddress, Space};
use crate::bind::SctpListener;
use crate::bind::reuse_port;
use crate::lease::{Lease, PortGuard, Shared, Stats};
use crate::plan::Plan;
use crate::policy::{Clock, PortPolicy, WhenFull};
use crate::pool::{Counts, DrawError, Pool, PoolRequest, PortState};
use crate::strategy::Generator;
use crate::system;

/// Hands out sockets bound to ports that are unpredictable and used by no other program.
///
/// Clones share everything: one process has one allocator. See the [crate page](crate) for an
/// example.
#[derive(Clone, Debug)]
pub struct Allocator {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    early_rechecks: u32,
    when_full: WhenFull,
}

impl Allocator {
    /// Starts an allocator for this machine; by default with the ports `auto`.
    pub fn builder() -> AllocatorBuilder {
        AllocatorBuilder::default()
    }

    /// Makes an allocator for the ports of a plan.
    ///
    /// # Errors
    /// [`BuildError::Entropy`] when the policy gives no seed and the system has none either;
    /// [`BuildError::SharingUnsupported`] when ports are to be shared and the kernel does not find
    /// their sockets quickly.
    pub fn new(plan: Plan, policy: PortPolicy) -> Result<Self, BuildError> {
        if policy.when_full.share.is_some() {
            reuse_port::is_possible()
                .map_err(|system| BuildError::SharingUnsupported { system })?;
        }
        let clock = policy.clock.clone();
        let clock = clock.unwrap_or_else(|| Clock::new(system::now));
        let now = clock.now();
        let generator = if let Some(seed) = policy.seed {
            Generator::repeatable(seed)
        } else {
            let seed = system::seed().map_err(BuildError::Entropy)?;
            Generator::reseeding(seed, system::reseed, now)
        };
        let (early_rechecks, when_full) = (policy.early_rechecks, policy.when_full);
        let pool = Pool::new(&plan, policy, now);
        let shared = Shared::new(pool, plan.ports().len(), generator, clock);
        Ok(Self {
            plan: Arc::new(plan),
            shared: Arc::new(shared),
            early_rechecks,
            when_full,
        })
    }

    /// Asks for a UDP socket on a local address; `::` is dual-stack unless
    /// [`LocalAddress::only_v6`].
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use eport_core::Allocator;
    /// # let allocator = Allocator::builder().build()?;
    /// let open = allocator.udp(Ipv4Addr::LOCALHOST).lease()?;
    /// let one_peer = allocator.udp(Ipv4Addr::LOCALHOST).peer(open.local_addr()).lease()?;
    /// one_peer.send(b"hello")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn udp(&self, local: impl Into<LocalAddress>) -> LeaseRequest<'_, UdpSocket> {
        LeaseRequest::new(self, local.into())
    }

    /// Asks for a listening TCP socket on a local address; `::` is dual-stack unless
    /// [`LocalAddress::only_v6`].
    ///
    /// ```
    /// # use std::net::{Ipv4Addr, TcpStream};
    /// # use eport_core::Allocator;
    /// # let allocator = Allocator::builder().build()?;
    /// let listener = allocator.tcp_listener(Ipv4Addr::LOCALHOST).lease()?;
    /// TcpStream::connect(listener.local_addr())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tcp_listener(&self, local: impl Into<LocalAddress>) -> LeaseRequest<'_, TcpListener> {
        LeaseRequest::new(self, local.into())
    }

    /// Asks for a listening SCTP socket in the one-to-one style on a local address. Many kernels
    /// have no SCTP; then the lease fails with [`LeaseError::ProtocolNotSupported`].
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use eport_core::{Allocator, LeaseError};
    /// # let allocator = Allocator::builder().build()?;
    /// match allocator.sctp_listener(Ipv4Addr::LOCALHOST).lease() {
    ///     Ok(listener) => println!("SCTP on port {}", listener.port()),
    ///     Err(LeaseError::ProtocolNotSupported { .. }) => println!("no SCTP here"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sctp_listener(&self, local: impl Into<LocalAddress>) -> LeaseRequest<'_, SctpListener> {
        LeaseRequest::new(self, local.into())
    }

    /// Asks for sockets with the same port number for several protocols and local addresses, as
    /// RPC services need them: all or none.
    ///
    /// Where IPv4 addresses are in the set, `::` of the same protocol is IPv6 only.
    ///
    /// ```
    /// use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    /// use eport_core::{Allocator, Protocol};
    ///
    /// let allocator = Allocator::builder().build()?;
    /// let (v4, v6): (IpAddr, IpAddr) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    /// # let v6: IpAddr = Ipv4Addr::LOCALHOST.into();
    /// # let v4 = v6;
    /// let set = allocator.set([(Protocol::Udp, v4), (Protocol::Tcp, v6)]).lease()?;
    /// assert_eq!(set.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set<W: Into<Space>>(&self, wants: impl IntoIterator<Item = W>) -> SetRequest<'_> {
        SetRequest::new(self, wants.into_iter().map(Into::into).collect())
    }

    /// Leases an even UDP port and the odd one after it, as RTP and RTCP use them
    /// ([RFC 3550 §11](https://www.rfc-editor.org/rfc/rfc3550#section-11)); both or none, each pair
    /// equally likely.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use eport_core::Allocator;
    /// # let allocator = Allocator::builder().build()?;
    /// let (media, control) = allocator.pair(Ipv4Addr::LOCALHOST)?;
    /// assert_eq!((media.port() % 2, control.port()), (0, media.port() + 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
    pub fn pair(
        &self,
        local: impl Into<LocalAddress>,
    ) -> Result<(Lease<UdpSocket>, Lease<UdpSocket>), LeaseError> {
        set::pair(self, local.into())
    }

    /// Takes over a socket that is bound to a port of the plan already: from a socket unit, or from
    /// the process that ran before this one.
    ///
    /// The socket stays as it is. The lease is for its peer if it is connected.
    ///
    /// # Errors
    /// [`AdoptError`], with the socket: the port is not one that is handed out, is leased, or its
    /// peer has as many leases as it may have.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use eport_core::{Allocator, bind};
    /// let inherited = bind::udp("127.0.0.1:0".parse()?, &bind::UdpOptions::default())?;
    /// let port = inherited.local_addr()?.port();
    ///
    /// let allocator = Allocator::builder().ports(port.to_string().parse()?).build()?;
    /// let lease = allocator.adopt(inherited)?;
    /// assert_eq!(lease.port(), port);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt<S: Endpoint + std::os::fd::AsFd>(
        &self,
        socket: S,
    ) -> Result<Lease<S>, AdoptError<S>> {
        adopt::adopt(self, socket)
    }

    /// Leases a port and calls `open` to make the value that is bound to it.
    ///
    /// Sockets of other kinds, simulations and tests use the allocator this way. `open` gets
    /// the local address with the port that was drawn, and returns like `bind`: for
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) and
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) the port is set aside as foreign and
    /// another one is drawn; every other error ends the request. No free port is tried twice for
    /// one request. No lock is held while `open` runs. When no port is left and the policy has
    /// a [`WhenFull::wait`] step, the thread sleeps until one is.
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
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
        open: impl FnMut(SocketAddr) -> io::Result<S>,
    ) -> Result<Lease<S>, LeaseError> {
        let (space, peer) = resolve(space, peer)?;
        let request = PoolRequest::new(space).peer(peer);
        Claim::new(self, request, Custom(open)).lease_one()
    }

    /// Returns the plan whose ports are handed out, with notes for the operator.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the counters of the allocator, and the number of ports in each state.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Counts the ports of `space` by state.
    pub fn counts(&self, space: Space) -> Counts {
        self.shared.counts(space)
    }

    /// Returns the state of `port` in `space`, with its reason.
    pub fn explain(&self, space: Space, port: u16) -> PortState {
        self.shared.explain(space, port)
    }

    /// Converts an error of the pool to that of the request.
    fn lease_error(&self, request: &PoolRequest, error: DrawError) -> LeaseError {
        let space = request.space();
        match error {
            DrawError::TooManySpaces(limit) => LeaseError::TooManyAddresses {
                local: space.local(),
                limit,
            },
            DrawError::QuotaReached { prefix, limit } => {
                self.shared.count(|stats| stats.quota_reached += 1);
                LeaseError::QuotaReached { prefix, limit }
            }
            DrawError::Unavailable(port) => {
                // Of several spaces, the one where the port is not available.
                let states = request
                    .spaces()
                    .map(|space| (space, self.explain(space, port)));
                let taken = states.filter(|(_, state)| !state.is_available());
                let (space, state) = taken.last().unwrap_or((space, PortState::NotInRange));
                LeaseError::PortUnavailable { space, port, state }
            }
            DrawError::Exhausted(counts) => LeaseError::Exhausted {
                space,
                counts,
                in_use: 0,
                denied: 0,
            },
        }
    }
}

/// Makes values by the caller's function.
struct Custom<F>(F);

impl<S, F: FnMut(SocketAddr) -> io::Result<S>> Open for Custom<F> {
    type Socket = S;

    fn open(&mut self, guard: &PortGuard) -> io::Result<S> {
        self.0(guard.local_addr())
    }
}

/// Returns the space and the peer in canonical form, if they fit together.
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
