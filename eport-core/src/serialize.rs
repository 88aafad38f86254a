//! `Serialize` for plans, capacities, sockets and findings. A value that prints as one word or list is
//! serialized as that text.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::address::{AddressFamily, Protocol};
use crate::plan::{Capacity, Note, NoteLevel, Overlap, Plan, PortSpec};
use crate::ports::{Ephemeral, PortClass, PortRange, PortSet, Reserved, Source};

macro_rules! as_text {
    ($($type:ty),* $(,)?) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text!(
    PortClass,
    Ephemeral,
    AddressFamily,
    Overlap,
    PortRange,
    PortSet,
    PortSpec,
    Protocol,
    Source,
);
#[cfg(feature = "net")]
as_text!(crate::doctor::Severity, crate::system::SocketState);

impl Serialize for NoteLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
        })
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut note = serializer.serialize_struct("Note", 4)?;
        note.serialize_field("code", self.code())?;
        note.serialize_field("severity", &self.level())?;
        note.serialize_field("what", &self.what())?;
        note.serialize_field("fix", &self.fix())?;
        note.end()
    }
}

/// Serializes a list of `{source, count, ports}`.
impl Serialize for Reserved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(source, ports)| Entry { source, ports }))
    }
}

struct Entry<'a> {
    source: &'a Source,
    ports: &'a PortSet,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_struct("Entry", 3)?;
        entry.serialize_field("source", self.source)?;
        entry.serialize_field("count", &self.ports.len())?;
        entry.serialize_field("ports", self.ports)?;
        entry.end()
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("Plan", 5)?;
        plan.serialize_field("spec", self.spec())?;
        plan.serialize_field("count", &self.ports().len())?;
        plan.serialize_field("ports", self.ports())?;
        plan.serialize_field("left_out", self.left_out())?;
        plan.serialize_field("notes", self.notes())?;
        plan.end()
    }
}

impl Serialize for Capacity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut capacity = serializer.serialize_struct("Capacity", 6)?;
        capacity.serialize_field("ports", &self.ports())?;
        capacity.serialize_field("entropy_bits", &self.entropy_bits())?;
        capacity.serialize_field("rest_seconds", &self.rest().as_secs_f64())?;
        capacity.serialize_field("transfers_per_second", &self.per_second())?;
        capacity.serialize_field("descriptors", &self.descriptors())?;
        capacity.serialize_field("at_once", &self.at_once())?;
        capacity.end()
    }
}
