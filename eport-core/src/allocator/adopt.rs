use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::SockRef;

use super::{Allocator, Endpoint, LeaseError, Rejected, resolve};
use crate::address::{LocalAddress, Space};
use crate::lease::{Failure, Lease, Ticket};
use crate::pool::Want;

/// Takes over a socket that somebody else has bound.
pub(super) fn adopt<S: Endpoint + AsFd>(
    allocator: &Allocator,
    socket: S,
) -> Result<Lease<S>, Rejected<S>> {
    match ticket_for(allocator, &socket) {
        Ok(ticket) => Ok(Lease::new(socket, ticket)),
        Err(reason) => Err(Rejected { socket, reason }),
    }
}

fn ticket_for<S: Endpoint + AsFd>(allocator: &Allocator, socket: &S) -> Result<Ticket, LeaseError> {
    let socket = SockRef::from(socket);
    let (local, port) = bound_to(&socket).map_err(|source| {
        allocator.ledger.count_failure(Failure::Other);
        LeaseError::NotBound { source }
    })?;
    let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
    let (space, peer) = resolve(Space::new(S::PROTOCOL, local), peer)?;
    let want = Want::new(space).peer(peer).port(port).from_reserve(true);
    let now = allocator.ledger.now();
    let drawn = allocator.ledger.draw(&want, now, false);
    let grant = drawn.map_err(|refusal| allocator.refusal(&want, refusal))?;
    let mut tickets = Ticket::of(&allocator.ledger, grant, &want);
    allocator.ledger.count(|stats| stats.adopted += 1);
    // A request for one port in one space is given one.
    tickets.pop().ok_or(LeaseError::EmptySet)
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
