//! The doors to the world: the host's configuration, the clock and the system's randomness.

mod clock;
mod entropy;
mod host;

pub(crate) use clock::now;
pub(crate) use entropy::{reseed, seed};
pub use host::{Host, HostError};
