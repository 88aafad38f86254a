//! The cost of the pure parts: packets, options, names, and the two state machines in virtual time.
//!
//! ```text
//! cargo bench -p eport-tftpd              all benchmarks, in about half a minute
//! cargo bench -p eport-tftpd -- sender    those with this in their name
//! ```

mod codec;
mod policy;
mod transfer;

use std::time::{Duration, Instant};

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(30)
        .configure_from_args();
    codec::all(&mut criterion);
    policy::all(&mut criterion);
    transfer::all(&mut criterion);
    criterion.final_summary();
}

/// Some time to begin at; from there on it is counted, not read.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant comes from nowhere else"
)]
fn beginning() -> Instant {
    Instant::now()
}
