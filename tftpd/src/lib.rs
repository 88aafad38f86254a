//! A TFTP server and client whose transfer ports come from one allocator.
//!
//! * [`Server`] serves a [`backend`] to any number of clients, each on a port of its own that is
//!   leased from [`eport_core::Allocator`].
//! * [`proto`] is the protocol without any I/O: packets, options, and the state machines of both
//!   sides of a transfer.
//! * [`testing`] is a server for tests, on a network as bad as a test wants it:
//!
//! ```
//! # #[cfg(not(all(feature = "server", feature = "client")))]
//! # fn main() {}
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tftpd::{Client, Server, backend::Memory, testing::{PacketId, Script, TestServer}};
//!
//! let files = Memory::new().with("kernel", vec![7; 5000]);
//! let link = Script::new().lose(PacketId::Data(3)).repeat(PacketId::Ack(4));
//! let server = TestServer::start_with_link(Server::builder().backend(files), link)?;
//! let kernel = Client::new()?.get_bytes(server.address(), "kernel").await?;
//! assert_eq!(kernel, [7; 5000]);
//! # Ok(()) }
//! ```
//!
//! # Features
//! `server` and `client` bring the two halves, `cli` the binaries; all three are on by default.
//! Without any of them only [`proto`] and [`policy`] are built, with no dependency on a runtime
//! or on sockets.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

pub mod policy;
pub mod proto;

#[cfg(feature = "server")]
pub mod backend;
/// The programs of this package; no part of the library's stable surface.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
mod engine;
#[cfg(feature = "net")]
mod net;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod testing;

#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "server")]
pub use net::{ListenError, Listener};
#[cfg(feature = "server")]
pub use server::Server;
