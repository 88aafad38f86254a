//! Version 4 ([RFC 1833 §2](https://www.rfc-editor.org/rfc/rfc1833#section-2)): version 3 and a few
//! procedures more.
#![expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1833 §2.1 fixes the fields"
)]

use super::Name;
use crate::rpc::{Procedure, Version};

pub use super::v3::{DUMP, GETADDR, GETTIME, SET, TADDR2UADDR, UADDR2TADDR, UNSET};

/// The version's number.
pub const VERSION: Version = Version::new(4);
/// `CALLIT` of version 3 under another name.
pub const BCAST: Procedure = Procedure::new(5);
/// As `GETADDR`, but for this version only.
pub const GETVERSADDR: Procedure = Procedure::new(9);
/// As `BCAST`, but errors are answered.
pub const INDIRECT: Procedure = Procedure::new(10);
/// Returns the addresses of a program's version on all transports: a list of [`Entry`].
pub const GETADDRLIST: Procedure = Procedure::new(11);
/// Returns the counters: [`AllStats`](super::stats::AllStats).
pub const GETSTAT: Procedure = Procedure::new(12);

crate::xdr_struct! {
    /// One address of a program, with the properties of its transport (`rpcb_entry`).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct Entry {
        /// The universal address, merged for the client.
        pub address: Name,
        /// The transport.
        pub netid: Name,
        /// The way in which it carries messages; see [`Semantics`](super::Semantics).
        pub semantics: u32,
        /// The family of its addresses, such as `inet6`.
        pub family: Name,
        /// The protocol above that, such as `udp`.
        pub protocol: Name,
    }
}
