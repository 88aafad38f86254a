//! A server, a client and a link between them, until nothing is left to happen.

use std::time::{Duration, Instant};

use tests::link::{self, Path, Rng};
use tftpd::proto::{Input, Packet};

use crate::{
    client::{Client, FILE, Get},
    put::Put,
    scenario::{Blame, Scenario},
    server::{Ended, Port, Ports, Server},
};

/// No run lasts longer, in virtual time.
const LAST_CALL: Duration = Duration::from_secs(900);

/// One run.
pub(crate) struct World<C, L, R> {
    scenario: Scenario,
    start: Instant,
    now: Instant,
    pub(crate) server: Server<L, R>,
    pub(crate) client: C,
    up: Path<Parcel>,
    down: Path<Parcel>,
    tally: Tally,
    client_ended: Option<Duration>,
}

/// What travels: a datagram to or from a port of the server, or word of the host that it comes
/// from that nobody listens there.
#[derive(Clone, Debug)]
struct Parcel {
    port: Port,
    /// Nothing is ICMP's word for it.
    datagram: Option<Vec<u8>>,
}

impl Parcel {
    /// Nobody listens on `port`, or on the client's port that `port` wrote to.
    fn closed(port: Port) -> Self {
        Self {
            port,
            datagram: None,
        }
    }
}

/// How many packets were sent, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) data: u64,
    pub(crate) data_bytes: u64,
    pub(crate) acks: u64,
    pub(crate) oacks: u64,
    pub(crate) errors: u64,
}

impl Tally {
    pub(crate) fn total(&self) -> u64 {
        self.requests + self.data + self.acks + self.oacks + self.errors
    }

