//! The arguments of `tftpd`.

use std::{
    error::Error,
    io,
    net::Ipv4Addr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{ArgAction, Parser, ValueEnum};
use eport_core::{
    PortSet, PortSpec,
    program::{Exit, Failure, ListenAddress},
};
use tracing::Level;

use crate::{
    backend::{FileSystem, Overwrite, RootError, UploadPolicy},
    policy::{AccessList, Acl, ClientDirectory, Name, Prefix, RequestPolicy, Rules},
    proto::{Blksize, GrantLimits, Windowsize},
    server::Caps,
};

/// Serves the files below a directory over TFTP.
#[derive(Debug, Parser)]
#[command(name = "tftpd", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Args {
    /// The directory to serve.
    pub(super) root: Option<PathBuf>,
    /// The address to listen on: ADDR, :PORT (every address) or ADDR:PORT. May be given more than
    /// once [default: :69].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Vec<ListenAddress>,
    /// The ports of transfers: auto, or a list such as 61000-61999,62500.
    #[arg(long, value_name = "auto|A-B", default_value = "auto")]
    pub(super) ports: PortSpec,
    /// Ports never to use, even if they are among those of --ports.
    #[arg(long, value_name = "A-B")]
    pub(super) exclude: Vec<PortSet>,
    /// Use the listening port for transfers too, for NAT and containers.
    #[arg(long, conflicts_with_all = ["ports", "exclude"])]
    pub(super) single_port: bool,
    /// Answer requests to a broadcast address too.
    #[arg(long)]
    pub(super) broadcast: bool,
    /// Seconds that running transfers may take after SIGTERM or Ctrl-C.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u16,
    /// The level to log: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value_t = Level::INFO)]
    pub(super) log: Level,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    clients: Clients,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Files")]
struct Files {
    /// Let clients write below the root, or below DIR.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, without and with a value")]
    writable: Option<Option<PathBuf>>,
    /// Treatment of an upload whose file exists.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Existing::Keep, requires = "writable")]
    existing: Existing,
    /// Accept uploads to existing files only.
    #[arg(long, requires = "writable")]
    no_create: bool,
    /// The largest upload to accept, such as 64M.
    #[arg(long, value_name = "SIZE", default_value = "1G", requires = "writable")]
    max_upload: Size,
    /// Find files whose names differ in the case of letters only.
    #[arg(long)]
    ignore_case: bool,
    /// Look names up below a directory per client, such as clients/${client}.
    #[arg(long, value_name = "TEMPLATE")]
    client_dir: Option<String>,
    /// Rewrite names by the rules of a map file of tftp-hpa.
    #[arg(long, value_name = "FILE")]
    map_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Clients")]
struct Clients {
    /// Serve only these networks.
    #[arg(long, value_name = "NET", action = ArgAction::Append)]
    allow: Vec<Prefix>,
    /// Do not serve these networks.
    #[arg(long, value_name = "NET", action = ArgAction::Append)]
    deny: Vec<Prefix>,
    /// Let only these networks write; without it, all that are served may.
    #[arg(long, value_name = "NET", action = ArgAction::Append, requires = "writable")]
    writers: Vec<Prefix>,
    /// The largest block to grant, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Blksize::MAX.bytes())]
    max_blksize: u16,
    /// The largest window to grant, in blocks, up to 32767.
    #[arg(long, value_name = "BLOCKS", default_value_t = 64)]
    max_windowsize: u16,
    /// The number of transfers that run at the same time at most; further requests wait.
    #[arg(long, value_name = "N", default_value_t = Caps::default().transfers)]
    max_transfers: NonZeroUsize,
    /// The number of transfers of one address at most.
    #[arg(long, value_name = "N", default_value_t = Caps::default().per_client)]
    max_per_client: NonZeroU32,
    /// Seconds that a request may wait for a transfer to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    hold: u16,
}

const AFTER_HELP: &str = "\
Each request ends in one line on standard error. Ctrl-C lets running transfers finish, a second
Ctrl-C ends them.

Exit codes: 0 stopped, 64 usage, 66 no such file or directory, 69 address taken or not on this
machine, 71 system error, 77 not permitted, 78 map file wrong, or no port left for transfers.";

/// The values of `--existing`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Existing {
    /// Refuse the upload.
    Keep,
    /// Replace the file.
    Replace,
    /// Rename the file to NAME.~1~, NAME.~2~ and so on.
    Version,
}

/// A number of bytes, with K, M or G for powers of 1024.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, shift) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (text.get(..at), 10),
            Some((at, 'm' | 'M')) => (text.get(..at), 20),
            Some((at, 'g' | 'G')) => (text.get(..at), 30),
            _ => (Some(text), 0),
        };
        let number = digits.and_then(|digits| digits.parse::<u64>().ok());
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| {
            format!("{text:?} is no size: write bytes, or a number with K, M or G, such as 64M")
        })
    }
}

impl Args {
    /// Opens the directory to serve.
    pub(super) fn files(&self, root: &Path) -> Result<FileSystem, RootError> {
        let files = FileSystem::new(root)?;
        let files = if self.files.ignore_case {
            files.ignoring_case()
        } else {
            files
        };
        match &self.files.writable {
            None => Ok(files),
            Some(None) => Ok(files.with_uploads(self.upload_policy())),
            Some(Some(directory)) => files.with_uploads_to(directory, self.upload_policy()),
        }
    }

