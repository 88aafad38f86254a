//! The results, as Markdown.

use std::time::Duration;

use crate::items::Case;
use crate::lab::{Measured, Peer};

/// The head of the table of loads.
pub(crate) const LOADS: &[&str] = &[
    "work",
    "server",
    "done",
    "failed",
    "MB/s",
    "transfers/s",
    "CPU s/GB",
    "CPU µs each",
    "first reply p50, p99 ms",
    "requests repeated",
    "DATA twice",
    "held: KiB each, user + kernel",
];

/// The head of the table of system calls.
pub(crate) const CALLS: &[&str] = &["work", "server", "system calls", "which"];

/// Prints a table.
pub(crate) fn print<const COLUMNS: usize>(head: &[&str], rows: &[[String; COLUMNS]]) {
    if rows.is_empty() {
        return;
    }
    println!("\n| {} |", head.join(" | "));
    println!("|{}", "---|".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// A row of the table of loads.
pub(crate) fn row(case: &Case, peer: &Peer, measured: &Measured) -> [String; 12] {
    let Measured { tally, cpu, held } = measured;
    let (done, gigabytes) = (float(tally.done), float(tally.bytes) / 1e9);
    let seconds = tally.elapsed.as_secs_f64();
    let reply = |percent| {
        let reply = tally.first_reply(percent).unwrap_or(Duration::MAX);
        format!("{:.1}", reply.as_secs_f64() * 1e3)
    };
    [
        case.title.clone(),
        peer.name.clone(),
        tally.done.to_string(),
        tally.failed.to_string(),
        format!("{:.0}", gigabytes * 1e3 / seconds),
        format!("{:.0}", done / seconds),
        format!("{:.2}", cpu.as_secs_f64() / gigabytes),
        format!("{:.1}", cpu.as_secs_f64() * 1e6 / done),
        format!("{}, {}", reply(50), reply(99)),
        tally.requests_repeated.to_string(),
        tally.duplicates.to_string(),
        held.map_or_else(String::new, |(held, memory)| {
            let each = |bytes: u64| float(bytes) / 1024.0 / float(held);
            format!(
                "{held}: {:.1} + {:.1}",
                each(memory.user),
                each(memory.kernel)
            )
        }),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(number: u64) -> f64 {
    number as f64
}
