//! Two state machines and a bad link, in virtual time.
//!
//! A server and a client run against each other over a link that loses, repeats, delays and reorders
//! by a seed: [`Sender`](tftpd::proto::Sender) and [`Receiver`](tftpd::proto::Receiver), the bytes
//! going the one way or the other. What holds for every seed is asserted here: the
//! bytes arrive, both sides end, nothing is held afterwards, and no datagram is sent without bound.
//! A failure prints its scenario, seed included.

mod bad_link;
mod client;
mod clients;
mod ends;
mod meddling;
mod models;
mod put;
mod scenario;
mod server;
mod steady_link;
mod table;
mod uploads;
mod world;
mod wrap;
