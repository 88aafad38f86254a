//! The options that all commands of `tftp` share, and the client and server addresses that follow
//! from them.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::value_parser;
use eport_core::{
    Allocator, PortSpec,
    program::{Exit, Failure},
};

use super::url::Url;
use crate::{
    client::{Client, Progress, connect::look_up},
    proto::{Blksize, Mode, Options, Windowsize},
};

/// The options of a transfer.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Settings {
    /// Bytes per block, 8 to 65464; 1468 fill an Ethernet packet over IPv4.
    #[arg(long, value_name = "BYTES", default_value_t = BLKSIZE, value_parser = value_parser!(u16).range(8..=65464))]
    blksize: u16,
    /// Blocks per acknowledgement, 1 to 32767.
    #[arg(long, value_name = "BLOCKS", default_value_t = WINDOWSIZE, value_parser = value_parser!(u16).range(1..=32767))]
    windowsize: u16,
    /// Seconds to wait for the first answer of the server [default: 5; probe: 3].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u16).range(1..))]
    timeout: Option<u16>,
    /// Translate line ends on the way (netascii).
    #[arg(long)]
    pub(super) ascii: bool,
    /// Print nothing unless it fails.
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) family: Family,
    /// The local ports to use: auto, or a list such as 61000-61999,62500.
    #[arg(long, value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
}

/// The address families that may be used; both if neither is set.
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

/// The values of a command line without options.
impl Default for Settings {
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
    /// Creates a client for `url` that waits `seconds` for an answer unless an option sets another
    /// time.
    pub(super) fn client(
        &self,
        url: &Url,
        seconds: u16,
        hook: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Client, Failure> {
        let allocator = Allocator::builder().ports(self.ports.clone()).build()?;
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

    /// Looks up the addresses of the server and keeps those of the allowed families.
    pub(super) async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, Failure> {
        let not_found = || {
            let what = format!("no host is named {}{}", url.host, self.family.with());
            Failure::new(Exit::Unavailable, what)
        };
        let found = look_up((url.host.as_str(), url.port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| not_found().because(&error))?
            .filter(|address| self.family.includes(address.ip()))
            .collect();
        if addresses.is_empty() {
            return Err(not_found());
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
