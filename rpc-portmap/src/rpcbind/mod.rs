//! The binding protocols on the wire: program 100000, versions 2, 3 and 4
//! ([RFC 1833](https://www.rfc-editor.org/rfc/rfc1833)).
//!
//! [`v2`] is the original port mapper, limited to TCP and UDP over IPv4; [`v3`] and [`v4`] name a
//! transport by a [`Netid`] and an address by text, a [`UniversalAddress`] ([RFC
//! 5665](https://www.rfc-editor.org/rfc/rfc5665)).

mod netid;
pub mod stats;
mod universal;
pub mod v2;
pub mod v3;
pub mod v4;

pub use netid::{Family, Netid, NetidError, Semantics};
pub use universal::{ParseAddressError, UniversalAddress};
pub use v2::Mapping;
pub use v3::Rpcb;

use std::net::Ipv6Addr;

use crate::rpc::Program;
use crate::xdr::Text;

/// The number of the program.
pub const PROGRAM: Program = Program::new(100_000);
/// Its port, for TCP and UDP.
pub const PORT: u16 = 111;
/// The abstract unix socket of the portmapper on Linux; clients try it before [`SOCKET`].
pub const ABSTRACT_SOCKET: &str = "@/run/rpcbind.sock";
/// The unix socket of the portmapper in the file system.
pub const SOCKET: &str = "/run/rpcbind.sock";

/// The IPv6 multicast group in which clients look for programs. IPv4 broadcasts instead ([RFC 1833
/// §3.2](https://www.rfc-editor.org/rfc/rfc1833#section-3.2)); IANA assigned this group.
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x202);

/// The longest string of the binding protocols that is accepted, in bytes. The RFC has no bound;
/// netids have a handful of characters, addresses at most 108.
pub const MAX_STRING: usize = 255;
/// The longest arguments and results of a forwarded call, in bytes: the datagram size that RPC
/// libraries settled on.
pub const MAX_FORWARDED: usize = 8800;

/// A string of the binding protocols.
pub type Name = Text<MAX_STRING>;
