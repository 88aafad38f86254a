//! The parts that the workspace's programs (`tftpd`, `tftp`, `eport`, `rpc-portmap`) share, so that
//! an exit code, an address to listen on or a finding is the same in each of them.
//!
//! [`Printable`] is always built. Everything else needs the feature `program`, which the feature `cli`
//! of each crate enables: it brings clap, `serde_json`, tokio and tracing-subscriber.

mod printable;

#[cfg(feature = "program")]
mod activation;
#[cfg(feature = "program")]
mod descriptors;
#[cfg(feature = "program")]
mod environment;
#[cfg(feature = "program")]
mod exit;
#[cfg(feature = "program")]
mod failure;
#[cfg(feature = "program")]
mod findings;
#[cfg(feature = "program")]
mod listen;
#[cfg(feature = "program")]
mod log;
#[cfg(feature = "program")]
mod notify;
#[cfg(feature = "program")]
mod output;
#[cfg(feature = "program")]
mod run;
#[cfg(feature = "program")]
mod signal;

#[cfg(feature = "program")]
pub use activation::passed_sockets;
#[cfg(feature = "program")]
pub use descriptors::raise_descriptor_limit;
#[cfg(feature = "program")]
pub use exit::Exit;
#[cfg(feature = "program")]
pub use failure::Failure;
#[cfg(feature = "program")]
pub use findings::Findings;
#[cfg(feature = "program")]
pub use listen::{ListenAddress, ParseListenError};
#[cfg(feature = "program")]
pub use log::{LogGuard, start_logging};
#[cfg(feature = "program")]
pub use notify::notify;
#[cfg(feature = "program")]
pub use output::{print, print_json};
pub use printable::{MAX_PRINTED, Printable};
#[cfg(feature = "program")]
pub use run::{block_on, end, parse};
#[cfg(feature = "program")]
pub use signal::{DaemonSignal, DaemonSignals, StopSignals};
