//! Ephemeral ports as bound sockets: drawn unpredictably, never reserved ones, given back on drop.
//!
//! A service that answers from a port of its own for each conversation (TFTP, RPC, TURN, passive
//! FTP) needs a port that no firewall rule forgot, no other program uses and no attacker guesses.
//! The [`Allocator`] hands out *sockets* that are bound to such ports, never numbers:
//!
//! ```
//! # #[cfg(feature = "net")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::net::Ipv4Addr;
//! use eport_core::Allocator;
//!
//! // 49152-65535 without what the kernel hands out itself or an administrator reserved.
//! let allocator = Allocator::builder().ports("auto".parse()?).build()?;
//! for note in allocator.plan().notes() {
//!     eprintln!("{note}");
//! }
//!
//! let peer = "127.0.0.1:4000".parse()?;
//! let lease = allocator.udp(Ipv4Addr::LOCALHOST).peer(peer).lease()?;
//! lease.send(b"from a port of its own")?; // a `std::net::UdpSocket`, bound and connected
//! assert!(allocator.plan().ports().contains(lease.port()));
//!
//! drop(lease); // closes the socket, then frees the port
//! assert_eq!(allocator.stats().leased, 0);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "net"))]
//! # fn main() {}
//! ```
//!
//! # How it fits together
//!
//! Each part may use those before it: [`PortRange`], [`PortSet`] and [`Space`] name ports,
//! [`Ephemeral`] holds the ranges of the kernel, [`Reserved`] the reservations with their sources;
//! [`plan()`] decides which ports are handed out, [`Strategy`] orders them, [`Quarantine`] lets them
//! rest, [`PortPolicy`] holds all settings. A [`Lease`] is a socket with the right to its port.
//! [`bind`] is the only module that makes sockets and [`system`] the only one that reads the host; the
//! [`Allocator`] joins them, and the [`doctor`] reports problems of a host.
//!
//! For servers there are also [`datagram`], which receives datagrams with their destination and
//! replies from it, and [`limit`]: access lists, token buckets and half-open conversations.
//!
//! # Features
//!
//! * `net` (default, Linux) adds everything from [`Lease`] on. Without it there is no socket, file, clock
//!   or randomness in the crate: ranges, plans and policies take their inputs as arguments.
//! * `serde` gives plans, capacities, sockets and findings a `Serialize`.
//! * `program` adds what the programs of this workspace share; no part of the stable surface.
//! * `cli` adds the program `eport`: `cargo install eport-core --features cli`.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![cfg_attr(
    not(feature = "net"),
    expect(rustdoc::broken_intra_doc_links, reason = "names parts behind `net`")
)]

#[cfg(all(feature = "net", not(target_os = "linux")))]
compile_error!(
    "the feature `net` of eport-core needs Linux: build it with default-features = false"
);

mod address;
#[cfg(feature = "net")]
mod allocator;
#[cfg(feature = "net")]
pub mod bind;
/// The program `eport`; not part of the stable surface.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "net")]
pub mod datagram;
#[cfg(feature = "net")]
pub mod doctor;
#[cfg(feature = "net")]
mod lease;
pub mod limit;
mod plan;
mod policy;
/// The bookkeeping behind [`Allocator`]; public for model tests and benchmarks, not part of the
/// stable surface.
#[doc(hidden)]
pub mod pool;
mod ports;
pub mod program;
mod quarantine;
#[cfg(feature = "serde")]
mod serialize;
mod strategy;
#[cfg(feature = "net")]
pub mod system;

pub use address::{AddressFamily, LocalAddress, Protocol, Space};
#[cfg(feature = "net")]
pub use allocator::{
    AdoptError, Allocator, AllocatorBuilder, AnySocket, BuildError, Endpoint, LeaseError,
    LeaseFuture, LeaseRequest, Reloaded, SetRequest, UdpRequest,
};
#[cfg(feature = "net")]
pub use lease::{Lease, LeaseSet, PortGuard, SpaceStats, Stats};
pub use plan::{
    AUTO_MINIMUM, Capacity, Note, NoteLevel, Overlap, ParseOverlapError, Plan, PlanError, PortSpec,
    plan, plan_with,
};
pub use policy::{Clock, PortPolicy, Quota, Sharing, WaitLimits, WhenFull};
pub use pool::{Counts, ForeignCause, PortState};
pub use ports::{
    Ephemeral, ParsePortsError, ParseShardError, PortClass, PortRange, PortRuns, PortSet,
    PortmapperEntry, ProgramRange, Reserved, Shard, Source,
};
pub use quarantine::Quarantine;
#[doc(hidden)]
pub use strategy::below;
pub use strategy::{ParseStrategyError, Strategy};

/// The examples of the README are compiled and run with the tests.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
struct Readme;
