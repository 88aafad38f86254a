//! A server at one end of a cable and client programs at the other.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;
use tests::capture::Capture;
use tests::lab::{CABLE, ONE_OF_EACH_FAMILY};
use tests::process::Process;
use tests::program::{EVERYWHERE, Program, Task};
use tests::server::Server;
use tests::{host, lab, peers};

use crate::clients::{Client, Direction, Job};

/// The ports of transfers, outside of the kernel's ephemeral range.
pub(crate) const PORTS: RangeInclusive<u16> = 61_000..=61_999;

/// The limit for the largest file in blocks of 512 bytes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The limit for a refusal.
const REFUSAL: Duration = Duration::from_secs(4);

/// Returns true if the lab can be built here with this server and client; prints the reason if not.
#[track_caller]
pub(crate) fn available(program: Program, client: &Client) -> bool {
    let programs: Vec<_> = ["ip", "tcpdump"]
        .into_iter()
        .chain(program.peer())
        .chain(client.needs().iter().copied())
        .collect();
    peers::available(&programs)
}

/// The server's addresses of the families that a client supports.
pub(crate) fn servers(client: &Client) -> Vec<IpAddr> {
    let all = ONE_OF_EACH_FAMILY.into_iter();
    all.filter(|server| client.ipv6 || server.is_ipv4())
        .collect()
}

/// A running server. The fields are dropped in their order.
pub(crate) struct Lab {
    pub(crate) server: Server,
    pub(crate) cable: lab::Lab,
}

