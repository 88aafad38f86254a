//! Every free port is equally likely, with any set of busy ports.
//!
//! Draws at a fixed busy set, each released before the next, so that χ² has its textbook distribution.

use std::collections::{HashMap, HashSet};

use chacha20::ChaCha8Rng;
use eport_core::{PortRange, Strategy};

use crate::{Ports, Real, below, rng, touched};

#[test]
fn draws_are_uniform_over_the_free_ports_at_any_occupancy() {
    for (free, number) in [(16_384, 1), (8192, 2), (164, 3), (16, 4)] {
        let z = z_score(&counts_of(free, 50, number), free);
        assert!(z.abs() <= 4.0, "{free} free ports: z = {z:.1}");
    }
    let mut next_free = NextFree::new(8192, rng(5));
    let z = z_score(&counted(&touched(&mut next_free, 8192 * 50)), 8192);
    assert!(
        z > 100.0,
        "control, next free after a random start: z = {z:.1}"
    );
}

#[test]
fn a_modulo_bias_is_detected() {
    // The first ports are drawn a little more often.
    let mut rng = rng(6);
    let drawn: Vec<u16> = (0..8191 * 200)
        .map(|_| u16::try_from(below(&mut rng, 65_535) % 7000).expect("small"))
        .collect();
    let z = z_score(&counted(&drawn), 7000);
    assert!(z > 4.0, "z = {z:.1}");
}

#[test]
fn no_free_port_is_much_likelier_than_its_share() {
    // With 2500 draws for each port the bound is 1.12.
    let cases = [
        (8192, 50, 7),
        (1024, 2500, 16),
        (164, 2500, 8),
        (16, 2500, 9),
    ];
    for (free, each, number) in cases {
        let counts = counts_of(free, each, number);
        let (ratio, bound) = likeliest(&counts, free);
        assert!(ratio <= bound, "{free} free ports: {ratio:.2} > {bound:.2}");
    }
    let mut next_free = NextFree::new(8192, rng(10));
    let counts = counted(&touched(&mut next_free, 8192 * 50));
    let (ratio, bound) = likeliest(&counts, 8192);
    assert!(ratio > 3.0 * bound, "control: {ratio:.2}, bound {bound:.2}");
}

#[test]
fn every_free_port_is_drawn() {
    for (free, number) in [(16_384, 11), (8192, 12), (164, 13), (16, 14)] {
        assert_eq!(counts_of(free, 20, number).len(), usize::from(free));
    }
    let mut even = Even(Real::new(Strategy::Random, rng(15)).with_free(8192));
    let seen = counted(&touched(&mut even, 8192 * 20)).len();
    assert!(seen < 5000, "control: {seen} of 8192");
}

/// The number of draws of each port with all but `free` of the dynamic ports busy.
fn counts_of(free: u16, each: usize, number: u8) -> HashMap<u16, u32> {
    let mut real = Real::new(Strategy::Random, rng(number)).with_free(free);
    counted(&touched(&mut real, usize::from(free) * each))
}

fn counted(ports: &[u16]) -> HashMap<u16, u32> {
    let mut counts = HashMap::new();
    for port in ports {
        *counts.entry(*port).or_insert(0) += 1;
    }
    counts
}

/// The expected number of draws of each port.
fn expected(counts: &HashMap<u16, u32>, free: u16) -> f64 {
    counts.values().map(|count| f64::from(*count)).sum::<f64>() / f64::from(free)
}

/// The distance of χ² from its mean in standard deviations.
fn z_score(counts: &HashMap<u16, u32>, free: u16) -> f64 {
    let expected = expected(counts, free);
    let deviation = |count: f64| (count - expected).powi(2) / expected;
    let drawn: f64 = counts
        .values()
        .map(|count| deviation(f64::from(*count)))
        .sum();
    let missing = f64::from(free) - counts.len() as f64;
    let degrees = f64::from(free) - 1.0;
    (drawn + missing * deviation(0.0) - degrees) / (2.0 * degrees).sqrt()
}

/// The ratio of the likeliest port to its share, and the bound by chance.
fn likeliest(counts: &HashMap<u16, u32>, free: u16) -> (f64, f64) {
    let expected = expected(counts, free);
    let most = counts.values().copied().max().expect("draws");
    (f64::from(most) / expected, 1.0 + 6.0 / expected.sqrt())
}

/// RFC 6056 §3.3.1 (algorithm 1): a random start, and the next free port from there. Long busy runs
/// favour the port after them.
struct NextFree {
    busy: HashSet<u16>,
    rng: ChaCha8Rng,
}

impl NextFree {
    fn new(free: usize, mut rng: ChaCha8Rng) -> Self {
        let range = PortRange::DYNAMIC;
        let mut busy = HashSet::new();
        while busy.len() < usize::from(range.len()) - free {
            busy.insert(any(&mut rng));
        }
        Self { busy, rng }
    }
}

impl Ports for NextFree {
    fn take(&mut self) -> u16 {
        let mut port = any(&mut self.rng);
        while !self.busy.insert(port) {
            port = port.checked_add(1).unwrap_or(PortRange::DYNAMIC.first());
        }
        port
    }

    fn give_back(&mut self, port: u16) {
        self.busy.remove(&port);
    }
}

fn any(rng: &mut ChaCha8Rng) -> u16 {
    let range = PortRange::DYNAMIC;
    range.first() + u16::try_from(below(rng, range.len().into())).expect("small")
}

/// A control: every other port, as Linux prefers for TCP.
struct Even(Real);

impl Ports for Even {
    fn take(&mut self) -> u16 {
        loop {
            match self.0.take() {
                port if port % 2 == 0 => return port,
                port => self.0.give_back(port),
            }
        }
    }

    fn give_back(&mut self, port: u16) {
        self.0.give_back(port);
    }
}
