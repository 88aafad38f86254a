//! A server and its clients, each in a namespace, on one processor.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tests::host;
use tests::netns::Netns;
use tests::process::Process;

use crate::load::{self, Load, Moment, Tally};
use crate::usage::{Group, Memory};

/// The address of the listener.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 90, 0, 1)), 69);

/// The address of a single client.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);

/// The limit for a server to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server to measure.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// A shell command with `{root}`, `{ip}` and `{port}` in it; it stays in the foreground.
    pub(crate) command: String,
}

/// The results of a load, and the resources that the server used.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) cpu: Duration,
    /// The number of silent clients with an open transfer, and the memory added for them.
    pub(crate) held: Option<(u64, Memory)>,
}

/// A freshly started server. Dropping this value stops it.
#[derive(Debug)]
pub(crate) struct Lab {
    clients: Netns,
    server: Process,
    _home: Netns,
}

impl Lab {
    /// Starts a server for the files below `root`, at the other end of a cable from its clients.
    ///
    /// # Panics
    /// When it does not listen within the limit.
    pub(crate) fn new(peer: &Peer, root: &Path, mtu: u16) -> Self {
        let (home, clients) = (Netns::new(), Netns::new());
        home.cable(&clients, "wire");
        home.address("wire", SERVER.ip(), 30);
        clients.address("wire", CLIENT.into(), 30);
        for end in [&home, &clients] {
            end.ip(&format!("link set wire mtu {mtu}"));
        }
        home.ip(&format!("route add 10.91.0.0/16 via {CLIENT}"));
        clients.ip("route add local 10.91.0.0/16 dev lo");
        let command = peer
            .command
            .replace("{root}", &root.display().to_string())
            .replace("{ip}", "0.0.0.0")
            .replace("{port}", &SERVER.port().to_string());
        // Output is discarded: waking a reader would be part of the measurement.
        let server = Process::start(
            home.command("taskset")
                .args(["-c", "0", "sh", "-c"])
                .arg(format!("exec {command} </dev/null >/dev/null 2>&1")),
        );
        let listens = || home.udp_ports().contains(&SERVER.port());
        assert!(
            host::wait_until(PATIENCE, listens),
            "{} does not listen; it was started as: {command}",
            peer.name
        );
        Self {
            clients,
            server,
            _home: home,
        }
    }

    /// The id of the server's first process.
    pub(crate) fn server_id(&self) -> u32 {
        self.server.id()
    }

    /// Runs the clients on the server's processor: waking another one costs more than the work itself.
    pub(crate) fn run(&self, load: Load<'_>) -> Measured {
        let group = Group(self.server.id());
        let (mut before, mut after, mut idle, mut paused) = Default::default();
        let tally = self.clients.enter(|| {
            let mut first = CpuSet::new();
            first.set(0).expect("there is a first processor");
            sched_setaffinity(Pid::from_raw(0), &first).expect("the first processor is allowed");
            load::run(load, |moment| match moment {
                Moment::Ready => (before, idle) = (group.cpu(), group.memory()),
                Moment::Paused(held) => paused = Some((held, group.memory())),
                Moment::Over => after = group.cpu(),
            })
        });
        let cpu: Duration = after;
        Measured {
            tally,
            cpu: cpu.saturating_sub(before),
            held: paused.map(|(held, memory): (u64, Memory)| (held, memory.since(idle))),
        }
    }
}
