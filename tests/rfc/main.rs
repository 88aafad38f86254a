//! What the documents demand, section by section: one file for each, in its own order.
//!
//! Each test hands datagrams to one side of a transfer and compares the datagrams that come back,
//! byte by byte. What concerns ports, addresses and files is shown where sockets are.

mod conversation;
mod edge_cases;
mod rfc1123;
mod rfc1350;
mod rfc2347;
mod rfc2348;
mod rfc2349;
mod rfc7440;
