//! One registration.

use super::host::{Host, Liveness};
use super::owner::Owner;
use crate::rpc::{Program, Version};
use crate::rpcbind::{
    Mapping, Name, Netid, NetidError, PROGRAM, ParseAddressError, Rpcb, UniversalAddress,
};
use crate::xdr::{Xdr, put_display, put_opaque};

/// That a version of a program is to be found at an address, by whomever.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
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

/// Why a request to register is no [`Claim`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The transport is not known.
    #[error("the transport is unknown")]
    Netid(#[from] NetidError),
    /// The address is none of the transport.
    #[error("the address is none of this transport")]
    Address(#[from] ParseAddressError),
    /// Version 2 knows TCP (6) and UDP (17).
    #[error("protocol {0} is neither TCP (6) nor UDP (17)")]
    Protocol(u32),
    /// The port is not one.
    #[error("{0} is no port: ports are 1 to 65535")]
    Port(u32),
}

impl Claim {
    /// The claim that a version 3 or 4 request makes.
    ///
    /// # Errors
    /// [`ClaimError`] if transport or address make no sense (RFC 1833 §2.2.1 wants both set).
    pub fn from_rpcb(request: &Rpcb) -> Result<Self, ClaimError> {
        let netid: Netid = request.netid.parse()?;
        Ok(Self {
            program: request.program,
            version: request.version,
            netid,
            address: UniversalAddress::parse(netid, &request.address)?,
        })
    }

    /// The claim that a version 2 request makes: a port of every IPv4 address.
    ///
    /// # Errors
    /// [`ClaimError`] if protocol or port make no sense.
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

    /// That these versions of a program are at each of these addresses.
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

/// What can be registered once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) program: Program,
    pub(super) version: Version,
    pub(super) netid: Netid,
}

/// A [`Claim`] that was accepted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Registration {
    /// What is where.
    pub claim: Claim,
    /// Who said so.
    pub owner: Owner,
    /// Whether somebody was seen to hold the port when it was registered. Only then does its
    /// being free mean that the service is gone.
    pub witnessed: bool,
}

impl Registration {
    /// How version 3 and 4 show it.
    pub fn to_rpcb(&self) -> Rpcb {
        Rpcb {
            program: self.claim.program,
            version: self.claim.version,
            netid: Name::truncated(self.claim.netid.name()),
            address: Name::truncated(&self.claim.address.to_string()),
            owner: Name::truncated(&self.owner.to_string()),
        }
    }

    /// Appends [`to_rpcb`](Self::to_rpcb) without making it first: lists are long.
    pub fn put_rpcb(&self, out: &mut Vec<u8>) {
        self.claim.program.encode(out);
        self.claim.version.encode(out);
        put_opaque(self.claim.netid.name().as_bytes(), out);
        put_display(&self.claim.address, out);
        put_display(self.owner, out);
    }

    /// How version 2 shows it, if it can: TCP and UDP over IPv4.
    pub fn to_mapping(&self) -> Option<Mapping> {
        Some(Mapping {
            program: self.claim.program,
            version: self.claim.version,
            protocol: self.claim.netid.protocol_number()?,
            port: self.claim.address.port()?.into(),
        })
    }

    /// Whether it is the portmapper's own.
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
