//! Our portmapper in rpcbind's place: with Debian's `rpcinfo` and daemons, byte for byte on the wire, and
//! under attack.
//!
//! Each test has its own namespaces with a private `/run`, where port 111 and
//! `/run/rpcbind.sock` are free.

mod amplification;
mod bad_input;
mod crash;
mod daemons;
mod machine;
mod procedures;
mod rpcinfo;
mod wire;
