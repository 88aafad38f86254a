use std::net::{SocketAddr, UdpSocket};

use super::{Allocator, LeaseError};
use crate::bind;
use crate::lease::{Failure, Lease};
use crate::pool::{LocalAddress, Space};

/// A request for a UDP socket; see [`Allocator::udp`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is leased before `lease` is called"]
pub struct UdpRequest<'a> {
    allocator: &'a Allocator,
    local: LocalAddress,
    peer: Option<SocketAddr>,
}

impl<'a> UdpRequest<'a> {
    pub(super) const fn new(allocator: &'a Allocator, local: LocalAddress) -> Self {
        Self {
            allocator,
            local,
            peer: None,
        }
    }

    /// The only peer the socket is to hear: it is connected before it is handed out.
    pub fn peer(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// Leases a port: the socket is bound to it, connected if a peer was named, and non-blocking.
    ///
    /// What strangers sent between `bind` and `connect` is thrown away. A few datagrams can still
    /// slip in while that happens, so a receiver should compare the source of what it gets, as
    /// [RFC 8085 §5.1](https://www.rfc-editor.org/rfc/rfc8085#section-5.1) asks in any case.
    ///
    /// # Errors
    /// [`LeaseError`]; whatever it is, no port stays leased.
    pub fn lease(self) -> Result<Lease<UdpSocket>, LeaseError> {
        let Self {
            allocator,
            local,
            peer,
        } = self;
        let mut spare = None;
        let lease = allocator.claim(Space::udp(local), peer, |address| {
            bind::datagram(&mut spare, address, local.is_only_v6())
        })?;
        if let Some(peer) = lease.peer() {
            let local = lease.space().local();
            if let Err(source) = bind::connect(&lease, local, peer) {
                allocator.ledger.count_failure(Failure::Connect);
                return Err(LeaseError::Connect {
                    local,
                    peer,
                    source,
                });
            }
        }
        Ok(lease.map(UdpSocket::from))
    }
}
