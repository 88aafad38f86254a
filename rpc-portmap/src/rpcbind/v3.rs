//! Version 3 ([RFC 1833 §2](https://www.rfc-editor.org/rfc/rfc1833#section-2)).
#![expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1833 §2.1 fixes the fields"
)]

use super::{MAX_FORWARDED, Name};
use crate::rpc::{Procedure, Program, Version};
use crate::xdr::Opaque;

/// The version's number.
pub const VERSION: Version = Version::new(3);
/// Registers an [`Rpcb`]; returns true if it was accepted.
pub const SET: Procedure = Procedure::new(1);
/// Removes an [`Rpcb`]; with an empty netid, those of all transports.
pub const UNSET: Procedure = Procedure::new(2);
/// Returns the address of a program; empty if there is none.
pub const GETADDR: Procedure = Procedure::new(3);
/// Returns all [`Rpcb`]s.
pub const DUMP: Procedure = Procedure::new(4);
/// Calls a procedure of a registered program; failures are not answered.
pub const CALLIT: Procedure = Procedure::new(5);
/// Returns the seconds since 1970.
pub const GETTIME: Procedure = Procedure::new(6);
/// Converts a universal address to the form of the transport, a [`Netbuf`].
pub const UADDR2TADDR: Procedure = Procedure::new(7);
/// Converts a [`Netbuf`] to a universal address.
pub const TADDR2UADDR: Procedure = Procedure::new(8);

crate::xdr_struct! {
    /// The address of a version of a program (`rpcb`, §2.1).
    #[derive(Clone, Debug, Default, Eq, PartialEq)]
    pub struct Rpcb {
        /// The program.
        pub program: Program,
        /// Its version.
        pub version: Version,
        /// The transport, such as `tcp6`.
        pub netid: Name,
        /// The universal address.
        pub address: Name,
        /// The owner of the registration.
        pub owner: Name,
    }
}

crate::xdr_struct! {
    /// The result of a forwarded call (`rpcb_rmtcallres`, §2.1).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct CallResult {
        /// The universal address of the program.
        pub address: Name,
        /// Its results, encoded.
        pub results: Opaque<MAX_FORWARDED>,
    }
}

crate::xdr_struct! {
    /// An address in the form of its transport: on Linux, a `sockaddr` (`netbuf`, §2.1).
    #[derive(Clone, Debug, Default, Eq, PartialEq)]
    pub struct Netbuf {
        /// The size of the sender's buffer, in bytes.
        pub max_len: u32,
        /// The address.
        pub bytes: Opaque<{ super::MAX_STRING }>,
    }
}
