//! Layers that most servers need.

mod networks;
mod rate;
mod statistics;
mod trace;

pub use networks::Networks;
pub use rate::RateLimit;
pub use statistics::{Statistics, Totals};
pub use trace::Trace;
