//! Sockets: where calls come in and go out.
//!
//! [`Listeners`] are bound all or not at all. Sockets of a service's own port come from
//! [`eport_core`]; see [`DynamicPort`].

mod bind;
mod clock;
mod dynamic;
mod listeners;
mod udp;

pub(crate) use bind::is_tcp_port_taken;
pub(crate) use clock::{now, seconds_since_1970};
pub use dynamic::DynamicPort;
pub(crate) use listeners::AsyncUnixEndpoint;
pub use listeners::{ListenError, Listeners};
pub(crate) use udp::{Inbox, reply};
