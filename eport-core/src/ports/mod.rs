//! Names for ports: ranges, sets and shards, the ephemeral ranges of systems, and reservations.

pub mod ephemeral;
pub mod range;
pub mod reserved;
pub mod set;
pub mod shard;

pub use ephemeral::{Class, Ephemeral, Family, NODE_PORTS, PROGRAMS, ProgramRange};
pub(crate) use range::bounds;
pub use range::{ParsePortsError, PortRange};
pub use reserved::{Registration, Reserved, Source};
pub use set::{PortSet, Runs};
pub use shard::{ParseShardError, Shard};
