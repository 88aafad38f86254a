//! A TFTP server and client.

pub mod proto;
