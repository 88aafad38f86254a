//! ONC RPC: the portmapper, and a framework for services on dynamic ports.
//!
//! * [`xdr`] reads and writes the encoding ([RFC 4506](https://www.rfc-editor.org/rfc/rfc4506)).
//! * [`rpc`] knows calls, replies and records ([RFC 5531](https://www.rfc-editor.org/rfc/rfc5531)).
//! * [`rpcbind`] is program 100000 on the wire, versions 2, 3 and 4 ([RFC 1833](https://www.rfc-editor.org/rfc/rfc1833)).
//! * [`registry`] is the portmapper's table and its rules.

/// The program of this package; no part of the library's stable surface.
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

#[cfg(test)]
mod hex;
