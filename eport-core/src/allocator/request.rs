use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::Socket;

use super::claim::{Claim, Open};
use super::{Allocator, Endpoint, LeaseError, resolve};
use crate::address::{LocalAddress, Space};
use crate::bind::{self, SocketSpec, reuse_port};
use crate::lease::{FailureKind, Lease, PortGuard};
use crate::pool::PoolRequest;

/// A request for a UDP socket; see [`Allocator::udp`].
pub type UdpRequest<'a> = LeaseRequest<'a, UdpSocket>;

/// A request for a socket; see [`Allocator::udp`], [`Allocator::tcp_listener`] and
/// [`Allocator::sctp_listener`].
#[must_use = "nothing is leased before `lease`, `try_lease` or `lease_async` is called"]
pub struct LeaseRequest<'a, S> {
    allocator: &'a Allocator,
    local: LocalAddress,
    peer: Option<SocketAddr>,
    port: Option<u16>,
    from_reserve: bool,
    kind: PhantomData<fn() -> S>,
}

impl<'a, S: Endpoint> LeaseRequest<'a, S> {
    pub(super) const fn new(allocator: &'a Allocator, local: LocalAddress) -> Self {
        Self {
            allocator,
            local,
            peer: None,
            port: None,
            from_reserve: false,
            kind: PhantomData,
        }
    }

    /// Requests this port and no other. It must be one of those that are handed out; it is tried even if it
    /// rests, or was foreign when last tried, and the request never waits for it.
    pub fn port(self, port: u16) -> Self {
        Self {
            port: Some(port),
            ..self
        }
    }

    /// Allows the request the ports that are kept free
    /// ([`PortPolicy::keep_free`](crate::PortPolicy::keep_free)).
    pub fn from_reserve(self) -> Self {
        Self {
            from_reserve: true,
            ..self
        }
    }

    /// Leases a port: the socket is bound to it and does not block. UDP is connected if a peer was
    /// named; TCP and SCTP listen.
    ///
    /// When no port is left and the policy has a [`WhenFull::wait`](crate::WhenFull::wait) step, the
    /// thread sleeps until one is.
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
    pub fn lease(self) -> Result<Lease<S>, LeaseError> {
        finish(self.claim()?.lease_one()?)
    }

    /// Leases a port like [`lease`](Self::lease), but never waits for one.
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
    pub fn try_lease(self) -> Result<Lease<S>, LeaseError> {
        finish(self.claim()?.never_waiting().lease_one()?)
    }

    /// Leases a port like [`lease`](Self::lease), but lets the task wait instead of the thread.
    ///
    /// It works in every runtime and without one. A future that is dropped leaves the queue, and
    /// its port goes to the next waiter.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use eport_core::Allocator;
    ///
    /// async fn greet(allocator: &Allocator) -> Result<(), Box<dyn std::error::Error>> {
    ///     let peer = "127.0.0.1:4000".parse()?;
    ///     let lease = allocator.udp(Ipv4Addr::LOCALHOST).peer(peer).lease_async().await?;
    ///     lease.send(b"hello")?;
    ///     Ok(())
    /// }
    /// # // A port is free, so one poll is enough.
    /// # let allocator = Allocator::builder().build()?;
    /// # let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(std::pin::pin!(greet(&allocator)).as_mut().poll(&mut task).is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future ends with a [`LeaseError`]; no port stays leased.
    pub fn lease_async(self) -> LeaseFuture<S> {
        let start = self.pool_request().map(|request| {
            let opener = Opener::new();
            Claim::new(self.allocator.clone(), request, opener)
        });
        LeaseFuture { state: Some(start) }
    }

    fn claim(self) -> Result<Claim<&'a Allocator, Opener<S>>, LeaseError> {
        Ok(Claim::new(
            self.allocator,
            self.pool_request()?,
            Opener::new(),
        ))
    }

    fn pool_request(&self) -> Result<PoolRequest, LeaseError> {
        let space = Space::new(S::PROTOCOL, self.local);
        let (space, peer) = resolve(space, self.peer)?;
        let shareable = self.allocator.when_full.share.is_some();
        let request = PoolRequest::new(space)
            .peer(peer)
            .from_reserve(self.from_reserve)
            .shareable(shareable);
        Ok(match self.port {
            Some(port) => request.port(port),
            None => request,
        })
    }
}

impl LeaseRequest<'_, UdpSocket> {
    /// Sets the only peer of the socket: the socket is connected before it is handed out.
    ///
    /// Datagrams of other sources that arrived between `bind` and `connect` are discarded. A few can
    /// still arrive during that, so a receiver should compare the source of each datagram, as
    /// [RFC 8085 §5.1](https://www.rfc-editor.org/rfc/rfc8085#section-5.1) asks in any case.
    pub fn peer(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }
}

/// Connects the socket of a lease if it is for a peer.
fn finish<S: Endpoint>(lease: Lease<Socket>) -> Result<Lease<S>, LeaseError> {
    if let Some(peer) = lease.peer() {
        let local = lease.space().local();
        let connected = if lease.is_shared() {
            reuse_port::connect(&lease, local, peer)
        } else {
            bind::connect(&lease, local, peer)
        };
        if let Err(source) = connected {
            lease.count_failure(FailureKind::Connect);
            lease.abandon();
            return Err(LeaseError::Connect {
                local,
                peer,
                source,
            });
        }
    }
    Ok(lease.map(S::from_socket))
}

/// A pending lease; see [`LeaseRequest::lease_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct LeaseFuture<S> {
    /// Taken when the future is done.
    state: Option<Result<Claim<Allocator, Opener<S>>, LeaseError>>,
}

impl<S: Endpoint> Future for LeaseFuture<S> {
    type Output = Result<Lease<S>, LeaseError>;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let lease = match self.state.as_mut() {
            Some(Ok(claim)) => match claim.poll_one(context.waker()) {
                Poll::Ready(lease) => lease,
                Poll::Pending => return Poll::Pending,
            },
            Some(Err(_)) => match self.state.take() {
                Some(Err(error)) => return Poll::Ready(Err(error)),
                _ => return Poll::Pending,
            },
            None => panic!("polled again after it was ready"),
        };
        self.state = None;
        Poll::Ready(lease.map_err(|error| *error).and_then(finish))
    }
}

impl<S> fmt::Debug for LeaseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseFuture").finish_non_exhaustive()
    }
}

impl<S> Clone for LeaseRequest<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for LeaseRequest<'_, S> {}

impl<S> fmt::Debug for LeaseRequest<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseRequest")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("port", &self.port)
            .field("from_reserve", &self.from_reserve)
            .finish_non_exhaustive()
    }
}

/// Makes sockets of one kind.
pub(super) struct Opener<S> {
    /// A socket whose port was refused.
    spare: Option<Socket>,
    kind: PhantomData<fn() -> S>,
}

impl<S> Opener<S> {
    const fn new() -> Self {
        Self {
            spare: None,
            kind: PhantomData,
        }
    }
}

impl<S: Endpoint> Open for Opener<S> {
    type Socket = Socket;

    fn open(&mut self, guard: &PortGuard) -> io::Result<Socket> {
        let (address, only_v6) = (guard.local_addr(), guard.space().local().is_only_v6());
        let spec = SocketSpec::new(S::PROTOCOL, address, only_v6);
        if !guard.is_shared() {
            return bind::open(&mut self.spare, &spec);
        }
        if guard.is_first() {
            reuse_port::first(&spec)
        } else {
            reuse_port::another(&spec)
        }
    }
}
