//! One line for each request that has ended.
//!
//! Nothing here is above `info`: a single forged packet can cause a refusal or a transfer that
//! fails, and a stranger must not be able to raise an alarm.

use std::{fmt, time::Duration};

use tracing::{debug, info};

use crate::{
    engine::{Ending, Record, Refusal},
    policy::Printable,
};

/// Logs one record. Every line has the same fields, in the same order.
pub(super) fn transfer(record: &Record) {
    let (client, port) = (record.client, record.local.port());
    let path = Printable(&record.path);
    let (size, time) = (record.size, Seconds(record.elapsed));
    let (blksize, windowsize) = (
        record.terms.blksize.bytes(),
        record.terms.windowsize.blocks(),
    );
    let resent = record.resent;
    match &record.ending {
        Ending::Sent { confirmed } => {
            let rate = Rate {
                bytes: size.unwrap_or(0),
                elapsed: record.elapsed,
            };
            let cause = (!confirmed).then_some("last-ack-not-seen");
            info!(%client, %path, size, %time, %rate, port, blksize, windowsize, resent, cause, "sent");
        }
        Ending::Received => {
            let rate = Rate {
                bytes: size.unwrap_or(0),
                elapsed: record.elapsed,
            };
            info!(%client, %path, size, %time, %rate, port, blksize, windowsize, resent, "received");
        }
        Ending::Probed => {
            debug!(%client, %path, size, %time, port, blksize, windowsize, resent, "probed");
        }
        Ending::Failed(cause) => {
            let hint = cause.hint();
            info!(%client, %path, size, %time, port, blksize, windowsize, resent, %cause, hint, "failed");
        }
        Ending::Refused(Refusal::QuietlyNotFound) => {
            debug!(%client, %path, size, %time, port, blksize, windowsize, resent, "refused");
        }
        Ending::Refused(refusal) => {
            let (cause, hint) = (refusal.label(), refusal.hint());
            info!(%client, %path, size, %time, port, blksize, windowsize, resent, cause, hint, "refused");
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}

struct Rate {
    bytes: u64,
    elapsed: Duration,
}

impl fmt::Display for Rate {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2}MB/s",
            self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-6) / 1e6
        )
    }
}
