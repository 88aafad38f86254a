//! A server, a client and a link between them, run until no event is left.

use std::time::{Duration, Instant};

use tests::link::{self, Path, Rng};
use tftpd::proto::{Outcome, Packet};

use crate::{
    client::{Client, FILE},
    own_client::OwnClient,
    scenario::{PrintOnPanic, Scenario},
    server::{Ended, Port, Ports, Send, Server},
};

/// No run lasts longer, in virtual time.
const LONGEST: Duration = Duration::from_secs(900);

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

/// One end of the link.
pub(crate) trait Node {
    /// Processes a datagram that was sent from or to `port` of the server.
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>);

    /// Processes an ICMP error: the port that was written to is closed.
    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>);

    /// Processes the expiry of [`deadline`](Self::deadline).
    fn tick(&mut self, now: Instant, send: Send<'_>);

    /// The next call of [`tick`](Self::tick).
    fn deadline(&self) -> Option<Instant>;

    /// Returns true if a datagram from or to `port` of the server meets an open port here.
    fn is_listening(&self, port: Port) -> bool;
}

impl<C: Client> Node for C {
    fn receive(&mut self, port: Port, datagram: &[u8], now: Instant, send: Send<'_>) {
        Client::receive(self, port, datagram, now, send);
    }

    fn unreachable(&mut self, port: Port, now: Instant, send: Send<'_>) {
        Client::unreachable(self, port, now, send);
    }

    fn tick(&mut self, now: Instant, send: Send<'_>) {
        Client::tick(self, now, send);
    }

    fn deadline(&self) -> Option<Instant> {
        Client::deadline(self)
    }

    fn is_listening(&self, _: Port) -> bool {
        Client::is_listening(self)
    }
}

/// A datagram to or from a port of the server, or the ICMP error in answer to one.
#[derive(Clone, Debug)]
struct Parcel {
    port: Port,
    /// `None` is the ICMP error "port unreachable".
    datagram: Option<Vec<u8>>,
}

/// The number of packets sent, by kind.
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
            other => panic!("a packet without a case here: {other:?}"),
        }
    }
}

/// The results of a run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The server's transfers, in the order in which they ended.
    pub(crate) transfers: Vec<Ended>,
    pub(crate) tally: Tally,
    /// The time until the client ended.
    pub(crate) client_took: Duration,
    /// The time until no event was left.
    pub(crate) took: Duration,
}

impl Report {
    /// The outcomes of the server's transfers.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let transfers = self.transfers.iter();
        transfers.map(|ended| ended.outcome.clone()).collect()
    }

    /// The time for which the server continued after the client.
    pub(crate) fn lingered(&self) -> Duration {
        self.took.saturating_sub(self.client_took)
    }

    /// At most twice the packets that a window protocol sends over such a link on average, and a few
    /// windows.
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

/// A read: the client's result and the report.
pub(crate) struct Fetched {
    pub(crate) complete: bool,
    pub(crate) report: Report,
}

/// Reads the file with the project's own client; asserts the invariants of every run.
pub(crate) fn fetch(scenario: &Scenario) -> Fetched {
    fetch_with(scenario, |now| {
        OwnClient::get(scenario.options(), jitter_seed(scenario, 1), now)
    })
}

/// Reads the file with the client that `make` makes; asserts the invariants of every run: both sides
/// end, no port is held, the received bytes are a prefix of the file, and a client that reports
/// completion has all of it.
pub(crate) fn fetch_with<C: Client>(
    scenario: &Scenario,
    make: impl FnOnce(Instant) -> C,
) -> Fetched {
    run(scenario, make, |_, client, report| {
        let file = scenario.file();
        let complete = client.is_complete();
        assert!(file.starts_with(client.file()), "foreign bytes");
        assert!(!complete || *file == *client.file(), "bytes are missing");
        Fetched { complete, report }
    })
}

/// A write: the client's result, the server's, and the report.
pub(crate) struct Upload {
    pub(crate) confirmed: bool,
    pub(crate) stored: bool,
    pub(crate) report: Report,
}

/// Writes the file with the project's own client; asserts the invariants of every run.
pub(crate) fn store(scenario: &Scenario) -> Upload {
    store_with(scenario, |now| put(scenario, now))
}

