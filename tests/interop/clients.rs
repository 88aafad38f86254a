//! How each client is asked to fetch a file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tests::{built, peers};

/// A program that reads files by TFTP, with the options it is to use.
pub(crate) struct Client {
    program: &'static str,
    arguments: fn(&Fetch<'_>) -> Vec<String>,
}

/// What to fetch, from where, to where.
pub(crate) struct Fetch<'a> {
    pub(crate) server: IpAddr,
    pub(crate) name: &'a str,
    pub(crate) size: usize,
    pub(crate) file: &'a Path,
}

pub(crate) const TFTP_HPA: Client = Client {
    program: "tftp",
    arguments: |fetch| {
        let Fetch { server, name, .. } = fetch;
        words(&format!("-m binary {server} -c get {name} {}", fetch.to()))
    },
};

pub(crate) const ATFTP: Client = Client {
    program: "atftp",
    arguments: |fetch| atftp(fetch, &[]),
};

pub(crate) const ATFTP_BLKSIZE: Client = Client {
    program: "atftp",
    arguments: |fetch| atftp(fetch, &["blksize 1428", "tsize 0"]),
};

pub(crate) const ATFTP_WINDOWSIZE: Client = Client {
    program: "atftp",
    arguments: |fetch| atftp(fetch, &["blksize 1428", "windowsize 8"]),
};

pub(crate) const CURL: Client = Client {
    program: "curl",
    arguments: |fetch| curl(fetch, "512"),
};

pub(crate) const CURL_BLKSIZE: Client = Client {
    program: "curl",
    arguments: |fetch| curl(fetch, "1428"),
};

pub(crate) const BUSYBOX: Client = Client {
    program: "busybox",
    arguments: |fetch| busybox(fetch, "512"),
};

pub(crate) const BUSYBOX_BLKSIZE: Client = Client {
    program: "busybox",
    arguments: |fetch| busybox(fetch, "1428"),
};

/// The binary `tftp` of this workspace.
pub(crate) const OURS: Client = Client {
    program: "",
    arguments: |fetch| {
        words(&format!(
            "get tftp://{}/{} -o {}",
            fetch.host(),
            fetch.name,
            fetch.to()
        ))
    },
};

/// One of each program.
pub(crate) const ALL: [&Client; 5] = [&TFTP_HPA, &ATFTP, &CURL, &BUSYBOX, &OURS];

impl Client {
    /// The other programs it needs: itself, if it is not ours.
    pub(crate) fn needs(&self) -> Option<&'static str> {
        Some(self.program).filter(|program| !program.is_empty())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.needs()
            .map_or_else(|| built::binary("tftp"), peers::path)
    }

    pub(crate) fn arguments(&self, fetch: &Fetch<'_>) -> Vec<String> {
        (self.arguments)(fetch)
    }
}

impl Fetch<'_> {
    fn to(&self) -> String {
        self.file.display().to_string()
    }

    /// The server's address as it stands in a URL.
    fn host(&self) -> String {
        if self.server.is_ipv6() {
            format!("[{}]", self.server)
        } else {
            self.server.to_string()
        }
    }
}

fn atftp(fetch: &Fetch<'_>, options: &[&str]) -> Vec<String> {
    let Fetch { server, name, .. } = fetch;
    let options = options
        .iter()
        .flat_map(|option| ["--option".to_owned(), (*option).to_owned()]);
    let rest = words(&format!(
        "--get --remote-file {name} --local-file {} {server} 69",
        fetch.to()
    ));
    options.chain(rest).collect()
}

fn curl(fetch: &Fetch<'_>, blksize: &str) -> Vec<String> {
    let url = format!("tftp://{}/{}", fetch.host(), fetch.name);
    // curl takes an OACK with tsize=0 for an error, whoever sends it: an empty file goes without.
    let options = if fetch.size == 0 {
        "--tftp-no-options".to_owned()
    } else {
        format!("--tftp-blksize {blksize}")
    };
    words(&format!(
        "--silent --show-error {options} --output {} {url}",
        fetch.to()
    ))
}

fn busybox(fetch: &Fetch<'_>, blksize: &str) -> Vec<String> {
    let Fetch { server, name, .. } = fetch;
    words(&format!(
        "tftp -g -b {blksize} -r {name} -l {} {server}",
        fetch.to()
    ))
}

/// None of the words has a space in it.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
