//! ONC RPC ([RFC 5531](https://www.rfc-editor.org/rfc/rfc5531)): a framework for services on
//! dynamic ports, a client, and the portmapper ([RFC 1833](https://www.rfc-editor.org/rfc/rfc1833))
//! through which clients find services.
//!
//! A service, and a call to it:
//!
#![cfg_attr(feature = "net", doc = "```")]
#![cfg_attr(not(feature = "net"), doc = "```ignore")]
//! use std::sync::Arc;
//! use std::time::Duration;
//! use rpc_portmap::rpc::RpcError;
//! use rpc_portmap::server::Caller;
//! use rpc_portmap::{Client, Listeners, Server};
//!
//! rpc_portmap::rpc_program! {
//!     /// Version 1 of a program that doubles numbers.
//!     pub trait Doubler1 = (0x2000_0001, 1);
//!     server Doubler1Server;
//!     client Doubler1Client;
//!     /// Returns twice the number.
//!     1 => fn double(u32) -> u64;
//! }
//!
//! struct Doubler;
//!
//! impl Doubler1 for Doubler {
//!     async fn double(&self, _: &Caller, number: u32) -> Result<u64, RpcError> {
//!         Ok(2 * u64::from(number))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut listeners = Listeners::new();
//! listeners.bind_ip("127.0.0.1:0".parse()?)?; // one port, UDP and TCP
//! let tcp = listeners.addresses()[0].1.socket_addr().ok_or("not an IP address")?;
//! let server = Server::builder().version(Doubler1Server::new(Arc::new(Doubler))).build();
//! let serving = tokio::spawn(server.serve(listeners, std::future::pending()));
//!
//! let client = Doubler1Client(Client::tcp(tcp, Duration::from_secs(3)).await?);
//! assert_eq!(client.double(21).await?, 42);
//! # serving.abort();
//! # Ok(()) }
//! ```
//!
//! [`DynamicPort`] leases the port from an [`eport_core::Allocator`] instead, and
//! [`Server::register`] keeps the service registered with this machine's portmapper; the example
//! `counter` does both. [`Portmapper`] is the portmapper itself, as a service for a [`Server`].
//!
//! # Modules
//!
//! | module | content | feature |
//! |---|---|---|
//! | [`xdr`] | the encoding ([RFC 4506](https://www.rfc-editor.org/rfc/rfc4506)); [`xdr_struct!`], [`xdr_enum!`], [`xdr_union!`] | |
//! | [`rpc`] | calls, replies, errors, credentials, records; [`Program`](rpc::Program), [`Version`](rpc::Version), [`Procedure`](rpc::Procedure) | |
//! | [`rpcbind`] | program 100000 on the wire, versions 2, 3 and 4; netids and universal addresses | |
//! | [`registry`] | the portmapper's table of registrations and its rules | |
//! | [`transport`] | [`Listeners`] and [`DynamicPort`] | `net` |
//! | [`client`] | [`Client`], calls to a portmapper, ports that are registered with one | `net` |
//! | [`server`] | [`Server`], layers, limits, registration; [`rpc_program!`] | `net` |
//! | [`portmapper`] | [`Portmapper`] with access rules, state file and forwarding | `net` |
//!
//! # Features
//!
//! * `net` (default): transports, client, server and portmapper, on tokio. Without it the pure
//!   modules remain: no sockets, files, clocks or runtime.
//! * `cli` (default): the program `rpc-portmap`.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "net")]
pub mod client;
#[cfg(feature = "net")]
pub mod portmapper;
pub mod registry;
pub mod rpc;
pub mod rpcbind;
#[cfg(feature = "net")]
pub mod server;
#[cfg(feature = "net")]
pub mod transport;
pub mod xdr;

#[cfg(feature = "net")]
pub use client::Client;
#[cfg(feature = "net")]
pub use portmapper::Portmapper;
#[cfg(feature = "net")]
pub use server::Server;
#[cfg(feature = "net")]
pub use transport::{DynamicPort, Listeners};

#[cfg(test)]
mod hex;
