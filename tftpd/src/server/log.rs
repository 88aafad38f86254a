//! One log line for each request that has ended.
//!
//! Nothing here is above `info`: a single forged packet can cause a rejection or a failed transfer,
//! and must not raise an alarm. Nor may it fill the disk: of the lines that one packet can cause, a
//! burst of 1,000 is written and then 100 per second; a further line has the number of the others.

use std::{
    borrow::Cow,
    fmt,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use eport_core::limit::{LogLimit, Rate};
use tracing::{debug, info};

use crate::{
    engine::{Cause, Ending, Record, Rejection},
    net,
    policy::Printable,
};

/// Returns a remedy for the label of a rejection or a failure, if the program has one.
pub(super) type Advice = fn(&str) -> Option<&'static str>;

/// Returns an observer that logs each record.
pub(super) fn observer(advice: Advice) -> impl Fn(&Record) + Send + Sync {
    let limit = Mutex::new(LogLimit::new(forgeable()));
    move |record| {
        if is_forgeable(&record.ending) {
            let mut limit = limit.lock().unwrap_or_else(PoisonError::into_inner);
            match limit.admit(net::now()) {
                None => return,
                Some(0) => {}
                Some(suppressed) => info!(suppressed, "more requests ended like the next one"),
            }
        }
        log(record, advice);
    }
}

/// The rate of lines that single packets can cause.
fn forgeable() -> Rate {
    let nonzero = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Rate::per_second(nonzero(100), nonzero(1000))
}

fn is_forgeable(ending: &Ending) -> bool {
    matches!(
        ending,
        Ending::Rejected(_)
            | Ending::Failed(Cause::NoAck | Cause::Evicted | Cause::Replaced | Cause::ClientGone)
    )
}

/// Logs one record. Every line has the same fields, in the same order.
fn log(record: &Record, advice: Advice) {
    let (client, port) = (record.client, record.local.port());
    let path = Printable(&record.path);
    let file = record
        .file
        .as_deref()
        .map(|file| tracing::field::display(Printable(file)));
    let (size, time) = (record.size, Seconds(record.elapsed));
    let (blksize, windowsize) = (
        record.terms.blksize.bytes(),
        record.terms.windowsize.blocks(),
    );
    let resent = record.resent;
    match &record.ending {
        Ending::Sent { confirmed } => {
            let rate = Speed {
                bytes: size.unwrap_or(0),
                elapsed: record.elapsed,
            };
            let cause = (!confirmed).then_some("last-ack-not-seen");
            info!(%client, %path, file, size, %time, %rate, port, blksize, windowsize, resent, cause, "sent");
        }
        Ending::Received => {
            let rate = Speed {
                bytes: size.unwrap_or(0),
                elapsed: record.elapsed,
            };
            info!(%client, %path, file, size, %time, %rate, port, blksize, windowsize, resent, "received");
        }
        Ending::Probed => {
            debug!(%client, %path, file, size, %time, port, blksize, windowsize, resent, "probed");
        }
        Ending::Failed(cause) => {
            let hint = hint(cause.hint(), advice(cause.label()));
            let hint = hint.as_deref();
            info!(%client, %path, file, size, %time, port, blksize, windowsize, resent, %cause, hint, "failed");
        }
        Ending::Rejected(Rejection::QuietlyNotFound) => {
            debug!(%client, %path, file, size, %time, port, blksize, windowsize, resent, "refused");
        }
        Ending::Rejected(rejection) => {
            let cause = rejection.label();
            let hint = hint(rejection.hint(), advice(cause));
            let hint = hint.as_deref();
            info!(%client, %path, file, size, %time, port, blksize, windowsize, resent, cause, hint, "refused");
        }
    }
}

fn hint(hint: Option<&'static str>, advice: Option<&'static str>) -> Option<Cow<'static, str>> {
    match (hint, advice) {
        (Some(hint), Some(advice)) => Some(format!("{hint}; {advice}").into()),
        (hint, advice) => hint.or(advice).map(Cow::Borrowed),
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}

struct Speed {
    bytes: u64,
    elapsed: Duration,
}

impl fmt::Display for Speed {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2}MB/s",
            self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-6) / 1e6
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::proto::{Direction, Terms};

    /// A buffer for log lines.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("sound").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn record(ending: Ending) -> Record {
        Record {
            client: "192.0.2.7:2071".parse().expect("an address"),
            local: "192.0.2.1:61007".parse().expect("an address"),
            direction: Direction::Read,
            path: b"boot\x1b[2J".as_slice().into(),
            file: None,
            size: Some(70),
            elapsed: Duration::from_millis(31),
            terms: Terms::default(),
            resent: 2,
            ending,
        }
    }

    fn logged(records: impl IntoIterator<Item = Ending>) -> Vec<String> {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .with_writer(kept.clone());
        tracing::subscriber::with_default(subscriber.finish(), || {
            let observer = observer(|label| (label == "shutdown").then_some("see --drain"));
            records
                .into_iter()
                .for_each(|ending| observer(&record(ending)));
        });
        let bytes = kept.0.lock().expect("sound").clone();
        String::from_utf8(bytes)
            .expect("text")
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }

    #[test]
    fn a_line_has_all_fields_and_no_control_character() {
        let failed = Ending::Failed(Cause::NoAck);
        assert_eq!(
            logged([failed, Ending::Sent { confirmed: false }]),
            [
                r#"INFO failed client=192.0.2.7:2071 path=boot\x1b[2J size=70 time=0.031s port=61007 blksize=512 windowsize=1 resent=2 cause=no-ack hint="the client never answered this port; a firewall or NAT between may let only the listening port through""#,
                r#"INFO sent client=192.0.2.7:2071 path=boot\x1b[2J size=70 time=0.031s rate=0.00MB/s port=61007 blksize=512 windowsize=1 resent=2 cause="last-ack-not-seen""#,
            ]
        );
    }

    #[test]
    fn the_program_completes_a_hint() {
        let lines = logged([Ending::Failed(Cause::Shutdown)]);
        let hint = r#"hint="the client asks again; see --drain""#;
        assert!(lines.iter().all(|line| line.ends_with(hint)), "{lines:?}");
    }

    #[test]
    fn a_flood_of_rejections_is_logged_at_a_limited_rate_and_hides_no_transfer() {
        let flood = (0..5000).map(|_| Ending::Rejected(Rejection::NotFound));
        let lines = logged(flood.chain([Ending::Sent { confirmed: true }]));
        assert!(lines.len() < 2000, "{} lines", lines.len());
        assert!(
            lines
                .last()
                .is_some_and(|line| line.starts_with("INFO sent"))
        );
    }
}
