//! `tftp`.

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, value_parser};
use eport_core::{Allocator, PortSpec};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    exit::{self, Failure},
    get, hpa, probe, put,
    url::Url,
};
use crate::{
    client::{Client, Progress},
    proto::{Blksize, Mode, Options, Windowsize},
};

/// Fetches and sends files over TFTP.
#[derive(Debug, Parser)]
#[command(name = "tftp", version, max_term_width = 100)]
#[command(override_usage = USAGE, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fetch a file.
    Get {
        #[arg(help = "Where it is: tftp://HOST[:PORT]/PATH, or HOST:PATH")]
        url: Url,
        /// Where to put it; - means standard output [default: the last part of PATH].
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
            help = "Where to put it: tftp://HOST[:PORT]/PATH, or HOST:PATH; after a final / or \
                      without PATH, under the file's own name"
        )]
        url: Url,
        #[command(flatten)]
        settings: Settings,
    },
    /// Ask a server what it would do, without fetching anything.
    Probe {
        #[arg(help = "A server, or a file on it: HOST, tftp://HOST[:PORT][/PATH], or HOST:PATH")]
        url: Url,
        #[command(flatten)]
        settings: Settings,
    },
}

/// How it is to be done.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Settings {
    /// Bytes to a block, 8 to 65464; 1468 fill an Ethernet packet over IPv4.
    #[arg(long, value_name = "BYTES", default_value_t = BLKSIZE, value_parser = value_parser!(u16).range(8..=65464))]
    blksize: u16,
    /// Blocks to an acknowledgement, 1 to 32767.
    #[arg(long, value_name = "BLOCKS", default_value_t = WINDOWSIZE, value_parser = value_parser!(u16).range(1..=32767))]
    windowsize: u16,
    /// How many seconds the server may take to answer at all [default: 5; probe: 3].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u16).range(1..))]
    timeout: Option<u16>,
    /// Translate line ends on the way (netascii).
    #[arg(long)]
    pub(super) ascii: bool,
    /// Say nothing unless it fails.
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) family: Family,
    /// The local ports to use: auto, or a list such as 61000-61999,62500.
    #[arg(long, value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
}

/// Which addresses of the server may be used; all of them if neither is set.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Family {
    /// Use IPv4 only.
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// Use IPv6 only.
    #[arg(short = '6')]
    v6: bool,
}

const BLKSIZE: u16 = 1428;
const WINDOWSIZE: u16 = 16;

const USAGE: &str = "\
tftp get   [OPTIONS] URL [-o FILE]
       tftp put   [OPTIONS] FILE URL
       tftp probe [OPTIONS] URL
       tftp HOST [PORT] [-46lv] [-m MODE] [-R A:B] -c get FILE [LOCAL]
       tftp HOST [PORT] [-46lv] [-m MODE] [-R A:B] -c put LOCAL [FILE]";

const AFTER_HELP: &str = "\
A URL is tftp://HOST[:PORT]/PATH, or HOST:PATH. A fetched file appears under its name when it is \
complete, and not before. The last two forms are those of tftp-hpa, but octet is their mode unless \
-m says otherwise.

Exit codes: 0 done, 64 usage, 66 no such file, 69 no answer or unreachable, 71 system error, \
74 broken on the way, or a disk, 76 the server broke the protocol, 77 not permitted, \
130 interrupted.";

/// Runs the client.
pub fn tftp() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if hpa::is_meant(&arguments) {
        return super::run(async { run_all(hpa::parse(arguments)?).await });
    }
    match super::parse::<Args>() {
        Ok(Args { command }) => super::run(run_all(vec![command])),
        Err(code) => code,
    }
}

/// Runs one command after the other, until one fails or somebody interrupts.
async fn run_all(commands: Vec<Command>) -> Result<(), Failure> {
    let signals = |kind| signal(kind).map_err(|error| no_signals(&error));
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut terminate = signals(SignalKind::terminate())?;
    let all = async {
        for command in commands {
            command.run().await?;
        }
        Ok(())
    };
    // Whatever was under way is dropped: the port is given back, a temporary file removed.
    tokio::select! {
        done = all => done,
        _ = interrupt.recv() => Err(Failure::new(exit::INTERRUPTED, "interrupted")),
        _ = terminate.recv() => Err(Failure::new(exit::INTERRUPTED, "terminated")),
    }
}

fn no_signals(error: &std::io::Error) -> Failure {
    Failure::new(exit::OSERR, "no signals").because(error)
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Get {
                url,
                output,
                settings,
            } => get::get(&url, output, &settings).await,
            Self::Put {
                file,
                url,
                settings,
            } => put::put(&file, url, &settings).await,
            Self::Probe { url, settings } => probe::probe(&url, &settings).await,
        }
    }
}

impl Default for Settings {
    /// What holds if the command line says nothing.
    fn default() -> Self {
        Self {
            blksize: BLKSIZE,
            windowsize: WINDOWSIZE,
            timeout: None,
            ascii: false,
            quiet: false,
            family: Family::default(),
            ports: PortSpec::default(),
        }
    }
}

impl Settings {
    /// A client for `url`, patient for `seconds` unless the command line says otherwise.
    pub(super) fn client(
        &self,
        url: &Url,
        seconds: u16,
        hook: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Client, Failure> {
        let allocator = Allocator::builder().ports(self.ports.clone()).build();
        let allocator = allocator.map_err(|error| Failure::from_error(exit::OSERR, &error))?;
        let ascii = self.ascii.then_some(Mode::Netascii);
        Ok(Client::with_allocator(allocator)
            .options(Options {
                blksize: Blksize::new(self.blksize),
                windowsize: Windowsize::new(self.windowsize),
                tsize: Some(0),
                ..Options::default()
            })
            .mode(ascii.or(url.mode).unwrap_or(Mode::Octet))
            .answer_within(Duration::from_secs(self.timeout.unwrap_or(seconds).into()))
            .on_progress(hook))
    }

    /// The addresses of the server, as far as they may be used.
    pub(super) async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, Failure> {
        let nobody = || {
            let what = format!("there is no host named {}{}", url.host, self.family.with());
            Failure::new(exit::UNAVAILABLE, what)
        };
        let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| nobody().because(&error))?
            .filter(|address| self.family.includes(address.ip()))
            .collect();
        if addresses.is_empty() {
            return Err(nobody());
        }
        Ok(addresses)
    }
}

impl Family {
    pub(super) const V4: Self = Self {
        v4: true,
        v6: false,
    };
    pub(super) const V6: Self = Self {
        v4: false,
        v6: true,
    };

    const fn includes(self, address: IpAddr) -> bool {
        !(self.v4 && address.is_ipv6() || self.v6 && address.is_ipv4())
    }

    const fn with(self) -> &'static str {
        match (self.v4, self.v6) {
            (true, _) => " with an IPv4 address",
            (_, true) => " with an IPv6 address",
            _ => "",
        }
    }
}
