//! Version 2, the port mapper ([RFC 1833 §3](https://www.rfc-editor.org/rfc/rfc1833#section-3)).
#![expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1833 §3 fixes the fields"
)]

use super::MAX_FORWARDED;
use crate::rpc::{Procedure, Program, Version};
use crate::xdr::Opaque;

/// The version's number.
pub const VERSION: Version = Version::new(2);
/// Registers a [`Mapping`]; returns true if it was accepted.
pub const SET: Procedure = Procedure::new(1);
/// Removes every [`Mapping`] of a program's version; protocol and port are ignored.
pub const UNSET: Procedure = Procedure::new(2);
/// Returns the port of a [`Mapping`], whose own port is ignored; 0 if there is none.
pub const GETPORT: Procedure = Procedure::new(3);
/// Returns all [`Mapping`]s.
pub const DUMP: Procedure = Procedure::new(4);
/// Calls a procedure of a registered program: [`CallArgs`], [`CallResult`].
pub const CALLIT: Procedure = Procedure::new(5);

crate::xdr_struct! {
    /// The port of a version of a program (`mapping`).
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Mapping {
        /// The program.
        pub program: Program,
        /// Its version.
        pub version: Version,
        /// 6 for TCP, 17 for UDP.
        pub protocol: u32,
        /// The port; 32 bits on the wire, of which 1 to 65535 are valid.
        pub port: u32,
    }
}

crate::xdr_struct! {
    /// A call to forward (`call_args`; the same in versions 3 and 4, `rpcb_rmtcallargs`).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct CallArgs {
        /// The program.
        pub program: Program,
        /// Its version.
        pub version: Version,
        /// Its procedure.
        pub procedure: Procedure,
        /// The arguments, encoded.
        pub args: Opaque<MAX_FORWARDED>,
    }
}

crate::xdr_struct! {
    /// The result of a forwarded call (`call_result`).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct CallResult {
        /// The port of the program.
        pub port: u32,
        /// Its results, encoded.
        pub results: Opaque<MAX_FORWARDED>,
    }
}
