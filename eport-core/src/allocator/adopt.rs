use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::SockRef;

use super::{AdoptError, Allocator, Endpoint, LeaseError, resolve};
use crate::address::{LocalAddress, Space};
use crate::lease::{FailureKind, Lease, PortGuard};
use crate::pool::PoolRequest;

/// Takes over a socket that is bound already.
pub(super) fn adopt<S: Endpoint + AsFd>(
    allocator: &Allocator,
    socket: S,
) -> Result<Lease<S>, AdoptError<S>> {
    match guard_for(allocator, &socket) {
        Ok(guard) => Ok(Lease::new(socket, guard)),
        Err(reason) => Err(AdoptError { socket, reason }),
    }
}

fn guard_for<S: Endpoint + AsFd>(
    allocator: &Allocator,
    socket: &S,
) -> Result<PortGuard, LeaseError> {
    let socket = SockRef::from(socket);
    let (local, port) = bound_to(&socket).map_err(|source| {
        allocator.shared.count_failure(FailureKind::Other);
        LeaseError::NotBound { source }
    })?;
    let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
    let (space, peer) = resolve(Space::new(S::PROTOCOL, local), peer)?;
    let request = PoolRequest::new(space)
        .peer(peer)
        .port(port)
        .from_reserve(true);
    let now = allocator.shared.now();
    let drawn = allocator.shared.draw(&request, now, false);
    let grant = drawn.map_err(|error| allocator.lease_error(&request, error))?;
    let mut guards = PortGuard::from_grant(&allocator.shared, grant, &request);
    allocator.shared.count(|stats| stats.adopted += 1);
    // A request for one port in one space is given one.
    guards.pop().ok_or(LeaseError::EmptySet)
}

fn bound_to(socket: &SockRef<'_>) -> io::Result<(LocalAddress, u16)> {
    let address = socket.local_addr()?.as_socket();
    let address = address.filter(|address| address.port() != 0);
    let address: SocketAddr = address.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "it has no IP address and port")
    })?;
    let local = LocalAddress::from(address);
    let is_any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    let local = if is_any_v6 && socket.only_v6()? {
        local.only_v6()
    } else {
        local
    };
    Ok((local, address.port()))
}
