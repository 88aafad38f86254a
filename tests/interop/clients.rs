//! The command line of each client for reading a file, and for writing one.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use tests::netns::Netns;
use tests::{built, peers};

/// A TFTP client program, with its options.
pub(crate) struct Client {
    /// The installed programs and files it needs, the client itself first; empty for our own client.
    needs: &'static [&'static str],
    /// The block size it requests.
    pub(crate) blksize: usize,
    pub(crate) ipv6: bool,
    arguments: fn(&Job<'_>) -> Vec<String>,
}

/// One transfer: direction, server, and names on both sides.
pub(crate) struct Job<'a> {
    pub(crate) direction: Direction,
    pub(crate) server: IpAddr,
    pub(crate) name: &'a str,
    pub(crate) size: usize,
    pub(crate) file: &'a Path,
}

/// From the server, or to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    Get,
    Put,
}

/// tftp-hpa 5.2, the version of Debian 12; 7.x is in no release of Debian yet.
pub(crate) const TFTP_HPA: Client = Client {
    arguments: |job| tftp_hpa(job, "binary"),
    ..plain(&["tftp"])
};

pub(crate) const TFTP_HPA_ASCII: Client = Client {
    arguments: |job| tftp_hpa(job, "ascii"),
    ..plain(&["tftp"])
};

pub(crate) const ATFTP: Client = Client {
    arguments: |job| atftp(job, &[]),
    ..plain(&["atftp"])
};

pub(crate) const ATFTP_BLKSIZE: Client = Client {
    blksize: 1428,
    arguments: |job| atftp(job, &["blksize 1428", "tsize 0"]),
    ..plain(&["atftp"])
};

pub(crate) const ATFTP_WINDOWSIZE: Client = Client {
    blksize: 1428,
    arguments: |job| atftp(job, &["blksize 1428", "windowsize 8"]),
    ..plain(&["atftp"])
};

pub(crate) const CURL: Client = Client {
    arguments: |job| curl(job, "512"),
    ..plain(&["curl"])
};

pub(crate) const CURL_BLKSIZE: Client = Client {
    blksize: 1428,
    arguments: |job| curl(job, "1428"),
    ..plain(&["curl"])
};

pub(crate) const BUSYBOX: Client = Client {
    arguments: |job| busybox(job, "512"),
    ..plain(&["busybox"])
};

pub(crate) const BUSYBOX_BLKSIZE: Client = Client {
    blksize: 1428,
    arguments: |job| busybox(job, "1428"),
    ..plain(&["busybox"])
};

pub(crate) const TFTPY: Client = Client {
    blksize: 1428,
    ipv6: false,
    arguments: tftpy,
    ..plain(&["python3", peers::TFTPY])
};

/// The binary `tftp` of this workspace, with windows.
pub(crate) const OURS: Client = Client {
    blksize: 1428,
    arguments: |job| ours(job, ""),
    ..plain(&[])
};

/// The same with the options of RFC 1350 only.
pub(crate) const OURS_LOCKSTEP: Client = Client {
    arguments: |job| ours(job, "--blksize 512 --windowsize 1"),
    ..plain(&[])
};

pub(crate) const OURS_ASCII: Client = Client {
    arguments: |job| ours(job, "--ascii"),
    ..plain(&[])
};

/// One of each program.
pub(crate) const ALL: [&Client; 6] = [&TFTP_HPA, &ATFTP, &CURL, &BUSYBOX, &TFTPY, &OURS];

const fn plain(needs: &'static [&'static str]) -> Client {
    Client {
        needs,
        blksize: 512,
        ipv6: true,
        arguments: |_| Vec::new(),
    }
}

impl Client {
    /// The installed programs and files it needs.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    /// Returns the command for a job inside a namespace.
    pub(crate) fn command(&self, namespace: &Netns, job: &Job<'_>) -> Command {
        let path = match self.needs {
            [] => built::binary("tftp"),
            [program, ..] => peers::path(program),
        };
        let mut command = namespace.command(path);
        command.args((self.arguments)(job));
        command
    }

    /// Zero bytes, one, sizes around one block, and a file of more than 256 blocks.
    pub(crate) fn sizes(&self) -> [usize; 6] {
        [
            0,
            1,
            self.blksize - 1,
            self.blksize,
            self.blksize + 1,
            1 << 20,
        ]
    }
}

impl Job<'_> {
    fn here(&self) -> String {
        self.file.display().to_string()
    }

    /// The server and the name as a URL.
    fn url(&self) -> String {
        let (server, name) = (self.server, self.name);
        if server.is_ipv6() {
            format!("tftp://[{server}]/{name}")
        } else {
            format!("tftp://{server}/{name}")
        }
    }

    fn pick<T>(&self, get: T, put: T) -> T {
        match self.direction {
            Direction::Get => get,
            Direction::Put => put,
        }
    }
}

fn tftp_hpa(job: &Job<'_>, mode: &str) -> Vec<String> {
    let (server, name, here) = (job.server, job.name, job.here());
    let command = job.pick(format!("get {name} {here}"), format!("put {here} {name}"));
    words(&format!("-m {mode} {server} -c {command}"))
}

fn atftp(job: &Job<'_>, options: &[&str]) -> Vec<String> {
    let options = options
        .iter()
        .flat_map(|option| ["--option".to_owned(), (*option).to_owned()]);
    let (server, name, here) = (job.server, job.name, job.here());
    let command = job.pick("--get", "--put");
    let rest = words(&format!(
        "{command} --remote-file {name} --local-file {here} {server} 69"
    ));
    options.chain(rest).collect()
}

fn curl(job: &Job<'_>, blksize: &str) -> Vec<String> {
    // curl treats any OACK with tsize=0 as an error: an empty file is transferred without options.
    let options = if job.size == 0 {
        "--tftp-no-options".to_owned()
    } else {
        format!("--tftp-blksize {blksize}")
    };
    let command = job.pick("--output", "--upload-file");
    words(&format!(
        "--silent --show-error {options} {command} {} {}",
        job.here(),
        job.url()
    ))
}

fn busybox(job: &Job<'_>, blksize: &str) -> Vec<String> {
    let (server, name, here) = (job.server, job.name, job.here());
    let command = job.pick("-g", "-p");
    words(&format!(
        "tftp {command} -b {blksize} -r {name} -l {here} {server}"
    ))
}

/// The program around tftpy, which is a module.
const AROUND_TFTPY: &str = "\
import sys
folder, way, server, name, here, blksize = sys.argv[1:]
sys.path.insert(0, folder)
import tftpy
client = tftpy.TftpClient(server, 69, {'blksize': int(blksize), 'tsize': 0})
getattr(client, way)(name, here)
";

fn tftpy(job: &Job<'_>) -> Vec<String> {
    let command = job.pick("download", "upload");
    let folder = peers::unpacked("tftpy").display().to_string();
    let (server, blksize) = (job.server.to_string(), TFTPY.blksize.to_string());
    ["-c", AROUND_TFTPY, &folder, command, &server, job.name]
        .map(str::to_owned)
        .into_iter()
        .chain([job.here(), blksize])
        .collect()
}

fn ours(job: &Job<'_>, options: &str) -> Vec<String> {
    let (url, here) = (job.url(), job.here());
    words(&job.pick(
        format!("get {options} {url} -o {here}"),
        format!("put {options} {here} {url}"),
    ))
}

/// Splits a command line without quoted words.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
