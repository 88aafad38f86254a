//! Sockets as TFTP uses them: the port that requests are sent to, and the port of one transfer.

#[cfg(feature = "client")]
mod client_socket;
mod clock;
#[cfg(feature = "server")]
mod entropy;
#[cfg(feature = "server")]
mod listener;
#[cfg(feature = "server")]
mod transfer_socket;

#[cfg(feature = "client")]
pub(crate) use client_socket::{ClientSocket, Event, Lost, Why};
pub(crate) use clock::now;
#[cfg(feature = "server")]
pub(crate) use clock::processors;
#[cfg(feature = "server")]
pub(crate) use entropy::random_state;
#[cfg(feature = "server")]
pub(crate) use eport_core::datagram::{Arrival, Inbox, reply};
#[cfg(feature = "server")]
pub(crate) use listener::inbox;
#[cfg(feature = "server")]
pub use listener::{ListenError, Listener};
#[cfg(feature = "server")]
pub(crate) use transfer_socket::{Received, SendError, TransferSocket, stride};
