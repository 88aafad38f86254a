//! Limits per client prefix and in total: rates, and transfers without a first ACK.

pub use super::{
    bucket::{Bucket, ClientBuckets, LogLimit, Rate},
    budget::{Admission, HalfOpen, HalfOpenLimits, Ticket},
    network::PrefixLengths,
};
