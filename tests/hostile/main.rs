//! Our server under attack: the amplification of forged packets, the effects of malformed packets, and
//! the cost of floods.

mod amplification;
mod flood;
mod log;
mod malformed;
mod obstacles;
mod packets;
mod victim;
