//! rpc-portmap beside rpcbind: the cost of a call in each, in one run.
//!
//! Both need port 111 and the same unix socket, so they run alternately, in a network namespace and
//! with a `/run` of their own:
//!
//! ```text
//! # unshare --net --mount sh -c 'ip link set lo up && mount -t tmpfs none /run &&
//!       taskset -c 1 cargo bench -p rpc-portmap --bench side_by_side'
//! ```
//!
//! The server has CPU 0 for itself, the load comes from CPU 1. A figure is the median of the turns;
//! `-- TURNS CALLS` at the end of the command takes others than 3 turns of 40,000 calls a row. The
//! program of rpcbind is looked for at `$RPCBIND` and in `$PATH`.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark uses files and the environment directly"
)]

mod load;
mod server;

use std::net::{Ipv4Addr, SocketAddr};

use load::{Lookup, Registrations};
use rpc_portmap::rpcbind::PORT;
use server::{Kind, Server};

/// The size of a run.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Turns of each server.
    turns: u32,
    /// Calls by datagram in a row of the table.
    calls: u32,
}

impl Effort {
    /// Reads the command line, to which Cargo adds `--bench`.
    fn from_arguments() -> Self {
        let mut numbers = std::env::args()
            .skip(1)
            .filter_map(|word| word.parse().ok());
        Self {
            turns: numbers.next().unwrap_or(3),
            calls: numbers.next().unwrap_or(40_000),
        }
    }
}

/// The rows of the table, in order.
const ROWS: [&str; 8] = [
    "GETPORT by UDP, 10 registered: CPU-s per 100,000",
    "GETPORT by UDP, 10,000 registered: CPU-s per 100,000",
    "GETADDR by UDP, 10 registered: CPU-s per 100,000",
    "GETADDR by UDP, 10,000 registered: CPU-s per 100,000",
    "version 4 DUMP of 10,000 by TCP: ms",
    "10,000 SETs over the unix socket, one after the other: s",
    "memory, nothing registered: MiB",
    "memory, 10,000 registered: MiB",
];

fn main() {
    if std::path::Path::new("/run/rpcbind.sock").exists() {
        eprintln!("error: a portmapper may be running: /run/rpcbind.sock exists");
        eprintln!(
            "hint: run this in a namespace, as the head of benches/side_by_side/main.rs shows"
        );
        std::process::exit(69);
    }
    let mut results =
        [Kind::Rpcbind, Kind::RpcPortmap].map(|kind| (kind, vec![Vec::new(); ROWS.len()]));
    let effort = Effort::from_arguments();
    for turn in 1..=effort.turns {
        for (kind, rows) in &mut results {
            eprintln!("turn {turn} of {}: {}", effort.turns, kind.name());
            for (row, figure) in rows.iter_mut().zip(measure(*kind, effort.calls)) {
                row.push(figure);
            }
        }
    }
    let [(_, rpcbind), (_, portmap)] = results;
    println!("| | rpcbind | rpc-portmap | ratio |\n|---|---|---|---|");
    for ((name, rpcbind), portmap) in ROWS.into_iter().zip(rpcbind).zip(portmap) {
        let (rpcbind, portmap) = (median(rpcbind), median(portmap));
        println!(
            "| {name} | {rpcbind:.2} | {portmap:.2} | {:.1} |",
            rpcbind / portmap
        );
    }
}

/// One turn of a server: a figure for each row.
fn measure(kind: Kind, calls: u32) -> [f64; ROWS.len()] {
    let server = Server::start(kind);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let empty = server.megabytes();
    let mut registrations = Registrations::new();
    registrations.extend_to(10);
    let few = [Lookup::Getport, Lookup::Getaddr].map(|lookup| {
        let before = server.cpu_seconds();
        load::by_datagram(address, lookup, registrations.count(), calls);
        per_100_000(server.cpu_seconds() - before, calls)
    });
    let all_set = registrations.extend_to(10_010);
    let full = server.megabytes();
    let many = [Lookup::Getport, Lookup::Getaddr].map(|lookup| {
        let before = server.cpu_seconds();
        load::by_datagram(address, lookup, registrations.count(), calls);
        per_100_000(server.cpu_seconds() - before, calls)
    });
    let dump = load::dump(address, 10_010);
    [few[0], many[0], few[1], many[1], dump, all_set, empty, full]
}

fn per_100_000(seconds: f64, calls: u32) -> f64 {
    seconds * 100_000.0 / f64::from(calls)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
