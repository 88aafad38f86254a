//! Our server as a program on a network: its addresses and ports, the firewall, the files below its
//! folder, and the isolation of many concurrent clients.
//!
//! Each test has two namespaces with a cable between them. Clients are plain sockets; their packets are
//! written as in the scripts under `fixtures/exchanges`.

mod addresses;
mod files;
mod firewall;
mod isolation;
mod mtu;
mod ports;
mod reader;
mod transfers;
