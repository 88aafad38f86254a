//! Measures TFTP servers side by side: the one of this workspace, and those named on the command line.
//!
//! ```text
//! cargo run --release -p tests --bin bench -- [--quick] [--rivals] [ITEM…] [NAME='COMMAND {root} {ip} {port}'…]
//! ```
//! Without an item all are measured, once with `--quick`, else three times with the median as result.
//! `--rivals` adds the servers that `cargo ci setup` installs. A named server can be another build of
//! this one. `tests/README.md` describes the table.
//!
//! Exit code: 0 when all was measured, 1 when a client failed, 64 for unknown arguments.

mod calls;
mod items;
mod lab;
mod load;
mod rivals;
mod table;
mod transfer;
mod usage;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::{built, host, peers};

use items::{Case, ITEMS};
use lab::{Lab, Measured, Peer};

fn main() -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!(
            "usage: bench [--quick] [--rivals] [ITEM…] [NAME='COMMAND {{root}} {{ip}} {{port}}'…]"
        );
        for (item, about) in ITEMS {
            eprintln!("  {item:<7} {about}");
        }
        return ExitCode::from(64);
    };
    if !peers::available(&["ip", "unshare", "taskset"]) {
        return ExitCode::FAILURE;
    }
    let ours = Peer {
        name: "tftpd".to_owned(),
        command: format!(
            "{} {{root}} --listen {{ip}}:{{port}}",
            built::binary("tftpd").display()
        ),
    };
    prepare();
    let servers: Vec<_> = [ours].into_iter().chain(options.peers.clone()).collect();
    if measure(&options, &servers) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The command line.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    items: Vec<String>,
    peers: Vec<Peer>,
}

impl Options {
    /// Parses the arguments; returns `None` for an unknown one.
    fn read(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        for word in words {
            if word == "--quick" {
                options.quick = true;
            } else if word == "--rivals" {
                options.peers.extend(rivals::installed());
            } else if let Some((name, command)) = word.split_once('=') {
                let [name, command] = [name, command].map(str::to_owned);
                options.peers.push(Peer { name, command });
            } else if ITEMS.iter().any(|(item, _)| *item == word) {
                options.items.push(word);
            } else {
                return None;
            }
        }
        Some(options)
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = items::cases(self.quick);
        let selected = |item| self.items.is_empty() || self.items.iter().any(|name| name == item);
        let strace = peers::find("strace").is_some();
        cases.retain(|case| selected(case.item) && (strace || case.item != "calls"));
        cases
    }
}

/// Sets real-time priority and the highest descriptor limit.
fn prepare() {
    let id = Pid::this().to_string();
    let mut priority = Command::new("chrt");
    let status = priority
        .args(["--rr", "--pid", "5", &id])
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("without real-time priority: other programs may disturb the figures");
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it the limit stays, and a large item fails with its error.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Measures and prints; returns true if no client failed.
fn measure(options: &Options, servers: &[Peer]) -> bool {
    let cases = options.cases();
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let root = folder.path().join("root");
    let largest = cases.iter().map(|case| case.file_size).max().unwrap_or(0);
    let content = content(largest);
    for case in &cases {
        host::write(&root.join(case.file()), content_of(case, &content));
    }
    let (mut loads, mut calls, mut succeeded) = (Vec::new(), Vec::new(), true);
    for case in &cases {
        for peer in servers {
            eprintln!("{}: {}: {}", case.item, case.title, peer.name);
            if case.item == "calls" {
                calls.push(calls::count(case, peer, &root, content_of(case, &content)));
                continue;
            }
            let rounds = if options.quick { 1 } else { 3 };
            let measured = median(rounds, || {
                run(case, peer, &root, content_of(case, &content))
            });
            if let Some(error) = &measured.tally.first_error {
                eprintln!("  a client failed: {error}");
                succeeded = false;
            }
            loads.push(table::row(case, peer, &measured));
        }
    }
    table::print(table::LOADS, &loads);
    table::print(table::CALLS, &calls);
    succeeded
}

fn run(case: &Case, peer: &Peer, root: &Path, content: &[u8]) -> Measured {
    let file = case.file();
    Lab::new(peer, root, case.mtu).run(case.load(&file, content))
}

/// Returns the run with the median processor time.
fn median(rounds: usize, mut run: impl FnMut() -> Measured) -> Measured {
    let mut runs: Vec<_> = std::iter::repeat_with(&mut run).take(rounds).collect();
    runs.sort_by_key(|measured| measured.cpu);
    runs.swap_remove(rounds / 2)
}

/// Random bytes without equal blocks (xorshift).
fn content(size: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(size as usize / 8).flatten().collect()
}

/// The content of a file: a prefix of the same bytes.
fn content_of<'a>(case: &Case, content: &'a [u8]) -> &'a [u8] {
    content.get(..case.file_size as usize).unwrap_or_default()
}
