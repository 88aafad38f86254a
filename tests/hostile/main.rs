//! Our server among people who mean it no good: how much a forged packet makes it send, what packets
//! without sense do to it, and what a flood costs.

mod amplification;
mod bill;
mod flood;
mod malformed;
mod obstacles;
mod packets;
