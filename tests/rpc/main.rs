//! Our portmapper in rpcbind's place: among Debian's `rpcinfo` and daemons, on the wire, and among
//! those who mean it no good.
//!
//! Each test has namespaces of its own with a private `/run`, where port 111 and
//! `/run/rpcbind.sock` are free.

mod amplification;
mod bad_input;
mod crash;
mod daemons;
mod machine;
mod procedures;
mod rpcinfo;
mod wire;
