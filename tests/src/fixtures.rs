//! Files derived from the captures under `fixtures/captures`: the requests of every client, and
//! exchange scripts of selected transfers.
//!
//! The binary `fixtures` writes the files; a test compares them with the committed ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::exchange::Exchange;
use crate::host;
use crate::packet::Packet;
use crate::pcap::{self, Datagram};

/// Maximum number of packets in a script. The first 120 show handshake, blocks and the first
/// retransmissions of every recording; the rest repeats them.
const LONGEST: usize = 120;

/// Returns the folder of the fixtures.
pub fn folder() -> PathBuf {
    host::workspace().join("fixtures")
}

/// Returns every file that is derived from the captures: its path below the folder, and its text.
///
/// # Panics
/// If a capture is missing, cannot be read, or lacks a listed transfer.
pub fn derived(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut clients: BTreeMap<String, Vec<Request>> = BTreeMap::new();
    for [capture, speaker] in table(&folder.join("captures.txt")) {
        for request in requests(folder, &capture, &speaker) {
            let known = clients.entry(request.client.clone()).or_default();
            if known.iter().all(|earlier| earlier.bytes != request.bytes) {
                known.push(request);
            }
        }
    }
    let scripts = table(&folder.join("exchanges.txt")).into_iter();
    let scripts = scripts.map(|[script, capture, file, note]| {
        (
            PathBuf::from(format!("exchanges/{script}.txt")),
            exchange(folder, &capture, &file, &note),
        )
    });
    let requests = clients.iter();
    let requests = requests.map(|(client, list)| {
        (
            PathBuf::from(format!("requests/{client}.txt")),
            listed(client, list),
        )
    });
    requests.chain(scripts).collect()
}

/// Reads the rows of a table in a text file; the last column is the rest of the line.
#[track_caller]
fn table<const COLUMNS: usize>(file: &Path) -> Vec<[String; COLUMNS]> {
    let row = |line: &str| {
        let mut rest = line;
        let columns: [String; COLUMNS] = std::array::from_fn(|column| {
            let (word, after) = rest
                .split_once(char::is_whitespace)
                .filter(|_| column + 1 < COLUMNS)
                .unwrap_or((rest, ""));
            rest = after.trim_start();
            word.trim_end().to_owned()
        });
        assert!(
            columns.iter().all(|column| !column.is_empty()),
            "{}: a column is missing: {line}",
            file.display()
        );
        columns
    };
    let text = host::read_text(file);
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(row)
        .collect()
}

/// Reads the datagrams of a capture.
///
/// # Panics
/// If the capture is missing or cannot be read.
pub fn capture(folder: &Path, name: &str) -> Vec<Datagram> {
    let path = folder.join(format!("captures/{name}.pcap"));
    pcap::datagrams(&host::read(&path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A recorded request.
struct Request {
    client: String,
    note: String,
    bytes: Vec<u8>,
}

fn requests(folder: &Path, name: &str, speaker: &str) -> Vec<Request> {
    let request = |datagram: Datagram| {
        let packet = Packet::from_bytes(&datagram.payload, datagram.length)?;
        let Packet::Request { options, .. } = &packet else {
            return None;
        };
        let client = client_of(speaker, options).to_owned();
        let note = format!("{name}.pcap, frame {}: {packet}", datagram.frame);
        Some(Request {
            client,
            note,
            bytes: datagram.payload,
        })
    };
    capture(folder, name)
        .into_iter()
        .filter_map(request)
        .collect()
}

/// Formats a file of requests: each as hex, under a line that explains it.
fn listed(client: &str, requests: &[Request]) -> String {
    let mut text =
        format!("# The distinct requests of {client}, in the order they were recorded.\n");
    for request in requests {
        let _ = write!(text, "\n# {}\n{}\n", request.note, hex(&request.bytes));
    }
    text
}

/// Returns the client of a request: firmware that loads another client is recognised by its options.
fn client_of<'a>(speaker: &'a str, options: &[(String, String)]) -> &'a str {
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    match options.as_slice() {
        [("blksize", "1432"), ("tsize", "0")] => "ipxe",
        [
            ("tsize", "0"),
            ("blksize", "1468" | "1228"),
            ("windowsize", "4"),
        ]
        | [("blksize", "1468" | "1228"), ("windowsize", "4")] => "edk2",
        [("tsize", "0"), ("blksize", "512"), ("timeout", "5")] => "curl",
        [("tsize", "0")] => "busybox",
        _ => speaker,
    }
}

fn exchange(folder: &Path, name: &str, file: &str, note: &str) -> String {
    let datagrams = capture(folder, name);
    let asks = |datagram: &&Datagram| match Packet::from_bytes(&datagram.payload, datagram.length) {
        Some(Packet::Request { name, .. }) => name == file,
        _ => false,
    };
    let request = datagrams
        .iter()
        .find(asks)
        .unwrap_or_else(|| panic!("{name}.pcap: no client requests {file}"));
    let client = request.source;
    let mut exchange = Exchange::recorded(&datagrams, client);
    exchange.notes.push(note.to_owned());
    exchange.notes.push(format!(
        "{name}.pcap, from frame {} on: client port {}.",
        request.frame,
        client.port()
    ));
    if exchange.steps.len() > LONGEST {
        exchange.steps.truncate(LONGEST);
        exchange.notes.push(format!(
            "The first {LONGEST} packets; the recording goes on."
        ));
    }
    exchange.to_string()
}

/// Parses a file of requests that [`derived`] wrote: the explanation and the bytes of each.
///
/// # Panics
/// If a line is neither a comment nor hex.
#[track_caller]
pub fn parse_requests(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut note = "";
    let mut requests = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            note = comment.trim();
        } else if !line.is_empty() {
            requests.push((
                note.to_owned(),
                unhex(line).unwrap_or_else(|| panic!("not hex: {line}")),
            ));
        }
    }
    requests
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect()
}
