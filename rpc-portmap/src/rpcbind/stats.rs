//! The counters of a portmapper (`GETSTAT`, [RFC 1833
//! §2.1](https://www.rfc-editor.org/rfc/rfc1833#section-2.1)).
#![expect(
    clippy::exhaustive_structs,
    reason = "closed: RFC 1833 §2.1 fixes the fields"
)]

use super::Name;
use crate::rpc::{Procedure, Program, Version};
use crate::xdr::{DecodeError, Decoder, List, Xdr};

/// The procedures that are counted: numbers 0 to 12 (`RPCBSTAT_HIGHPROC`).
pub const PROCEDURES: usize = 13;

crate::xdr_struct! {
    /// The look-ups of the address of one program (`rpcbs_addrlist`).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct AddressCount {
        /// The program.
        pub program: Program,
        /// The requested version.
        pub version: Version,
        /// Look-ups that found an address.
        pub success: i32,
        /// Look-ups that did not.
        pub failure: i32,
        /// The transport.
        pub netid: Name,
    }
}

crate::xdr_struct! {
    /// The calls forwarded to one procedure (`rpcbs_rmtcalllist`).
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct ForwardCount {
        /// The program.
        pub program: Program,
        /// Its version.
        pub version: Version,
        /// Its procedure.
        pub procedure: Procedure,
        /// Calls that were answered.
        pub success: i32,
        /// Calls that were not.
        pub failure: i32,
        /// Calls that came as `INDIRECT`.
        pub indirect: i32,
        /// The transport.
        pub netid: Name,
    }
}

crate::xdr_struct! {
    /// The counters of one version of the binding protocol (`rpcb_stat`).
    #[derive(Clone, Debug, Default, Eq, PartialEq)]
    pub struct VersionStats {
        /// Calls of each procedure, by its number.
        pub calls: CallCounts,
        /// Accepted registrations.
        pub set: i32,
        /// Removed registrations.
        pub unset: i32,
        /// Look-ups by program.
        pub addresses: List<AddressCount>,
        /// Forwarded calls by program.
        pub forwarded: List<ForwardCount>,
    }
}

/// Calls of each procedure (`rpcbs_proc`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallCounts(pub [i32; PROCEDURES]);

impl Xdr for CallCounts {
    fn encode(&self, out: &mut Vec<u8>) {
        for count in self.0 {
            count.encode(out);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut counts = Self::default();
        for count in &mut counts.0 {
            *count = i32::decode(from)?;
        }
        Ok(counts)
    }
}

/// The counters of versions 2, 3 and 4, in this order (`rpcb_stat_byvers`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllStats(pub [VersionStats; 3]);

impl Xdr for AllStats {
    fn encode(&self, out: &mut Vec<u8>) {
        for version in &self.0 {
            version.encode(out);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        for version in &mut all.0 {
            *version = VersionStats::decode(from)?;
        }
        Ok(all)
    }
}
