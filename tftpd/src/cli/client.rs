//! `tftp`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use super::{get, url::Url};

/// Fetches files over TFTP.
#[derive(Debug, Parser)]
#[command(name = "tftp", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetches one file.
    Get {
        /// Where it is: `tftp://HOST[:PORT]/PATH`.
        url: Url,
        /// Where to put it; - means standard output [default: the last part of PATH].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// How many seconds the server may take to answer at all.
        #[arg(long, value_name = "SECONDS", default_value_t = 5)]
        timeout: u16,
    },
}

const AFTER_HELP: &str = "\
A file appears under its name when it is complete, and not before.

Exit codes: 0 fetched, 64 usage, 66 no such file, 69 no answer or unreachable, 71 system error,
74 reading or writing failed, 76 the server broke the protocol, 77 not permitted.";

/// Runs the client.
pub fn tftp() -> ExitCode {
    match super::parse::<Args>() {
        Ok(Args {
            command:
                Command::Get {
                    url,
                    output,
                    timeout,
                },
        }) => super::run(get::get(url, output, Duration::from_secs(timeout.into()))),
        Err(code) => code,
    }
}
