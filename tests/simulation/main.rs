//! Two state machines and a bad link, in virtual time.
//!
//! A server and a client run against each other over a link that loses, repeats, delays and reorders
//! by a seed: [`Sender`](tftpd::proto::Sender) and [`Receiver`](tftpd::proto::Receiver), in either
//! direction. For every seed the suite asserts that the bytes arrive, both sides end, no resource is
//! held afterwards, and the number of datagrams is bounded. A failure prints its scenario with the seed.

#[path = "../common/ends.rs"]
mod ends;

mod bad_link;
mod bounds;
mod client;
mod clients;
mod meddling;
mod models;
mod own_client;
mod scenario;
mod server;
mod steady_link;
mod table;
mod uploads;
mod world;
mod wrap;
