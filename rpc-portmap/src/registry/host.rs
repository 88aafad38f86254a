//! What the registry has to know of the machine.

use std::net::IpAddr;

use crate::rpcbind::{Netid, UniversalAddress};

/// What a [`Registry`](super::Registry) asks about the machine it speaks for.
pub trait Host {
    /// Whether a socket is bound to the address.
    fn liveness(&self, netid: Netid, address: &UniversalAddress) -> Liveness;

    /// Whether an interface of the machine has the address.
    fn is_local(&self, address: IpAddr) -> bool;
}

/// Whether somebody holds the port of a registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Liveness {
    /// A socket is bound to it.
    Live,
    /// None is.
    Dead,
    /// It cannot be told; such a registration is kept.
    Unknown,
}
