//! Our server with the clients of other projects, and our client with their servers, on a cable between
//! two network namespaces.
//!
//! `TESTS_SERVER=hpa` runs the same against tftpd-hpa, which fails one test: over IPv6 it answers from
//! an address that it chooses.

mod clients;
mod lab;
mod large;
mod map_file;
mod ours;
mod reading;
mod text;
mod watched;
mod writing;
