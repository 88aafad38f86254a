//! A server on one end of a cable and other people's programs on the other.

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

use crate::clients::{Client, Job, Way};

/// The ports the server may use; outside of the kernel's own range.
pub(crate) const PORTS: RangeInclusive<u16> = 61_000..=61_999;

/// For the largest file in blocks of 512 bytes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// For what is refused.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Whether the lab can be built here, with this server and this client in it; says so if not.
#[track_caller]
pub(crate) fn available(program: Program, client: &Client) -> bool {
    let programs: Vec<_> = ["ip", "tcpdump"]
        .into_iter()
        .chain(program.peer())
        .chain(client.needs().iter().copied())
        .collect();
    peers::available(&programs)
}

/// The families that a client knows.
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
    /// A server for reading, on every address.
    #[track_caller]
    pub(crate) fn reading(program: Program) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, EVERYWHERE, false)
    }

    /// A server that takes files too, on every address.
    #[track_caller]
    pub(crate) fn writing(program: Program) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, EVERYWHERE, true)
    }

    /// A server that takes files too, if it ever does, on a single address.
    #[track_caller]
    pub(crate) fn on(program: Program, address: IpAddr) -> Self {
        let cable = lab::Lab::with_servers(&ONE_OF_EACH_FAMILY);
        Self::start(program, cable, SocketAddr::new(address, 69), true)
    }

    /// A server for reading on a cable that is there.
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

    /// Watches the server's end of the cable.
    #[track_caller]
    pub(crate) fn watch(&self) -> Capture {
        Capture::start(&self.cable.there, CABLE, self.cable.beside())
    }

    /// Fetches a file of this size and compares it with the one in the server's folder.
    #[track_caller]
    pub(crate) fn fetch(&self, client: &Client, server: IpAddr, size: usize) {
        let original = self.cable.root().join(name(size));
        if !original.exists() {
            host::write(&original, host::patternless(size));
        }
        self.fetch_into_place(client, server, &original);
    }

    /// Fetches a file of the server's folder and compares it.
    #[track_caller]
    pub(crate) fn fetch_into_place(&self, client: &Client, server: IpAddr, original: &Path) {
        let folder = folder();
        let fetched = folder.path().join("fetched");
        let output = self.run(client, Way::Get, server, original, &fetched);
        self.check_equal(&fetched, original, server, &output);
    }

    /// Sends a file of this size and compares what arrived.
    #[track_caller]
    pub(crate) fn send(&self, client: &Client, server: IpAddr, size: usize) {
        let folder = folder();
        let original = folder.path().join(name(size));
        host::write(&original, host::patternless(size));
        self.send_file(client, server, &original);
    }

    /// Sends a file and compares what arrived; where one of its name was, nothing of it is left.
    #[track_caller]
    pub(crate) fn send_file(&self, client: &Client, server: IpAddr, original: &Path) {
        let arrived = self.in_root(original);
        let output = self.run(client, Way::Put, server, &arrived, original);
        // The client has heard its last ACK: now the file is there, or never.
        self.check_equal(&arrived, original, server, &output);
    }

    /// The server's folder has these files and no others, readable by those who may read new files.
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

    /// Asks for a file that is not there, and sends one to a server that takes none; the client must
    /// come back soon, and nothing has changed.
    #[track_caller]
    pub(crate) fn be_refused(&self, client: &Client, server: IpAddr) {
        let folder = folder();
        let (fetched, original) = (
            folder.path().join("fetched"),
            folder.path().join("unwanted"),
        );
        host::write(&original, "unwanted");
        for (way, file) in [(Way::Get, &fetched), (Way::Put, &original)] {
            let job = Job {
                way,
                server,
                name: "absent",
                size: 8,
                file,
            };
            self.job(client, &job, AT_ONCE);
        }
        let length = std::fs::metadata(&fetched).map_or(0, |file| file.len());
        assert_eq!(length, 0, "a file that is not there was fetched");
        assert!(host::files_in(&self.cable.root()).is_empty());
    }

    /// What our client says to these words, and how it ends.
    #[track_caller]
    pub(crate) fn tftp(&self, arguments: &str) -> (String, ExitStatus) {
        let mut command = self.cable.here.command(tests::built::binary("tftp"));
        let mut process = Process::start(command.args(arguments.split_whitespace()));
        let status = process.wait(PATIENCE);
        (process.output(), status)
    }

    /// Where the server has a file of this name.
    pub(crate) fn in_root(&self, file: &Path) -> PathBuf {
        let name = file.file_name().unwrap_or_default();
        self.cable.root().join(name)
    }

    #[track_caller]
    fn run(&self, client: &Client, way: Way, server: IpAddr, there: &Path, here: &Path) -> String {
        let source = match way {
            Way::Get => there,
            Way::Put => here,
        };
        let length = std::fs::metadata(source).map_or(0, |file| file.len());
        let name = there.file_name().unwrap_or_default().to_string_lossy();
        let job = Job {
            way,
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

/// What the file of this size is called.
pub(crate) fn name(size: usize) -> String {
    format!("file-{size}.bin")
}

fn mode(file: &Path) -> u32 {
    let metadata = std::fs::metadata(file).expect("it is there");
    metadata.permissions().mode() & 0o7777
}

fn folder() -> TempDir {
    TempDir::new().expect("the system has a folder for temporary files")
}
