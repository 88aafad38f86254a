//! `stats`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::exit::Failure;
use super::json::Json;
use super::target;
use crate::rpcbind::stats::{AllStats, VersionStats};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to ask.
    host: Option<String>,
    /// Write JSON.
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

pub(super) async fn stats(args: Args, within: Duration) -> Result<ExitCode, Failure> {
    let rpcbind = target::portmapper(args.host.as_deref(), within).await?;
    let all = rpcbind.stats().await?;
    if args.json {
        println!("{}", json(&all));
    } else {
        print!("{}", table(&all));
    }
    Ok(ExitCode::SUCCESS)
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

fn json(all: &AllStats) -> Json {
    let version = |(version, stats, names): (u32, &VersionStats, &[&'static str])| {
        let calls = names
            .iter()
            .zip(stats.calls.0)
            .map(|(name, count)| (*name, count.into()));
        let addresses = stats.addresses.0.iter().map(|count| {
            Json::Object(vec![
                ("program", count.program.into()),
                ("version", count.version.into()),
                ("netid", Json::from(&*count.netid)),
                ("found", count.success.into()),
                ("missing", count.failure.into()),
            ])
        });
        Json::Object(vec![
            ("version", version.into()),
            ("calls", Json::Object(calls.collect())),
            ("set", stats.set.into()),
            ("unset", stats.unset.into()),
            ("addresses", addresses.collect()),
        ])
    };
    by_version(all).map(version).collect()
}
