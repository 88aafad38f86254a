//! The doors to the world: the host's configuration and sockets, the clock and the system's
//! randomness.
//!
//! A [`Host`] answers single questions, [`Sources`] selects the answers that reserve ports, and a
//! [`Snapshot`] is all of them together, for the doctor. All three work on a
//! directory that looks like the root of a machine as well as on this one.

mod clock;
mod diag;
mod entropy;
mod error;
mod files;
mod host;
mod netlink;
mod process;
mod snapshot;
mod socket;
mod sources;
mod table;

pub(crate) use clock::now;
pub(crate) use entropy::{reseed, seed};
pub use error::{HostError, LineError};
pub use files::{OpenFiles, Service};
pub use host::Host;
pub use netlink::SocketQueries;
pub use process::Process;
pub use snapshot::{Conntrack, Snapshot};
pub use socket::{BoundSocket, SocketState};
pub use sources::Sources;
