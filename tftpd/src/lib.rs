//! A TFTP server and client.

pub mod policy;
pub mod proto;