    fn note(&mut self, datagram: &[u8]) {
        match Packet::decode(datagram).expect("both sides send packets") {
            Packet::Request(_) => self.requests += 1,
            Packet::Data(data) => {
                self.data += 1;
                self.data_bytes += data.payload.len() as u64;
            }
            Packet::Ack(_) => self.acks += 1,
            Packet::Oack(_) => self.oacks += 1,
            Packet::Error(_) => self.errors += 1,
            other => panic!("a packet the suite does not know: {other:?}"),
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The server's sessions, in the order in which they ended.
    pub(crate) sessions: Vec<Ended>,
    pub(crate) tally: Tally,
    /// When the client was done.
    pub(crate) client_took: Duration,
    /// When nothing was left to happen.
    pub(crate) took: Duration,
}

impl Report {
    /// How long the server went on when the client was done.
    pub(crate) fn lingered(&self) -> Duration {
        self.took.saturating_sub(self.client_took)
    }

    /// No more than twice of what the defects cost a window protocol on average, and a few windows.
    #[track_caller]
    pub(crate) fn assert_bounded(&self, scenario: &Scenario) {
        let tally = self.tally;
        let slack = 8 * u64::from(scenario.window) + 20;
        let most = 2 * scenario.expected_data() + slack;
        assert!(tally.data <= most, "{} > {most}: {scenario:#?}", tally.data);
        let most = 2 * most / u64::from(scenario.window) + tally.data + slack;
        assert!(tally.acks <= most, "{} > {most}: {scenario:#?}", tally.acks);
        assert!(
            tally.requests + tally.oacks + tally.errors <= 80,
            "{tally:?}: {scenario:#?}"
        );
    }
}

/// Whether the client has the file, and what came of the run.
pub(crate) struct Fetched {
    pub(crate) complete: bool,
    pub(crate) report: Report,
}

/// Fetches a file with the project's own receiver; asserts what is true of every run.
pub(crate) fn fetch(scenario: &Scenario) -> Fetched {
    fetch_with(scenario, |now| {
        Get::new(scenario.asked(), jitter_seed(scenario, 1), now)
    })
}

/// Fetches a file with the client that `make` makes; asserts what is true of every run: both sides
/// end, nothing is held, what arrived is the beginning of the file, and who says that it is complete
/// is right.
pub(crate) fn fetch_with<C: Client>(
    scenario: &Scenario,
    make: impl FnOnce(Instant) -> C,
) -> Fetched {
    let _blame = Blame(scenario);
    let ports = Ports::new();
    let mut world = World::new(scenario, || ports.take(), make);
    let report = world.run();
    assert_eq!(ports.held(), 0, "a port is still leased");
    assert_eq!(ports.taken(), report.sessions.len() as u64);

    let file = scenario.file();
    let complete = world.client.is_complete();
    assert!(file.starts_with(world.client.file()), "foreign bytes");
    assert!(
        !complete || *file == *world.client.file(),
        "bytes are missing"
    );
    Fetched { complete, report }
}

/// Whether the client knows that its file is stored, whether it is, and what came of the run.
pub(crate) struct Upload {
    pub(crate) confirmed: bool,
    pub(crate) stored: bool,
    pub(crate) report: Report,
}

/// Stores a file with the project's own sender; asserts what is true of every run.
pub(crate) fn store(scenario: &Scenario) -> Upload {
    store_with(scenario, |now| put(scenario, now))
}

/// The project's own sender with the file of `scenario`.
pub(crate) fn put(scenario: &Scenario, now: Instant) -> Put {
    Put::new(
        scenario.announced(),
        jitter_seed(scenario, 1),
        scenario.file(),
        now,
    )
}

/// Stores a file with the client that `make` makes; asserts what is true of every run: both sides
/// end, nothing is held, what is stored is the whole file, and who says that it is stored is right.
pub(crate) fn store_with<C: Client>(
    scenario: &Scenario,
    make: impl FnOnce(Instant) -> C,
) -> Upload {
    let _blame = Blame(scenario);
    let ports = Ports::new();
    let mut world = World::new(scenario, || ports.take(), make);
    let report = world.run();
    assert_eq!(ports.held(), 0, "a port is still leased");
    assert_eq!(ports.taken(), report.sessions.len() as u64);

    let file = scenario.file();
    let (stored, confirmed) = (&world.server.stored, world.client.is_complete());
    assert!(stored.len() <= 1, "stored {} times", stored.len());
    assert!(
        stored.iter().all(|stored| *file == **stored),
        "not the file"
    );
    assert!(!confirmed || !stored.is_empty(), "nothing is stored");
    Upload {
        confirmed,
        stored: !stored.is_empty(),
        report,
    }
}

fn jitter_seed(scenario: &Scenario, stream: u64) -> u32 {
    let drawn = Rng::new(scenario.seed.wrapping_add(stream << 32)).draw();
    u32::try_from(drawn >> 32).unwrap_or(1)
}

impl<C: Client, L: FnMut() -> Option<R>, R> World<C, L, R> {
    pub(crate) fn new(scenario: &Scenario, lease: L, make: impl FnOnce(Instant) -> C) -> Self {
        let start = link::beginning();
        let mut seeds = Rng::new(scenario.seed);
        let mut server = Server::new(lease, jitter_seed(scenario, 0));
        server.add(FILE, scenario.file());
        Self {
            scenario: scenario.clone(),
            start,
            now: start,
            server,
            client: make(start),
            up: Path::new(scenario.up, seeds.draw()),
            down: Path::new(scenario.down, seeds.draw()),
            tally: Tally::default(),
            client_ended: None,
        }
    }

    /// Lets things happen until there is nothing left.
    pub(crate) fn run(&mut self) -> Report {
        while let Some(at) = self.next_event() {
            self.now = self.now.max(at);
            assert!(self.elapsed() < LAST_CALL, "it does not end");
            self.step();
            if self.client_ended.is_none() && !self.client.is_listening() {
                self.client_ended = Some(self.elapsed());
            }
        }
        Report {
            sessions: self.server.ended.clone(),
            tally: self.tally,
            client_took: self.client_ended.unwrap_or(self.elapsed()),
            took: self.elapsed(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn next_event(&self) -> Option<Instant> {
        [
            self.up.next_arrival(),
            self.down.next_arrival(),
            self.client.deadline(),
            self.server.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// One thing happens: what arrives comes before what is due.
    fn step(&mut self) {
        if let Some(parcel) = self.up.receive(self.now) {
            self.reach_server(&parcel);
        } else if let Some(parcel) = self.down.receive(self.now) {
            self.reach_client(&parcel);
        } else if self.client.deadline().is_some_and(|at| at <= self.now) {
            self.with_client(|client, now, send| client.tick(now, send));
        } else {
            self.with_server(|server, now, send| server.tick(now, send));
        }
    }

    fn reach_server(&mut self, parcel: &Parcel) {
        let Some(datagram) = &parcel.datagram else {
            self.with_server(|server, now, send| {
                server.input(parcel.port, Input::Unreachable, now, send);
            });
            return;
        };
        if self.server.is_listening(parcel.port) {
            self.with_server(|server, now, send| server.receive(parcel.port, datagram, now, send));
        } else if self.scenario.icmp {
            self.down.send(self.now, Parcel::closed(parcel.port));
        }
    }

    fn reach_client(&mut self, parcel: &Parcel) {
        let Some(datagram) = &parcel.datagram else {
            self.with_client(|client, now, send| client.unreachable(parcel.port, now, send));
            return;
        };
        if self.client.is_listening() {
            self.with_client(|client, now, send| client.receive(parcel.port, datagram, now, send));
        } else if self.scenario.icmp {
            self.up.send(self.now, Parcel::closed(parcel.port));
        }
    }

    fn with_client(&mut self, act: impl FnOnce(&mut C, Instant, &mut dyn FnMut(Port, Vec<u8>))) {
        let Self { up, tally, now, .. } = self;
        act(&mut self.client, *now, &mut |port, bytes| {
            carry(up, tally, *now, port, bytes);
        });
    }

    fn with_server(
        &mut self,
        act: impl FnOnce(&mut Server<L, R>, Instant, &mut dyn FnMut(Port, Vec<u8>)),
    ) {
        let Self {
            down, tally, now, ..
        } = self;
        act(&mut self.server, *now, &mut |port, bytes| {
            carry(down, tally, *now, port, bytes);
        });
    }
}

fn carry(path: &mut Path<Parcel>, tally: &mut Tally, now: Instant, port: Port, bytes: Vec<u8>) {
    tally.note(&bytes);
    assert!(tally.total() < 5_000_000, "datagrams without bound");
    let parcel = Parcel {
        port,
        datagram: Some(bytes),
    };
    path.send(now, parcel);
}
