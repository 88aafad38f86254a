use std::io;
use std::net::{Ipv6Addr, UdpSocket};

use socket2::Socket;

use super::claim::{Claim, Open};
use super::{Allocator, AnySocket, LeaseError, resolve};
use crate::address::{LocalAddress, Space};
use crate::bind::{self, SocketSpec};
use crate::lease::{Lease, LeaseSet, PortGuard};
use crate::pool::PoolRequest;

/// A request for several sockets on one port number; see [`Allocator::set`].
#[derive(Clone, Debug)]
#[must_use = "nothing is leased before `lease` or `try_lease` is called"]
pub struct SetRequest<'a> {
    allocator: &'a Allocator,
    spaces: Vec<Space>,
    port: Option<u16>,
    from_reserve: bool,
}

impl<'a> SetRequest<'a> {
    pub(super) const fn new(allocator: &'a Allocator, spaces: Vec<Space>) -> Self {
        Self {
            allocator,
            spaces,
            port: None,
            from_reserve: false,
        }
    }

    /// Requests this port and no other, as in [`Request::port`](super::LeaseRequest::port).
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

    /// Leases one number for all sockets, or fails without any. Each number that is free
    /// everywhere is equally likely.
    ///
    /// When there is none and the policy has a [`WhenFull::wait`](crate::WhenFull::wait) step, the
    /// thread sleeps until there is.
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
    pub fn lease(self) -> Result<LeaseSet<AnySocket>, LeaseError> {
        let claim = Claim::new(self.allocator, self.pool_request()?, OpenAny);
        claim.lease_all().map(LeaseSet::new)
    }

    /// Leases like [`lease`](Self::lease), but never waits.
    ///
    /// # Errors
    /// [`LeaseError`]; no port stays leased.
    pub fn try_lease(self) -> Result<LeaseSet<AnySocket>, LeaseError> {
        let claim = Claim::new(self.allocator, self.pool_request()?, OpenAny);
        claim.never_waiting().lease_all().map(LeaseSet::new)
    }

    fn pool_request(&self) -> Result<PoolRequest, LeaseError> {
        let mut spaces = Vec::new();
        for space in &self.spaces {
            let (space, _) = resolve(beside(*space, &self.spaces), None)?;
            let overlapping = spaces.iter().find(|other: &&Space| other.overlaps(space));
            if let Some(first) = overlapping {
                return Err(LeaseError::SetOverlaps {
                    first: *first,
                    second: space,
                });
            }
            spaces.push(space);
        }
        let mut spaces = spaces.into_iter();
        let first = spaces.next().ok_or(LeaseError::EmptySet)?;
        let request = PoolRequest::new(first)
            .and(spaces)
            .from_reserve(self.from_reserve);
        Ok(match self.port {
            Some(port) => request.port(port),
            None => request,
        })
    }
}

/// Makes `::` IPv6 only where an IPv4 address of the same protocol is in the set.
fn beside(space: Space, all: &[Space]) -> Space {
    let has_v4 =
        |other: &Space| other.protocol() == space.protocol() && other.local().ip().is_ipv4();
    if space.local().ip() == Ipv6Addr::UNSPECIFIED && all.iter().any(has_v4) {
        Space::new(space.protocol(), space.local().only_v6())
    } else {
        space
    }
}

/// Leases an even port and the odd one after it.
pub(super) fn pair(
    allocator: &Allocator,
    local: LocalAddress,
) -> Result<(Lease<UdpSocket>, Lease<UdpSocket>), LeaseError> {
    let (space, _) = resolve(Space::udp(local), None)?;
    let claim = Claim::new(
        allocator,
        PoolRequest::new(space).pair(),
        OpenUdp::default(),
    );
    let mut leases = claim.lease_all()?.into_iter();
    match (leases.next(), leases.next()) {
        (Some(even), Some(odd)) => Ok((even, odd)),
        // The pool grants a pair two ports, or none.
        _ => Err(LeaseError::EmptySet),
    }
}

struct OpenAny;

impl Open for OpenAny {
    type Socket = AnySocket;

    fn open(&mut self, guard: &PortGuard) -> io::Result<AnySocket> {
        let protocol = guard.space().protocol();
        let socket = bind::open(&mut None, &spec(guard))?;
        Ok(AnySocket::new(protocol, socket))
    }
}

#[derive(Default)]
struct OpenUdp {
    spare: Option<Socket>,
}

impl Open for OpenUdp {
    type Socket = UdpSocket;

    fn open(&mut self, guard: &PortGuard) -> io::Result<UdpSocket> {
        bind::open(&mut self.spare, &spec(guard)).map(UdpSocket::from)
    }
}

fn spec(guard: &PortGuard) -> SocketSpec {
    let space = guard.space();
    let only_v6 = space.local().is_only_v6();
    SocketSpec::new(space.protocol(), guard.local_addr(), only_v6)
}
