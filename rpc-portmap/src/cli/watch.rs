//! `watch`.

use std::io::Write as _;
use std::time::Duration;

use eport_core::program::{Exit, Failure};
use serde_json::json;

use super::failures;
use super::layout;
use super::names::{Names, printable};
use super::target;
use crate::rpcbind::Rpcb;

/// The arguments of `watch`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The portmapper's host.
    host: Option<String>,
    /// Seconds between two requests for the list.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = super::seconds::seconds)]
    every: Duration,
    /// Print JSON: an object on a line for each change.
    #[arg(long)]
    json: bool,
}

/// Prints the registrations and then each change, until a signal or until the portmapper does not
/// answer.
pub(super) async fn watch(args: Args, within: Duration) -> Result<Exit, Failure> {
    let connecting = target::portmapper(args.host.as_deref(), within);
    let rpcbind = tokio::time::timeout(within, connecting)
        .await
        .unwrap_or_else(|_| Err(failures::no_answer(within)))?;
    let names = Names::load();
    let mut seen: Vec<Rpcb> = Vec::new();
    loop {
        let entries = rpcbind.dump().await?;
        let gone = seen.iter().filter(|entry| !entries.contains(entry));
        let new = entries.iter().filter(|entry| !seen.contains(entry));
        let line = |sign, entry| {
            if args.json {
                json_line(sign, entry, &names)
            } else {
                line(sign, entry, &names)
            }
        };
        let lines: String = gone
            .map(|entry| line('-', entry))
            .chain(new.map(|entry| line('+', entry)))
            .collect();
        let mut out = std::io::stdout().lock();
        if out
            .write_all(lines.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            // The reader has closed the pipe.
            return Ok(Exit::Success);
        }
        seen = entries;
        tokio::time::sleep(args.every).await;
    }
}

fn json_line(sign: char, entry: &Rpcb, names: &Names) -> String {
    let what = if sign == '+' { "registered" } else { "gone" };
    let object = json!({ "change": what, "registration": layout::object(entry, names) });
    format!("{object}\n")
}

fn line(sign: char, entry: &Rpcb, names: &Names) -> String {
    format!(
        "{sign} {} {} {} {} {} {}\n",
        entry.program,
        entry.version,
        printable(&entry.netid),
        printable(&entry.address),
        names.name(entry.program).unwrap_or("-"),
        printable(&entry.owner),
    )
}
