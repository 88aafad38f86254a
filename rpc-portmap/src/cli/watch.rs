//! `watch`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::exit::Failure;
use super::names::{Names, printable};
use super::target;
use crate::rpcbind::Rpcb;

/// The arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to ask.
    host: Option<String>,
    /// How often to ask, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = super::seconds)]
    every: Duration,
}

/// Shows what is registered, and from then on each difference, until it is interrupted or nobody
/// answers any more.
pub(super) async fn watch(args: Args, within: Duration) -> Result<ExitCode, Failure> {
    let connecting = target::portmapper(args.host.as_deref(), within);
    let rpcbind = tokio::time::timeout(within, connecting)
        .await
        .unwrap_or_else(|_| Err(super::exit::no_answer(within)))?;
    let names = Names::load();
    let mut seen: Vec<Rpcb> = Vec::new();
    loop {
        let entries = rpcbind.dump().await?;
        let gone = seen.iter().filter(|entry| !entries.contains(entry));
        let new = entries.iter().filter(|entry| !seen.contains(entry));
        let lines: String = gone
            .map(|entry| line('-', entry, &names))
            .chain(new.map(|entry| line('+', entry, &names)))
            .collect();
        let mut out = std::io::stdout().lock();
        if out
            .write_all(lines.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            // Whoever read this has enough.
            return Ok(ExitCode::SUCCESS);
        }
        seen = entries;
        tokio::time::sleep(args.every).await;
    }
}

fn line(sign: char, entry: &Rpcb, names: &Names) -> String {
    format!(
        "{sign} {} {} {} {} {} {}\n",
        entry.program,
        entry.version,
        printable(&entry.netid),
        printable(&entry.address),
        names.of(entry.program).unwrap_or("-"),
        printable(&entry.owner),
    )
}