    /// Returns what clients may write, for the log.
    pub(super) fn writing(&self) -> &'static str {
        match &self.files.writable {
            None => "read-only",
            Some(None) => "clients may write",
            Some(Some(_)) => "clients may write to another directory",
        }
    }

    /// Builds the policy: access lists, rewrite rules and directories of clients.
    pub(super) fn policy(&self) -> Result<RequestPolicy, Failure> {
        let Clients {
            allow,
            deny,
            writers,
            ..
        } = &self.clients;
        let list =
            |allowed: &[Prefix]| AccessList::new(allowed.iter().copied(), deny.iter().copied());
        let directory = self.client_directory()?;
        let rules = match &self.files.map_file {
            Some(path) => map_file(path)?,
            None => Rules::default(),
        };
        Ok(RequestPolicy {
            acl: Acl {
                read: list(allow),
                write: list(if writers.is_empty() { allow } else { writers }),
            },
            rules,
            directory,
        })
    }

    pub(super) fn limits(&self) -> Result<GrantLimits, Failure> {
        let wrong = |flag: &str, bounds: &str| {
            Failure::new(Exit::Usage, format!("{flag} must be {bounds}"))
        };
        Ok(GrantLimits {
            blksize: Blksize::new(self.clients.max_blksize)
                .ok_or_else(|| wrong("--max-blksize", "8 to 65464"))?,
            windowsize: Windowsize::new(self.clients.max_windowsize)
                .ok_or_else(|| wrong("--max-windowsize", "1 to 32767"))?,
            ..GrantLimits::default()
        })
    }

    pub(super) fn caps(&self) -> Caps {
        Caps {
            transfers: self.clients.max_transfers,
            per_client: self.clients.max_per_client,
            hold: Duration::from_secs(self.clients.hold.into()),
            ..Caps::default()
        }
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain.into())
    }

    fn client_directory(&self) -> Result<Option<ClientDirectory>, Failure> {
        let wrong = |error: &dyn Error| {
            Failure::new(Exit::Usage, "--client-dir")
                .because(error)
                .hint("write a directory below the root, such as clients/${client}")
        };
        let Some(template) = &self.files.client_dir else {
            return Ok(None);
        };
        let directory = ClientDirectory::new(template).map_err(|error| wrong(&error))?;
        // A template that leads out of the root does so for every client.
        let sample = Name::from_request(b"x")
            .and_then(|name| directory.join(&name, Ipv4Addr::LOCALHOST.into()));
        sample.map_err(|error| wrong(&error))?;
        Ok(Some(directory))
    }

    fn upload_policy(&self) -> UploadPolicy {
        let overwrite = match self.files.existing {
            Existing::Keep => Overwrite::Never,
            Existing::Replace => Overwrite::Always,
            Existing::Version => Overwrite::Versioned,
        };
        UploadPolicy {
            create: !self.files.no_create,
            overwrite,
            max_size: self.files.max_upload.0,
            ..UploadPolicy::default()
        }
    }
}

fn map_file(path: &Path) -> Result<Rules, Failure> {
    let text = read(path).map_err(|error| {
        let exit = Exit::of_file(&error);
        let hint = match exit {
            Exit::Denied => "let this user read it (chmod o+r)",
            _ => "name an existing file with --map-file",
        };
        Failure::new(exit, format!("cannot read the map file {}", path.display()))
            .because(&error)
            .hint(hint)
    })?;
    Rules::from_map_file(&text).map_err(|error| {
        let mistakes = error.problems();
        let mut what = format!("the map file {} cannot be used", path.display());
        for (line, problem) in mistakes.iter().take(SHOWN) {
            what = format!("{what}\n  line {line}: {problem}");
        }
        if mistakes.len() > SHOWN {
            what = format!("{what}\n  and {} more", mistakes.len() - SHOWN);
        }
        Failure::new(Exit::Config, what)
            .hint("a line is an operation, a regex and a replacement, as in tftpd(8) of tftp-hpa")
    })
}

/// The number of mistakes in a map file that are shown.
const SHOWN: usize = 5;

#[expect(
    clippy::disallowed_methods,
    reason = "the one function that reads the files that configure the server"
)]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_may_be_fewer_than_readers() {
        use crate::proto::Direction::{Read, Write};
        let acl = |words: &str| {
            let args = Args::try_parse_from(words.split(' ')).expect("valid arguments");
            args.policy().expect("a policy").acl
        };
        let may = |acl: &Acl, client: [u8; 4]| {
            [Read, Write].map(|direction| acl.check(client.into(), direction).is_allowed())
        };
        let served = "tftpd . --writable --allow 10.0.0.0/8 --deny 10.6.0.0/16";
        let all = acl(served);
        assert_eq!(may(&all, [10, 0, 0, 1]), [true, true]);
        assert_eq!(may(&all, [10, 6, 0, 1]), [false, false]);
        let few = acl(&format!("{served} --writers 10.0.0.0/24"));
        assert_eq!(may(&few, [10, 0, 0, 1]), [true, true]);
        assert_eq!(may(&few, [10, 0, 1, 1]), [true, false]);
        assert_eq!(may(&few, [10, 6, 0, 1]), [false, false]);
        let read_only = Args::try_parse_from(["tftpd", ".", "--writers", "10.0.0.0/24"]);
        assert!(read_only.is_err(), "--writers needs --writable");
    }

    #[test]
    fn sizes_have_a_unit_or_none() {
        let size = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(
            (size("4096"), size("64k"), size("2G")),
            (Ok(4096), Ok(65_536), Ok(2 << 30))
        );
        for wrong in ["", "M", "-1", "1.5M", "99999999999G", "64MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
