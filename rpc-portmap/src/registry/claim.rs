//! Claims and registrations.

use super::host::{Host, Liveness};
use super::owner::Owner;
use crate::rpc::{Program, Version};
use crate::rpcbind::{
    Mapping, Name, Netid, NetidError, PROGRAM, ParseAddressError, Rpcb, UniversalAddress,
};
use crate::xdr::{Xdr, put_display, put_opaque};

/// The claim that a version of a program is served at an address, without an owner.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "closed: the key and address of `rpcb`, RFC 1833 §2.1"
)]
pub struct Claim {
    /// The program.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The transport.
    pub netid: Netid,
    /// The address on it.
    pub address: UniversalAddress,
}

/// The reason why a request to register is not a [`Claim`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The transport is unknown.
    #[error("the transport is unknown")]
    Netid(#[from] NetidError),
    /// The address is not one of the transport.
    #[error("the address is not one of this transport")]
    Address(#[from] ParseAddressError),
    /// Version 2 has TCP (6) and UDP (17) only.
    #[error("protocol {0} is neither TCP (6) nor UDP (17)")]
    Protocol(u32),
    /// The port is not in 1 to 65535.
    #[error("{0} is not a port: ports are 1 to 65535")]
    Port(u32),
}

impl Claim {
    /// Reads the claim of a version 3 or 4 request.
    ///
    /// # Errors
    /// [`ClaimError`] if transport or address is malformed ([RFC 1833
    /// §2.2.1](https://www.rfc-editor.org/rfc/rfc1833#section-2.2.1) requires both).
    pub fn from_rpcb(request: &Rpcb) -> Result<Self, ClaimError> {
        let netid: Netid = request.netid.parse()?;
        Ok(Self {
            program: request.program,
            version: request.version,
            netid,
            address: UniversalAddress::parse(netid, &request.address)?,
        })
    }

    /// Reads the claim of a version 2 request: a port of every IPv4 address.
    ///
    /// # Errors
    /// [`ClaimError`] if protocol or port is invalid.
    pub fn from_mapping(request: &Mapping) -> Result<Self, ClaimError> {
        let netid = Netid::from_protocol_number(request.protocol)
            .ok_or(ClaimError::Protocol(request.protocol))?;
        let port = u16::try_from(request.port)
            .ok()
            .filter(|port| *port != 0)
            .ok_or(ClaimError::Port(request.port))?;
        Ok(Self {
            program: request.program,
            version: request.version,
            netid,
            address: UniversalAddress::Ip(std::net::Ipv4Addr::UNSPECIFIED.into(), port),
        })
    }

    /// Builds the claims for these versions of a program at each of these addresses.
    pub fn all(
        program: Program,
        versions: &[Version],
        addresses: &[(Netid, UniversalAddress)],
    ) -> Vec<Self> {
        let at = |(netid, address): &(Netid, UniversalAddress)| {
            let claim = |version: &Version| Self {
                program,
                version: *version,
                netid: *netid,
                address: address.clone(),
            };
            versions.iter().map(claim).collect::<Vec<_>>()
        };
        addresses.iter().flat_map(at).collect()
    }

    pub(super) const fn key(&self) -> Key {
        Key {
            program: self.program,
            version: self.version,
            netid: self.netid,
        }
    }
}

/// The unit of registration: at most one address per program, version and transport.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) program: Program,
    pub(super) version: Version,
    pub(super) netid: Netid,
}

/// A [`Claim`] that was accepted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Registration {
    /// The claim.
    pub claim: Claim,
    /// The owner.
    pub owner: Owner,
    /// Set when a process held the port at the time of registration. Only then does a free port
    /// mean that the service has ended.
    pub witnessed: bool,
}

impl Registration {
    /// Returns the form of versions 3 and 4.
    pub fn to_rpcb(&self) -> Rpcb {
        Rpcb {
            program: self.claim.program,
            version: self.claim.version,
            netid: Name::truncated(self.claim.netid.name()),
            address: Name::truncated(&self.claim.address.to_string()),
            owner: Name::truncated(&self.owner.to_string()),
        }
    }

    /// Appends the encoding of [`to_rpcb`](Self::to_rpcb) without allocating it, since lists are
    /// long.
    pub fn put_rpcb(&self, out: &mut Vec<u8>) {
        self.claim.program.encode(out);
        self.claim.version.encode(out);
        put_opaque(self.claim.netid.name().as_bytes(), out);
        put_display(&self.claim.address, out);
        put_display(self.owner, out);
    }

    /// Returns the form of version 2, if it has one: TCP and UDP over IPv4.
    pub fn to_mapping(&self) -> Option<Mapping> {
        Some(Mapping {
            program: self.claim.program,
            version: self.claim.version,
            protocol: self.claim.netid.protocol_number()?,
            port: self.claim.address.port()?.into(),
        })
    }

    /// Returns true if the program is the portmapper itself.
    pub const fn is_portmapper(&self) -> bool {
        matches!(self.claim.program, PROGRAM)
    }

    pub(super) fn liveness(&self, host: &impl Host) -> Liveness {
        if self.witnessed {
            host.liveness(self.claim.netid, &self.claim.address)
        } else {
            Liveness::Unknown
        }
    }
}
