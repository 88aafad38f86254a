//! `stats`.

use std::fmt::Write as _;
use std::time::Duration;

use eport_core::program::{self, Exit, Failure};
use serde_json::{Map, Value, json};

use super::target;
use crate::rpcbind::stats::{AllStats, VersionStats};

/// The arguments of `stats`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The portmapper's host.
    host: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The names of the procedures of versions 2, 3 and 4, by number.
const PROCEDURES: [&[&str]; 3] = [
    &["null", "set", "unset", "getport", "dump", "callit"],
    &[
        "null",
        "set",
        "unset",
        "getaddr",
        "dump",
        "callit",
        "gettime",
        "uaddr2taddr",
        "taddr2uaddr",
    ],
    &[
        "null",
        "set",
        "unset",
        "getaddr",
        "dump",
        "bcast",
        "gettime",
        "uaddr2taddr",
        "taddr2uaddr",
        "getversaddr",
        "indirect",
        "getaddrlist",
        "getstat",
    ],
];

pub(super) async fn stats(args: Args, within: Duration) -> Result<Exit, Failure> {
    let rpcbind = target::portmapper(args.host.as_deref(), within).await?;
    let all = rpcbind.stats().await?;
    if args.json {
        program::print_json(&json(&all))?;
    } else {
        program::print(&table(&all))?;
    }
    Ok(Exit::Success)
}

fn by_version(
    all: &AllStats,
) -> impl Iterator<Item = (u32, &VersionStats, &'static [&'static str])> {
    (2..)
        .zip(&all.0)
        .zip(PROCEDURES)
        .map(|((version, stats), names)| (version, stats, names))
}

fn table(all: &AllStats) -> String {
    let mut out = String::new();
    for (version, stats, names) in by_version(all) {
        let _ = writeln!(out, "version {version}");
        for (name, count) in names.iter().zip(stats.calls.0) {
            let _ = match *name {
                "set" => writeln!(out, "  {name:<12} {count:>10}  {} accepted", stats.set),
                "unset" => writeln!(out, "  {name:<12} {count:>10}  {} accepted", stats.unset),
                _ => writeln!(out, "  {name:<12} {count:>10}"),
            };
        }
    }
    out
}

fn json(all: &AllStats) -> Value {
    let version = |(version, stats, names): (u32, &VersionStats, &[&'static str])| {
        let calls = names
            .iter()
            .zip(stats.calls.0)
            .map(|(name, count)| ((*name).to_owned(), count.into()));
        let addresses = stats.addresses.0.iter().map(|count| {
            json!({
                "program": count.program.get(),
                "version": count.version.get(),
                "netid": *count.netid,
                "found": count.success,
                "missing": count.failure,
            })
        });
        json!({
            "version": version,
            "calls": calls.collect::<Map<_, _>>(),
            "set": stats.set,
            "unset": stats.unset,
            "addresses": addresses.collect::<Value>(),
        })
    };
    by_version(all).map(version).collect()
}
