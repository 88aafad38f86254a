//! What the suites share: namespaces, other people's programs, processes that cannot outlive their
//! test, captures, and exchange scripts. `tests/README.md` says what each suite is for.
//!
//! Everything here serves tests, so what cannot go on panics, at the caller's line and with the
//! output of the program concerned; only what reads text or bytes returns an error.

pub mod built;
pub mod capture;
pub mod client;
pub mod exchange;
pub mod fixtures;
pub mod host;
pub mod lab;
pub mod link;
pub mod netns;
pub mod packet;
pub mod pcap;
pub mod peers;
pub mod process;
pub mod program;
pub mod server;
pub mod trace;
