//! Harness of the suites: namespaces, third-party programs, processes that end with their test,
//! captures, and exchange scripts. `tests/README.md` lists the suites.
//!
//! Functions of the harness panic on failure, at the caller's line and with the output of the program
//! concerned; only parsers of text or bytes return an error.

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
