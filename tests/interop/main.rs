//! Our server read and written by other people's clients, and other people's servers by ours, on a
//! cable between two network namespaces.
//!
//! `TESTS_SERVER=hpa` runs the same against tftpd-hpa, which fails one test: over IPv6 it answers from
//! an address of its own choice.

mod clients;
mod lab;
mod large;
mod map_file;
mod ours;
mod reading;
mod text;
mod watched;
mod writing;