/// The project's own client, about to write the file of `scenario`.
pub(crate) fn put(scenario: &Scenario, now: Instant) -> OwnClient {
    OwnClient::put(
        scenario.options_to_write(),
        jitter_seed(scenario, 1),
        scenario.file(),
        now,
    )
}

/// Writes the file with the client that `make` makes; asserts the invariants of every run: both sides
/// end, no port is held, a stored file is the whole file, and a client that reports completion is
/// right.
pub(crate) fn store_with<C: Client>(
    scenario: &Scenario,
    make: impl FnOnce(Instant) -> C,
) -> Upload {
    run(scenario, make, |stored, client, report| {
        let file = scenario.file();
        let confirmed = client.is_complete();
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
    })
}

/// Runs a scenario; asserts that no port is held, and passes the stored files, the client and the
/// report to `judge`.
fn run<C: Client, T>(
    scenario: &Scenario,
    make: impl FnOnce(Instant) -> C,
    judge: impl FnOnce(&[Vec<u8>], &C, Report) -> T,
) -> T {
    let _print = PrintOnPanic(scenario);
    let ports = Ports::new();
    let mut world = World::new(scenario, || ports.take(), make);
    let report = world.run();
    assert_eq!(ports.held(), 0, "a port is still leased");
    assert_eq!(ports.taken(), report.transfers.len() as u64);
    judge(&world.server.stored, &world.client, report)
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

    /// Processes events until none is left.
    pub(crate) fn run(&mut self) -> Report {
        while let Some(at) = self.next_event() {
            self.now = self.now.max(at);
            assert!(self.elapsed() < LONGEST, "the run does not end");
            self.step();
            if self.client_ended.is_none() && !Client::is_listening(&self.client) {
                self.client_ended = Some(self.elapsed());
            }
        }
        Report {
            transfers: self.server.ended.clone(),
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
            self.client_deadline(),
            self.server.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn client_deadline(&self) -> Option<Instant> {
        Client::deadline(&self.client)
    }

    /// Processes one event: arrivals before timers.
    fn step(&mut self) {
        let Self {
            now,
            up,
            down,
            tally,
            ..
        } = self;
        let now = *now;
        if let Some(parcel) = up.receive(now) {
            let icmp = self.scenario.icmp;
            deliver(
                &mut self.server,
                &parcel,
                icmp,
                &mut Back {
                    path: down,
                    tally,
                    now,
                },
            );
        } else if let Some(parcel) = down.receive(now) {
            let icmp = self.scenario.icmp;
            deliver(
                &mut self.client,
                &parcel,
                icmp,
                &mut Back {
                    path: up,
                    tally,
                    now,
                },
            );
        } else if Client::deadline(&self.client).is_some_and(|at| at <= now) {
            let mut back = Back {
                path: up,
                tally,
                now,
            };
            Client::tick(&mut self.client, now, &mut |port, bytes| {
                back.send(port, bytes);
            });
        } else {
            let mut back = Back {
                path: down,
                tally,
                now,
            };
            self.server
                .tick(now, &mut |port, bytes| back.send(port, bytes));
        }
    }
}

/// The direction from a node to the other one.
struct Back<'a> {
    path: &'a mut Path<Parcel>,
    tally: &'a mut Tally,
    now: Instant,
}

impl Back<'_> {
    fn send(&mut self, port: Port, bytes: Vec<u8>) {
        self.tally.note(&bytes);
        assert!(self.tally.total() < 5_000_000, "datagrams without bound");
        let parcel = Parcel {
            port,
            datagram: Some(bytes),
        };
        self.path.send(self.now, parcel);
    }
}

/// Passes a parcel to the node it was sent to; with `icmp`, a closed port answers with an error.
fn deliver(node: &mut impl Node, parcel: &Parcel, icmp: bool, back: &mut Back<'_>) {
    let (port, now) = (parcel.port, back.now);
    match &parcel.datagram {
        None => node.unreachable(port, now, &mut |port, bytes| back.send(port, bytes)),
        Some(datagram) if node.is_listening(port) => {
            node.receive(port, datagram, now, &mut |port, bytes| {
                back.send(port, bytes);
            });
        }
        Some(_) if icmp => {
            let error = Parcel {
                port,
                datagram: None,
            };
            back.path.send(now, error);
        }
        Some(_) => {}
    }
}
