//! Version 3 ([RFC 1833 §2](https://www.rfc-editor.org/rfc/rfc1833#section-2)).

use super::{MAX_FORWARDED, Name};
use crate::rpc::{Procedure, Program, Version};
use crate::xdr::Opaque;

/// The version's number.
pub const VERSION: Version = Version::new(3);
/// Registers an [`Rpcb`]; whether it was taken.
pub const SET: Procedure = Procedure::new(1);
/// Takes an [`Rpcb`] back; with an empty netid, those of all transports.
pub const UNSET: Procedure = Procedure::new(2);
/// The address of a program; empty if there is none.
pub const GETADDR: Procedure = Procedure::new(3);
/// All [`Rpcb`]s.
pub const DUMP: Procedure = Procedure::new(4);
/// Calls a procedure of a registered program and is silent if that fails.
pub const CALLIT: Procedure = Procedure::new(5);
/// Seconds since 1970.
pub const GETTIME: Procedure = Procedure::new(6);
/// A universal address in the form of the transport: [`Netbuf`].
pub const UADDR2TADDR: Procedure = Procedure::new(7);
/// The other way round.
pub const TADDR2UADDR: Procedure = Procedure::new(8);

crate::xdr_struct! {
    /// Where a version of a program is (`rpcb`, §2.1).
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
        /// Who registered it.
        pub owner: Name,
    }
}

crate::xdr_struct! {
    /// The result of a forwarded call (`rpcb_rmtcallres`, §2.1).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct CallResult {
        /// The universal address of the program.
        pub address: Name,
        /// Its results, as they came.
        pub results: Opaque<MAX_FORWARDED>,
    }
}

crate::xdr_struct! {
    /// An address in the form of its transport: on Linux, a `sockaddr` (`netbuf`, §2.1).
    #[derive(Clone, Debug, Default, Eq, PartialEq)]
    pub struct Netbuf {
        /// The size of the buffer that the sender has.
        pub max_len: u32,
        /// What is in it.
        pub bytes: Opaque<{ super::MAX_STRING }>,
    }
}
