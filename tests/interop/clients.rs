//! How each client is asked to fetch a file, or to send one.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use tests::netns::Netns;
use tests::{built, peers};

/// A program that moves files by TFTP, with the options it is to use.
pub(crate) struct Client {
    /// What it needs of other people's; the first is the program, unless there is none: then it is ours.
    needs: &'static [&'static str],
    /// The bytes of a block that it asks for.
    pub(crate) blksize: usize,
    pub(crate) ipv6: bool,
    arguments: fn(&Job<'_>) -> Vec<String>,
}

/// What to move between which server and which file here.
pub(crate) struct Job<'a> {
    pub(crate) way: Way,
    pub(crate) server: IpAddr,
    pub(crate) name: &'a str,
    pub(crate) size: usize,
    pub(crate) file: &'a Path,
}

/// From the server, or to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Get,
    Put,
}

/// tftp-hpa 5.2, the one that Debian 12 has; 7.x is in no release of Debian yet.
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

/// The binary `tftp` of this workspace, in windows.
pub(crate) const OURS: Client = Client {
    blksize: 1428,
    arguments: |job| ours(job, ""),
    ..plain(&[])
};

/// The same as of 1992.
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
    /// What it needs of other people's.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    /// The command that does a job from inside a namespace.
    pub(crate) fn command(&self, namespace: &Netns, job: &Job<'_>) -> Command {
        let path = match self.needs {
            [] => built::binary("tftp"),
            [program, ..] => peers::path(program),
        };
        let mut command = namespace.command(path);
        command.args((self.arguments)(job));
        command
    }

    /// No bytes, one, around one block, and more blocks than a byte can count.
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
        match self.way {
            Way::Get => get,
            Way::Put => put,
        }
    }
}

fn tftp_hpa(job: &Job<'_>, mode: &str) -> Vec<String> {
    let (server, name, here) = (job.server, job.name, job.here());
    let what = job.pick(format!("get {name} {here}"), format!("put {here} {name}"));
    words(&format!("-m {mode} {server} -c {what}"))
}

fn atftp(job: &Job<'_>, options: &[&str]) -> Vec<String> {
    let options = options
        .iter()
        .flat_map(|option| ["--option".to_owned(), (*option).to_owned()]);
    let (server, name, here) = (job.server, job.name, job.here());
    let way = job.pick("--get", "--put");
    let rest = words(&format!(
        "{way} --remote-file {name} --local-file {here} {server} 69"
    ));
    options.chain(rest).collect()
}

fn curl(job: &Job<'_>, blksize: &str) -> Vec<String> {
    // curl takes an OACK with tsize=0 for an error, whoever sends it: an empty file goes without.
    let options = if job.size == 0 {
        "--tftp-no-options".to_owned()
    } else {
        format!("--tftp-blksize {blksize}")
    };
    let way = job.pick("--output", "--upload-file");
    words(&format!(
        "--silent --show-error {options} {way} {} {}",
        job.here(),
        job.url()
    ))
}

fn busybox(job: &Job<'_>, blksize: &str) -> Vec<String> {
    let (server, name, here) = (job.server, job.name, job.here());
    let way = job.pick("-g", "-p");
    words(&format!(
        "tftp {way} -b {blksize} -r {name} -l {here} {server}"
    ))
}

/// tftpy is a module: this is the program around it.
const AROUND_TFTPY: &str = "\
import sys
folder, way, server, name, here, blksize = sys.argv[1:]
sys.path.insert(0, folder)
import tftpy
client = tftpy.TftpClient(server, 69, {'blksize': int(blksize), 'tsize': 0})
getattr(client, way)(name, here)
";

fn tftpy(job: &Job<'_>) -> Vec<String> {
    let way = job.pick("download", "upload");
    let folder = peers::unpacked("tftpy").display().to_string();
    let (server, blksize) = (job.server.to_string(), TFTPY.blksize.to_string());
    ["-c", AROUND_TFTPY, &folder, way, &server, job.name]
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

/// None of the words has a space in it.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
