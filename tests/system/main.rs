//! Our server as a program on a network: its addresses and ports, the firewall around it, the files
//! below its folder, and many clients at once that must not get in each other's way.
//!
//! Each test has two namespaces with a cable between them. Clients are mere sockets; what they say
//! and hear stands in the tests as in the scripts under `fixtures/exchanges`.

mod addresses;
mod files;
mod firewall;
mod isolation;
mod mtu;
mod ports;
mod reader;
mod sessions;
