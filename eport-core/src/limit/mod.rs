//! Limits on what clients may do: by network, by rate, and by how much is unproven.
//!
//! Pure: addresses and time are arguments, decisions are return values. All tables have a fixed
//! size, so that no number of source addresses makes them grow.
//!
//! | limit | item |
//! |---|---|
//! | the networks that may ask at all | [`AccessList`] of [`Prefix`]es |
//! | a rate for each client prefix | [`PrefixBuckets`] of [`Bucket`]s with a [`Rate`] |
//! | a rate for log lines that a client can cause | [`LogLimit`] |
//! | conversations whose client has not answered yet | [`HalfOpen`] |
//! | any other count for each client prefix | [`PrefixTable`] |
//!
//! The prefix of a client ([`PrefixLengths`]) stands for the addresses that one sender can have at
//! will, or that share the link which a flood would fill: /24 of IPv4 and /64 of IPv6, if nothing
//! else is set. IPv4 addresses mapped into IPv6 count as IPv4 everywhere.

mod access;
mod bucket;
mod half_open;
mod prefix;
mod table;
#[cfg(test)]
mod testing;

pub use access::{Access, AccessList};
pub use bucket::{Bucket, LogLimit, PrefixBuckets, Rate};
pub use half_open::{HalfOpen, HalfOpenAdmission, HalfOpenEntry, HalfOpenLimits};
pub use prefix::{Prefix, PrefixError, PrefixLengths};
pub use table::PrefixTable;
