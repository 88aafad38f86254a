//! Two namespaces with a cable between them: a server with several addresses, and clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use tempfile::TempDir;
use tests::capture::Capture;
use tests::netns::Netns;
use tests::process::Process;
use tests::server::{EVERYWHERE, Program, Server};
use tests::{host, peers};

use crate::clients::{Client, Fetch};

/// Around the default blksize; one that many blocks are needed for; and one whose block numbers wrap.
pub(crate) const SIZES: [usize; 7] = [0, 1, 511, 512, 513, 1 << 20, 40 << 20];

/// The ports the server may use; outside of the kernel's own range.
pub(crate) const PORTS: RangeInclusive<u16> = 61_000..=61_999;

/// The addresses of the server.
pub(crate) const SERVERS: [IpAddr; 6] = [v4(1), v4(2), v4(3), v6(1), v6(2), v6(3)];

/// For the largest file in blocks of 512 bytes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// For what is refused.
const AT_ONCE: Duration = Duration::from_secs(4);

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 99, 0, host))
}

const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, host))
}

pub(crate) fn one_of_each_family() -> [IpAddr; 2] {
    [v4(1), v6(1)]
}

/// Whether the lab can be built here, with this client in it; says so if not.
#[track_caller]
pub(crate) fn available(client: &Client) -> bool {
    let server = (Program::under_test() == Program::Hpa).then_some("in.tftpd");
    let programs: Vec<_> = ["ip", "tcpdump"]
        .into_iter()
        .chain(server)
        .chain(client.needs())
        .collect();
    peers::available(&programs)
}

/// A running server with files of every size. The fields are dropped in their order.
pub(crate) struct Lab {
    pub(crate) server: Server,
    there: Netns,
    here: Netns,
    folder: TempDir,
}

impl Lab {
    #[track_caller]
    pub(crate) fn new(program: Program) -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let root = folder.path().join("root");
        for size in SIZES {
            host::write(&root.join(name(size)), bytes(size));
        }
        let (there, here) = (Netns::new(), Netns::new());
        there.cable(&here, "cable0");
        for (server, client) in one_of_each_family().into_iter().zip([v4(100), v6(100)]) {
            there.address("cable0", server, prefix(server));
            here.address("cable0", client, prefix(client));
        }
        let server = Server::start(program, &there, &root, EVERYWHERE, &PORTS);
        Self {
            server,
            there,
            here,
            folder,
        }
    }

    /// Gives the server the rest of its addresses.
    #[track_caller]
    pub(crate) fn add_addresses(&self) {
        let first = one_of_each_family();
        for server in SERVERS.into_iter().filter(|server| !first.contains(server)) {
            self.there.address("cable0", server, prefix(server));
        }
    }

    /// Watches the server's end of the cable.
    #[track_caller]
    pub(crate) fn watch(&self) -> Capture {
        Capture::start(&self.there, "cable0", self.folder.path())
    }

    /// Fetches the file of this size and compares it with the one in the server's folder.
    #[track_caller]
    pub(crate) fn fetch(&self, client: &Client, server: IpAddr, size: usize) {
        let original = self.folder.path().join("root").join(name(size));
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let fetch = Fetch {
            server,
            name: &name(size),
            size,
            file: &folder.path().join("fetched"),
        };
        let output = self.run(client, &fetch, PATIENCE);
        let context = format!(
            "{size} bytes from {server}; the client wrote:\n{output}\n{}",
            self.server.output()
        );
        assert!(fetch.file.exists(), "no file: {context}");
        assert_eq!(
            host::sha256(fetch.file),
            host::sha256(&original),
            "{context}"
        );
    }

    /// Asks for a file that is not there; the client must come back soon, without one.
    #[track_caller]
    pub(crate) fn fetch_missing(&self, client: &Client, server: IpAddr) {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        let fetch = Fetch {
            server,
            name: "absent",
            size: 1,
            file: &folder.path().join("fetched"),
        };
        let output = self.run(client, &fetch, AT_ONCE);
        let length = std::fs::metadata(fetch.file).map_or(0, |file| file.len());
        assert_eq!(
            length, 0,
            "a file that is not there was fetched; the client wrote:\n{output}"
        );
    }

    #[track_caller]
    fn run(&self, client: &Client, fetch: &Fetch<'_>, limit: Duration) -> String {
        let mut process = Process::start(
            self.here
                .command(client.path())
                .args(client.arguments(fetch)),
        );
        let ended = process.ended_within(limit);
        let (client, server) = (process.output(), self.server.output());
        assert!(
            ended.is_some(),
            "the client has not ended within {limit:?};\nclient:\n{client}\nserver:\n{server}"
        );
        client
    }
}

fn name(size: usize) -> String {
    format!("file-{size}.bin")
}

fn prefix(address: IpAddr) -> u8 {
    if address.is_ipv6() { 64 } else { 24 }
}

/// Bytes without a pattern that a lost or repeated block could hide in: xorshift, seeded by the length.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (length as u64);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words
        .take(length.div_ceil(8))
        .flatten()
        .take(length)
        .collect()
}
