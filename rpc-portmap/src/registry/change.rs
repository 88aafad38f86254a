//! What is written down so that a restart forgets nothing.

use std::collections::BTreeMap;

use super::claim::{Claim, Key, Registration};
use super::owner::Owner;
use crate::rpc::{Program, Version};
use crate::rpcbind::{Name, Netid, UniversalAddress};
use crate::xdr::{DecodeError, Decoder, Xdr, from_bytes, put_opaque, to_bytes};

/// The longest record, in bytes: two names and a few numbers.
const MAX_RECORD: usize = 1024;

/// Something that happened to a registry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A registration was made or replaced.
    Set(Registration),
    /// A registration was taken back, or its service is gone.
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
    /// Appends the change as a record that shows whether it was written to its end: a length, so
    /// many bytes of XDR, and their checksum.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let record = to_bytes(&Record::from(self));
        put_opaque(&record, out);
        checksum(&record).encode(out);
    }
}

/// Changes read back from bytes that may end in the middle of one.
#[derive(Debug, Default)]
pub struct Replay {
    /// What is registered after all of them, in the order in which it was.
    pub registrations: Vec<Registration>,
    /// How many bytes were good; what follows is a record that was never finished, or damage.
    pub good: usize,
    /// How many records there were.
    pub records: usize,
}

impl Replay {
    /// Reads changes until the bytes end or make no sense any more.
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

/// FNV-1a: against records that were cut short, not against anyone who can write to the file.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

crate::xdr_struct! {
    /// A change as it lies in a file. An empty address means that the registration is gone.
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
    /// The change; `None` if it is of a kind that this version of the program does not know.
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
