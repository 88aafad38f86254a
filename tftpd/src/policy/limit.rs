//! Limits per client prefix and in total: rates, and transfers without a first ACK.

pub(crate) use eport_core::limit::{
    Admission, Bucket, HalfOpen, HalfOpenLimits, LogLimit, PrefixBuckets as ClientBuckets,
    PrefixLengths, Rate, Ticket,
};
