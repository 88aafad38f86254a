//! A TFTP server and client whose transfer ports come from one allocator.
//!
//! Each transfer of a [`Server`] or a [`Client`] has a UDP port of its own, leased from an
//! [`eport_core::Allocator`] and released when the transfer ends.
//!
//! ```
//! # #[cfg(not(all(feature = "server", feature = "client")))]
//! # fn main() {}
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tftpd::{Client, Listener, Server, backend::Memory};
//!
//! // A server on a free port of the loopback address.
//! let listener = Listener::bind("127.0.0.1:0".parse()?)?;
//! let address = listener.local_addr().expect("bound");
//! let files = Memory::new().with("boot.ipxe", "#!ipxe\nshell\n");
//! let server = Server::builder().backend(files).build()?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let serving = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
//!
//! let script = Client::new()?.get_bytes(address, "boot.ipxe").await?;
//! assert_eq!(script, b"#!ipxe\nshell\n");
//!
//! drop(stop);
//! assert_eq!(serving.await??.sent, 1);
//! # Ok(()) }
//! ```
//!
//! # Modules
//!
//! | module | feature | content |
//! |---|---|---|
//! | [`server`] | `server` | [`Server`], its builder, limits, records and summary |
//! | [`backend`] | `server` | sources of files: the trait [`Backend`](backend::Backend), a directory, memory, an async function |
//! | [`testing`] | `server` | a server inside a test, and a link that loses, repeats and delays packets by a script |
//! | [`client`] | `client` | [`Client`], streams, probes, [`TransferError`](client::TransferError) |
//! | [`proto`] | none | the protocol without I/O: packets, options, and the state machines of both sides |
//! | [`policy`] | none | checks of a request: access lists, file names, rewriting rules |
//!
//! Each module's page has an example. Entry points by task:
//!
//! | task | item |
//! |---|---|
//! | serve a directory | [`Server`] with [`backend::FileSystem`] |
//! | serve generated files | [`backend::Dynamic`], or an own [`Backend`](backend::Backend) |
//! | read or write a file | [`Client::get`], [`Client::put`] |
//! | restrict clients, rewrite names | [`policy::RequestPolicy`] |
//! | test a client against packet loss | [`testing::TestServer`] |
//! | drive a transfer on an own event loop | [`proto::Sender`], [`proto::Receiver`] |
//!
//! # Features
//!
//! `server` and `client` are the two halves, `cli` builds the programs `tftpd` and `tftp`; all three
//! are on by default. Without them the crate consists of [`proto`] and [`policy`], and depends on no
//! runtime and no sockets. `net` is what `server` and `client` share; it is not chosen by itself.

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
