//! The procedures of the three versions, as traits.

use crate::rpcbind::stats::AllStats;
use crate::rpcbind::v2::CallArgs;
use crate::rpcbind::v3::Netbuf;
use crate::rpcbind::{Mapping, Name, PROGRAM, Rpcb, v2, v3, v4};
use crate::xdr::{DecodeError, Decoder, List, Xdr};

/// A list of [`Rpcb`] in its form on the wire.
pub(super) struct RpcbList(pub(super) Vec<u8>);

impl Xdr for RpcbList {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(from.remaining().to_vec()))
    }
}

crate::rpc_program! {
    /// Version 2 ([RFC 1833 §3](https://www.rfc-editor.org/rfc/rfc1833#section-3)).
    pub(super) trait Portmap2 = (PROGRAM, v2::VERSION);
    server Portmap2Server;
    /// Registers a mapping.
    1 => fn set(Mapping) -> bool;
    /// Removes the mappings of a program's version.
    2 => fn unset(Mapping) -> bool;
    /// Returns the port of a program.
    3 => fn getport(Mapping) -> u32;
    /// Returns all mappings.
    4 => fn dump() -> List<Mapping>;
    /// Calls a registered program.
    5 => fn callit(CallArgs) -> v2::CallResult;
}

crate::rpc_program! {
    /// Version 3 ([RFC 1833 §2](https://www.rfc-editor.org/rfc/rfc1833#section-2)).
    pub(super) trait Rpcbind3 = (PROGRAM, v3::VERSION);
    server Rpcbind3Server;
    /// Registers an address.
    1 => fn set(Rpcb) -> bool;
    /// Removes an address, or those of all transports.
    2 => fn unset(Rpcb) -> bool;
    /// Returns the address of a program.
    3 => fn getaddr(Rpcb) -> Name;
    /// Returns all addresses.
    4 => fn dump() -> RpcbList;
    /// Calls a registered program.
    5 => fn callit(CallArgs) -> v3::CallResult;
    /// Returns the seconds since 1970.
    6 => fn gettime() -> u32;
    /// Converts an address to the form of its transport.
    7 => fn uaddr2taddr(Name) -> Netbuf;
    /// Converts an address to text.
    8 => fn taddr2uaddr(Netbuf) -> Name;
}

crate::rpc_program! {
    /// Version 4 ([RFC 1833 §2](https://www.rfc-editor.org/rfc/rfc1833#section-2)).
    pub(super) trait Rpcbind4 = (PROGRAM, v4::VERSION);
    server Rpcbind4Server;
    /// Registers an address.
    1 => fn set(Rpcb) -> bool;
    /// Removes an address, or those of all transports.
    2 => fn unset(Rpcb) -> bool;
    /// Returns the address of a program, of another version if needed.
    3 => fn getaddr(Rpcb) -> Name;
    /// Returns all addresses.
    4 => fn dump() -> RpcbList;
    /// Calls a registered program.
    5 => fn bcast(CallArgs) -> v3::CallResult;
    /// Returns the seconds since 1970.
    6 => fn gettime() -> u32;
    /// Converts an address to the form of its transport.
    7 => fn uaddr2taddr(Name) -> Netbuf;
    /// Converts an address to text.
    8 => fn taddr2uaddr(Netbuf) -> Name;
    /// Returns the address of this version of a program.
    9 => fn getversaddr(Rpcb) -> Name;
    /// Calls a registered program and answers errors too.
    10 => fn indirect(CallArgs) -> v3::CallResult;
    /// Returns the addresses of a program on all transports of the caller's family.
    11 => fn getaddrlist(Rpcb) -> List<v4::Entry>;
    /// Returns the counters.
    12 => fn getstat() -> AllStats;
}
