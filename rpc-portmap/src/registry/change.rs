//! Changes as records of a file, so that registrations survive a restart.

use std::collections::BTreeMap;

use super::claim::{Claim, Key, Registration};
use super::owner::Owner;
use crate::rpc::{Program, Version};
use crate::rpcbind::{Name, Netid, UniversalAddress};
use crate::xdr::{DecodeError, Decoder, Xdr, from_bytes, put_opaque, to_bytes};

/// The longest record, in bytes: two names and a few numbers.
const MAX_RECORD: usize = 1024;

/// A change of a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A registration was made or replaced.
    Set(Registration),
    /// A registration was removed, or its service has ended.
    Unset {
        /// The program.
        program: Program,
        /// Its version.
        version: Version,
        /// The transport.
        netid: Netid,
    },
}

impl Change {
    /// Appends the change as a record that shows truncation: a length, that many bytes of XDR, and
    /// their checksum.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let record = to_bytes(&Record::from(self));
        put_opaque(&record, out);
        checksum(&record).encode(out);
    }
}

/// The changes read from bytes that may end within a record.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Replay {
    /// The registrations after all changes, in their order.
    pub registrations: Vec<Registration>,
    /// The length of the valid prefix, in bytes; the rest is an unfinished or damaged record.
    pub good: usize,
    /// The number of records read.
    pub records: usize,
}

impl Replay {
    /// Reads changes up to the end of the bytes or the first invalid record.
    pub fn read(bytes: &[u8]) -> Self {
        let mut replay = Self::default();
        let mut order = BTreeMap::new();
        let mut places = std::collections::HashMap::new();
        let mut from = Decoder::new(bytes);
        while let Ok(record) = next(&mut from) {
            replay.records += 1;
            replay.good = bytes.len() - from.remaining().len();
            let Some(change) = record.into_change() else {
                continue;
            };
            let key = match &change {
                Change::Set(registration) => registration.claim.key(),
                Change::Unset {
                    program,
                    version,
                    netid,
                } => Key {
                    program: *program,
                    version: *version,
                    netid: *netid,
                },
            };
            if let Some(place) = places.remove(&key) {
                order.remove(&place);
            }
            if let Change::Set(registration) = change {
                places.insert(key, replay.records);
                order.insert(replay.records, registration);
            }
        }
        replay.registrations = order.into_values().collect();
        replay
    }
}

fn next(from: &mut Decoder<'_>) -> Result<Record, DecodeError> {
    let bytes = from.opaque(MAX_RECORD)?;
    let sum = from.u32()?;
    if sum != checksum(bytes) {
        return Err(DecodeError::UnknownValue {
            what: "checksum",
            value: sum,
        });
    }
    from_bytes(bytes)
}

/// FNV-1a, against truncated records, not against a writer of the file.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

crate::xdr_struct! {
    /// A change in its form in the file. An empty address stands for a removal.
    #[derive(Clone, Debug, Eq, PartialEq)]
    struct Record {
        program: Program,
        version: Version,
        netid: Name,
        address: Name,
        uid: Option<u32>,
        witnessed: bool,
    }
}

impl Record {
    /// Returns the change; `None` for a transport that this version does not support.
    fn into_change(self) -> Option<Change> {
        let netid = self.netid.parse().ok()?;
        let (program, version) = (self.program, self.version);
        if self.address.is_empty() {
            return Some(Change::Unset {
                program,
                version,
                netid,
            });
        }
        let claim = Claim {
            program,
            version,
            netid,
            address: UniversalAddress::parse(netid, &self.address).ok()?,
        };
        Some(Change::Set(Registration {
            claim,
            owner: self.uid.map_or(Owner::Unknown, Owner::Uid),
            witnessed: self.witnessed,
        }))
    }
}

impl From<&Change> for Record {
    fn from(change: &Change) -> Self {
        match change {
            Change::Set(registration) => Self {
                program: registration.claim.program,
                version: registration.claim.version,
                netid: Name::truncated(registration.claim.netid.name()),
                address: Name::truncated(&registration.claim.address.to_string()),
                uid: match registration.owner {
                    Owner::Uid(uid) => Some(uid),
                    Owner::Unknown => None,
                },
                witnessed: registration.witnessed,
            },
            Change::Unset {
                program,
                version,
                netid,
            } => Self {
                program: *program,
                version: *version,
                netid: Name::truncated(netid.name()),
                address: Name::default(),
                uid: None,
                witnessed: false,
            },
        }
    }
}
