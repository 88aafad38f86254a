//! Names for ports: ranges, sets and shards, the ephemeral ranges of systems, and reservations.

mod ephemeral;
mod range;
mod reserved;
mod set;
mod shard;

pub use ephemeral::{Ephemeral, PortClass, ProgramRange};
pub use range::{ParsePortsError, PortRange};
pub use reserved::{PortmapperEntry, Reserved, Source};
pub use set::{PortRuns, PortSet};
pub use shard::{ParseShardError, Shard};
