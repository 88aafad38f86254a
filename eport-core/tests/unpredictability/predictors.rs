//! Predictors of the next port that observe all draws and releases.

use std::collections::{BTreeSet, VecDeque};

use chacha20::ChaCha8Rng;
use eport_core::{PortRange, Strategy};

use crate::{Fifo, Ports, Real, below, rng};

const DRAWS: usize = 20_000;
const FREE: u16 = 8192;

#[test]
fn no_predictor_does_better_than_chance() {
    let mut real = Real::new(Strategy::Random, rng(30)).with_free(FREE);
    let busy = real
        .held
        .iter()
        .map(eport_core::pool::PoolLease::port)
        .collect();
    for (name, hits) in watched(&mut real, busy, rng(31)).rates() {
        assert!(hits <= bound(), "{name}: {hits:.5}, bound {:.5}", bound());
    }
}

#[test]
fn every_predictor_succeeds_against_its_control() {
    let rate = |hits: Hits, wanted: &str| {
        let rates = hits.rates();
        let found = rates.iter().find(|(name, _)| *name == wanted);
        found.expect("a predictor").1
    };
    let sequential = |number| {
        let mut real = Real::new(Strategy::Sequential, rng(number)).with_free(FREE);
        let busy = real
            .held
            .iter()
            .map(eport_core::pool::PoolLease::port)
            .collect();
        watched(&mut real, busy, rng(number + 1))
    };
    let next = rate(sequential(32), "next free after the last");
    assert!(next > 0.99, "sequential: {next:.3}");
    assert!(rate(sequential(34), "last + 1") > 0.3, "sequential");

    let mut fifo = Fifo::new(FREE.into(), &mut rng(36));
    let out: BTreeSet<u16> = fifo.0.iter().copied().collect();
    let busy = PortRange::DYNAMIC.iter().filter(|port| !out.contains(port));
    let longest = rate(
        watched(&mut fifo, busy.collect(), rng(37)),
        "longest released",
    );
    assert!(
        longest > 0.5,
        "queue, once every port has been seen: {longest:.3}"
    );

    let mut lowest = Sorted((49_152..).take(FREE.into()).collect(), BTreeSet::pop_first);
    let busy: Vec<u16> = (49_152..=65_535).skip(FREE.into()).collect();
    let hits = rate(watched(&mut lowest, busy.clone(), rng(38)), "lowest free");
    assert!(hits > 0.99, "lowest first: {hits:.3}");
    let mut highest = Sorted((49_152..).take(FREE.into()).collect(), BTreeSet::pop_last);
    let hits = rate(watched(&mut highest, busy.clone(), rng(39)), "highest free");
    assert!(hits > 0.99, "highest first: {hits:.3}");

    let mut stack = Stack((49_152..).take(FREE.into()).collect());
    let hits = rate(watched(&mut stack, busy, rng(40)), "last released");
    assert!(hits > 0.99, "stack: {hits:.3}");
}

/// The upper bound for hits by chance.
fn bound() -> f64 {
    let (free, draws) = (f64::from(FREE), DRAWS as f64);
    1.0 / free + 4.0 * (1.0 / (free * draws)).sqrt()
}

/// Keeps the busy set at its size: each step releases a random port, and the predictors guess the one
/// that is drawn next.
fn watched(ports: &mut impl Ports, mut busy: Vec<u16>, mut rng: ChaCha8Rng) -> Hits {
    let mut seen = Seen::new(&busy);
    let mut hits = Hits::default();
    for _ in 0..DRAWS {
        let released = busy.swap_remove(below(&mut rng, busy.len()));
        ports.give_back(released);
        seen.released(released);
        let guesses = seen.guesses();
        let port = ports.take();
        for (hits, (_, guess)) in hits.0.iter_mut().zip(guesses) {
            *hits += usize::from(guess == Some(port));
        }
        seen.taken(port);
        busy.push(port);
    }
    hits
}

/// The number of hits of each predictor.
#[derive(Default)]
struct Hits([usize; 9]);

impl Hits {
    fn rates(&self) -> Vec<(&'static str, f64)> {
        let names = Seen::new(&[]).guesses();
        let rates = self.0.iter().map(|hits| *hits as f64 / DRAWS as f64);
        names.iter().map(|(name, _)| *name).zip(rates).collect()
    }
}

/// The observations: every draw and release.
struct Seen {
    free: BTreeSet<u16>,
    /// Released ports that were not drawn since, the oldest first.
    released: VecDeque<u16>,
    last: u16,
    before: u16,
}

impl Seen {
    fn new(busy: &[u16]) -> Self {
        let busy: BTreeSet<u16> = busy.iter().copied().collect();
        let free = PortRange::DYNAMIC.iter();
        let free = free.filter(|port| !busy.contains(port)).collect();
        Self {
            free,
            released: VecDeque::new(),
            last: 0,
            before: 0,
        }
    }

    fn released(&mut self, port: u16) {
        self.free.insert(port);
        self.released.push_back(port);
    }

    fn taken(&mut self, port: u16) {
        self.free.remove(&port);
        // Drawn ports are dropped at both ends of the queue, which are the only ones used.
        self.released.retain(|released| *released != port);
        self.before = self.last;
        self.last = port;
    }

    fn guesses(&self) -> [(&'static str, Option<u16>); 9] {
        let (last, free) = (self.last, &self.free);
        let next = || free.range(last..).next().or_else(|| free.first());
        let linear = last.wrapping_mul(2).wrapping_sub(self.before);
        [
            ("last + 1", Some(last.wrapping_add(1))),
            ("last - 1", Some(last.wrapping_sub(1))),
            ("last + 2", Some(last.wrapping_add(2))),
            ("the same step again", Some(linear)),
            ("last released", self.released.back().copied()),
            ("longest released", self.released.front().copied()),
            ("next free after the last", next().copied()),
            ("lowest free", free.first().copied()),
            ("highest free", free.last().copied()),
        ]
    }
}

/// A control: always the lowest free port, or always the highest.
struct Sorted(BTreeSet<u16>, fn(&mut BTreeSet<u16>) -> Option<u16>);

impl Ports for Sorted {
    fn take(&mut self) -> u16 {
        (self.1)(&mut self.0).expect("free")
    }

    fn give_back(&mut self, port: u16) {
        self.0.insert(port);
    }
}

/// A control: always the port released last.
struct Stack(Vec<u16>);

impl Ports for Stack {
    fn take(&mut self) -> u16 {
        self.0.pop().expect("free")
    }

    fn give_back(&mut self, port: u16) {
        self.0.push(port);
    }
}
