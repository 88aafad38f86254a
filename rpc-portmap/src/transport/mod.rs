//! Sockets for calls, and the clocks.
//!
//! [`Listeners`] are bound all or not at all. All sockets with a port are made by [`eport_core`];
//! those on a port of a service's own are leased, see [`DynamicPort`].

mod bind;
mod clock;
mod dynamic;
mod entropy;
mod listeners;
mod udp;

pub(crate) use bind::{connect_unix, interfaces};
pub(crate) use clock::{now, seconds_since_1970};
pub use dynamic::DynamicPort;
pub(crate) use entropy::random_state;
pub(crate) use listeners::AsyncUnixEndpoint;
pub use listeners::{AdoptError, ListenError, Listeners};
pub(crate) use udp::call_buffer;
