//! A TFTP server and client whose transfer ports come from one allocator.
//!
//! * [`Server`] serves a [`backend`] to any number of clients, each on a port of its own that is
//!   leased from [`eport_core::Allocator`].
//! * [`proto`] is the protocol without any I/O: packets, options, and the state machines of both
//!   sides of a transfer.
//!
//! # Features
//! `server` and `client` bring the two halves, `cli` the binaries; all three are on by default.
//! Without any of them only [`proto`] and [`policy`] are built, with no dependency on a runtime
//! or on sockets.

pub mod policy;
pub mod proto;

#[cfg(feature = "server")]
pub mod backend;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
mod engine;
#[cfg(feature = "net")]
mod net;
#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "server")]
pub use net::{ListenError, Listener};
#[cfg(feature = "server")]
pub use server::Server;
