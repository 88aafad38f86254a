//! Measures TFTP servers side by side: ours, and whichever are named.
//!
//! ```text
//! cargo run --release -p tests --bin bench -- [--quick] [--rivals] [ITEM…] [NAME='COMMAND {root} {ip} {port}'…]
//! ```
//! Without an item all are measured, once if it is to be quick, else three times, of which the
//! median counts. `--rivals` measures the servers beside ours that `cargo ci setup` brings.
//! `tests/README.md` says how to read the table.
//!
//! Exit code: 0 when all was measured, 1 where a client failed, 64 for words it does not know.

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
    let Some(wish) = Wish::read(std::env::args().skip(1)) else {
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
    let servers: Vec<_> = [ours].into_iter().chain(wish.peers.clone()).collect();
    if measure(&wish, &servers) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wish {
    quick: bool,
    items: Vec<String>,
    peers: Vec<Peer>,
}

impl Wish {
    /// Nothing, if there is a word that means nothing.
    fn read(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut wish = Self::default();
        for word in words {
            if word == "--quick" {
                wish.quick = true;
            } else if word == "--rivals" {
                wish.peers.extend(rivals::installed());
            } else if let Some((name, command)) = word.split_once('=') {
                let [name, command] = [name, command].map(str::to_owned);
                wish.peers.push(Peer { name, command });
            } else if ITEMS.iter().any(|(item, _)| *item == word) {
                wish.items.push(word);
            } else {
                return None;
            }
        }
        Some(wish)
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = items::cases(self.quick);
        let wanted = |item| self.items.is_empty() || self.items.iter().any(|name| name == item);
        let strace = peers::find("strace").is_some();
        cases.retain(|case| wanted(case.item) && (strace || case.item != "calls"));
        cases
    }
}

/// Keeps others of this machine out of the picture, and lets there be a socket for each client.
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
        // Then it stays as it was, and a large item says what it lacks.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Measures and prints; whether no client failed.
fn measure(wish: &Wish, servers: &[Peer]) -> bool {
    let cases = wish.cases();
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let root = folder.path().join("root");
    let largest = cases.iter().map(|case| case.file_size).max().unwrap_or(0);
    let content = content(largest);
    for case in &cases {
        host::write(&root.join(case.file()), of(case, &content));
    }
    let (mut loads, mut calls, mut well) = (Vec::new(), Vec::new(), true);
    for case in &cases {
        for peer in servers {
            eprintln!("{}: {}: {}", case.item, case.title, peer.name);
            if case.item == "calls" {
                calls.push(calls::count(case, peer, &root, of(case, &content)));
                continue;
            }
            let rounds = if wish.quick { 1 } else { 3 };
            let measured = median(rounds, || run(case, peer, &root, of(case, &content)));
            if let Some(complaint) = &measured.tally.complaint {
                eprintln!("  a client failed: {complaint}");
                well = false;
            }
            loads.push(table::row(case, peer, &measured));
        }
    }
    table::print(table::LOADS, &loads);
    table::print(table::CALLS, &calls);
    well
}

fn run(case: &Case, peer: &Peer, root: &Path, content: &[u8]) -> Measured {
    let file = case.file();
    Lab::new(peer, root, case.mtu).run(case.load(&file, content))
}

/// The run whose processor time lies in the middle.
fn median(rounds: usize, mut run: impl FnMut() -> Measured) -> Measured {
    let mut runs: Vec<_> = std::iter::repeat_with(&mut run).take(rounds).collect();
    runs.sort_by_key(|measured| measured.cpu);
    runs.swap_remove(rounds / 2)
}

/// Bytes of which no two blocks are alike (xorshift).
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

/// Every file is the beginning of the same bytes.
fn of<'a>(case: &Case, content: &'a [u8]) -> &'a [u8] {
    content.get(..case.file_size as usize).unwrap_or_default()
}