impl Lab {
    /// Starts a read-only server on every address.
    #[track_caller]
    pub(crate) fn reading(program: Program) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, EVERYWHERE, false)
    }

    /// Starts a writable server on every address.
    #[track_caller]
    pub(crate) fn writing(program: Program) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, EVERYWHERE, true)
    }

    /// Starts a server on a single address, writable if the program supports that.
    #[track_caller]
    pub(crate) fn on(program: Program, address: IpAddr) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, SocketAddr::new(address, 69), true)
    }

    /// Starts a read-only server on an existing cable.
    #[track_caller]
    pub(crate) fn at(program: Program, cable: lab::Lab) -> Self {
        Self::start(program, cable, EVERYWHERE, false)
    }

    #[track_caller]
    fn start(program: Program, cable: lab::Lab, listen: SocketAddr, writable: bool) -> Self {
        let root = cable.root();
        let task = Task {
            listen,
            writable,
            ..Task::reading(&root, &PORTS)
        };
        let server = Server::start(program, &cable.there, &task);
        Self { server, cable }
    }

    /// Captures at the server's end of the cable.
    #[track_caller]
    pub(crate) fn watch(&self) -> Capture {
        Capture::start(&self.cable.there, CABLE, self.cable.beside())
    }

    /// Reads a file of this size and compares it with the one in the server's folder.
    #[track_caller]
    pub(crate) fn fetch(&self, client: &Client, server: IpAddr, size: usize) {
        let original = self.cable.root().join(name(size));
        if !original.exists() {
            host::write(&original, host::patternless(size));
        }
        self.fetch_file(client, server, &original);
    }

    /// Reads a file of the server's folder and compares it.
    #[track_caller]
    pub(crate) fn fetch_file(&self, client: &Client, server: IpAddr, original: &Path) {
        let folder = folder();
        let fetched = folder.path().join("fetched");
        let output = self.run(client, Direction::Get, server, original, &fetched);
        self.check_equal(&fetched, original, server, &output);
    }

    /// Writes a file of this size and compares the stored one.
    #[track_caller]
    pub(crate) fn send(&self, client: &Client, server: IpAddr, size: usize) {
        let folder = folder();
        let original = folder.path().join(name(size));
        host::write(&original, host::patternless(size));
        self.send_file(client, server, &original);
    }

    /// Writes a file and compares the stored one; a previous file of that name is replaced whole.
    #[track_caller]
    pub(crate) fn send_file(&self, client: &Client, server: IpAddr, original: &Path) {
        let arrived = self.in_root(original);
        let output = self.run(client, Direction::Put, server, &arrived, original);
        // The client has received its last ACK: by now the file is stored.
        self.check_equal(&arrived, original, server, &output);
    }

    /// Asserts that the server's folder has exactly these files, with the mode of new files.
    #[track_caller]
    pub(crate) fn check_uploads(&self, sizes: &[usize]) {
        let root = self.cable.root();
        let mut expected: Vec<PathBuf> = sizes.iter().map(|&size| root.join(name(size))).collect();
        expected.sort();
        assert_eq!(host::files_in(&root), expected);
        let new = self.cable.beside().join("new");
        host::write(&new, []);
        for file in expected {
            assert_eq!(mode(&file), mode(&new) & 0o644, "{}", file.display());
        }
    }

    /// Reads an absent file, and writes one to a read-only server; the client must end soon, and no file
    /// may change.
    #[track_caller]
    pub(crate) fn be_refused(&self, client: &Client, server: IpAddr) {
        let folder = folder();
        let (fetched, original) = (
            folder.path().join("fetched"),
            folder.path().join("unwanted"),
        );
        host::write(&original, "unwanted");
        for (direction, file) in [(Direction::Get, &fetched), (Direction::Put, &original)] {
            let job = Job {
                direction,
                server,
                name: "absent",
                size: 8,
                file,
            };
            self.job(client, &job, REFUSAL);
        }
        let length = std::fs::metadata(&fetched).map_or(0, |file| file.len());
        assert_eq!(length, 0, "an absent file was read");
        assert!(host::files_in(&self.cable.root()).is_empty());
    }

    /// Runs our client with these arguments; returns its output and status.
    #[track_caller]
    pub(crate) fn tftp(&self, arguments: &str) -> (String, ExitStatus) {
        let mut command = self.cable.here.command(tests::built::binary("tftp"));
        let mut process = Process::start(command.args(arguments.split_whitespace()));
        let status = process.wait(PATIENCE);
        (process.output(), status)
    }

    /// The path of a file of this name in the server's folder.
    pub(crate) fn in_root(&self, file: &Path) -> PathBuf {
        let name = file.file_name().unwrap_or_default();
        self.cable.root().join(name)
    }

    #[track_caller]
    fn run(
        &self,
        client: &Client,
        direction: Direction,
        server: IpAddr,
        there: &Path,
        here: &Path,
    ) -> String {
        let source = match direction {
            Direction::Get => there,
            Direction::Put => here,
        };
        let length = std::fs::metadata(source).map_or(0, |file| file.len());
        let name = there.file_name().unwrap_or_default().to_string_lossy();
        let job = Job {
            direction,
            server,
            name: &name,
            size: usize::try_from(length).unwrap_or(usize::MAX),
            file: here,
        };
        self.job(client, &job, PATIENCE)
    }

    #[track_caller]
    fn job(&self, client: &Client, job: &Job<'_>, limit: Duration) -> String {
        let mut process = Process::start(&mut client.command(&self.cable.here, job));
        let ended = process.ended_within(limit);
        let (client, server) = (process.output(), self.server.output());
        assert!(
            ended.is_some(),
            "the client has not ended within {limit:?};\nclient:\n{client}\nserver:\n{server}"
        );
        client
    }

    #[track_caller]
    fn check_equal(&self, copy: &Path, original: &Path, server: IpAddr, client: &str) {
        let context = format!(
            "{} and {server}; the client wrote:\n{client}\n{}",
            original.display(),
            self.server.output()
        );
        assert!(copy.exists(), "no file: {context}");
        assert_eq!(host::sha256(copy), host::sha256(original), "{context}");
    }
}

/// The name of the file of this size.
pub(crate) fn name(size: usize) -> String {
    format!("file-{size}.bin")
}

fn mode(file: &Path) -> u32 {
    let metadata = std::fs::metadata(file).expect("the file exists");
    metadata.permissions().mode() & 0o7777
}

fn folder() -> TempDir {
    TempDir::new().expect("the system has a folder for temporary files")
}
