//! The requirements of the RFCs, section by section: one file for each RFC, in its own order.
//!
//! Each test runs a trace against one side of a transfer, or against both, and compares the datagrams
//! byte by byte. Requirements on ports, addresses and files are tested where sockets are.

#[path = "../common/ends.rs"]
mod ends;

mod edge_cases;
mod rfc1123;
mod rfc1350;
mod rfc2347;
mod rfc2348;
mod rfc2349;
mod rfc7440;
mod side;
