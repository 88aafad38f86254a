//! The arguments of `tftp`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{settings::Settings, url::Url};

/// Fetches and sends files over TFTP.
#[derive(Debug, Parser)]
#[command(name = "tftp", version, max_term_width = 100)]
#[command(override_usage = USAGE, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A command and its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fetch a file.
    Get {
        #[arg(help = "The file: tftp://HOST[:PORT]/PATH, or HOST:PATH")]
        url: Url,
        /// The file to write; - means standard output [default: the last part of PATH].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Send a file.
    Put {
        /// The file; - means standard input.
        file: PathBuf,
        #[arg(
            help = "The file to write: tftp://HOST[:PORT]/PATH, or HOST:PATH; after a final / or \
                      without PATH, under the file's own name"
        )]
        url: Url,
        #[command(flatten)]
        settings: Settings,
    },
    /// Show a server's answer time, options and path, without fetching anything.
    Probe {
        #[arg(help = "A server, or a file on it: HOST, tftp://HOST[:PORT][/PATH], or HOST:PATH")]
        url: Url,
        #[command(flatten)]
        settings: Settings,
    },
}

const USAGE: &str = "\
tftp get   [OPTIONS] URL [-o FILE]
       tftp put   [OPTIONS] FILE URL
       tftp probe [OPTIONS] URL
       tftp HOST [PORT] [-46lv] [-m MODE] [-R A:B] -c get FILE [LOCAL]
       tftp HOST [PORT] [-46lv] [-m MODE] [-R A:B] -c put LOCAL [FILE]";

const AFTER_HELP: &str = "\
A URL is tftp://HOST[:PORT]/PATH, or HOST:PATH. A fetched file appears under its name when it is \
complete, and not before. The last two forms are those of tftp-hpa, but octet is their mode unless \
-m sets another.

Exit codes: 0 done, 64 usage, 66 no such file, 69 no answer or unreachable, 71 system error, \
74 transfer broken off or disk error, 76 the server violated the protocol, 77 not permitted, \
78 no local port is left, 130 interrupted.";
