//! The machine as the registry sees it.

use std::net::IpAddr;

use crate::rpcbind::{Netid, UniversalAddress};

/// The queries of a [`Registry`](super::Registry) about its machine.
pub trait Host {
    /// Returns the liveness of the address: whether a socket is bound to it.
    fn liveness(&self, netid: Netid, address: &UniversalAddress) -> Liveness;

    /// Returns true if an interface of the machine has the address.
    fn is_local(&self, address: IpAddr) -> bool;
}

/// The liveness of a registration. Closed: a check has these three results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "closed: a check finds a socket, finds none, or is not possible"
)]
pub enum Liveness {
    /// A socket is bound to the address.
    Live,
    /// No socket is bound to the address.
    Dead,
    /// The check is not possible; the registration is kept.
    Unknown,
}
