//! Every free port is equally likely, whatever is busy; and the test would notice if not.
//!
//! Draws at a fixed busy set, each released at once, so that χ² has its textbook distribution.
//! Seeds are fixed: a failure is a change of behaviour, never bad luck.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::time::Instant;

use chacha20::ChaCha8Rng;
use eport_core::pool::{Held, Pool, Rules};
use eport_core::{PortRange, Quarantine, Reserved, Space, plan, strategy};
use rand_core::SeedableRng;

/// Draws for each free port.
const DRAWS_PER_PORT: usize = 50;

#[test]
fn draws_are_uniform_over_the_free_ports_at_any_occupancy() {
    for (free, seed) in [(16_384, 1), (8192, 2), (164, 3), (16, 4)] {
        let counts = draw_from_pool(free, seed);
        let z = z_score(&counts, free);
        assert!(z.abs() <= 4.0, "{free} free ports: z = {z:.1}");
    }
}

#[test]
fn no_free_port_is_much_likelier_than_its_share_and_none_is_out_of_reach() {
    for (free, seed) in [(8192, 5), (164, 6), (16, 7)] {
        let counts = draw_from_pool(free, seed);
        let likeliest = counts.values().copied().max().expect("draws");
        let ratio = f64::from(likeliest) / expected(&counts, free);
        // The maximum over thousands of ports needs six standard deviations.
        let bound = 1.0 + 6.0 / expected(&counts, free).sqrt();
        assert!(
            ratio <= bound,
            "{free} free ports: ratio {ratio:.2}, bound {bound:.2}"
        );
        assert_eq!(counts.len(), usize::from(free), "every free port is drawn");
    }
}

#[test]
fn the_test_notices_an_allocator_that_takes_the_next_free_port() {
    // RFC 6056 §3.3.1 (algorithm 1) at half occupancy: long busy runs favour the port after them.
    let mut rng = ChaCha8Rng::from_seed([8; 32]);
    let busy = busy_ports(8192, &mut rng);
    let range = PortRange::DYNAMIC;
    let width = NonZeroU16::new(range.len()).expect("not empty");
    let mut counts = HashMap::new();
    for _ in 0..8192 * DRAWS_PER_PORT {
        let mut port = range.first() + strategy::below(&mut rng, width);
        while busy.contains(&port) {
            port = if port == range.last() {
                range.first()
            } else {
                port + 1
            };
        }
        *counts.entry(port).or_insert(0) += 1;
    }
    let z = z_score(&counts, 8192);
    assert!(z > 100.0, "z = {z:.1}");
}

#[test]
fn the_test_notices_an_allocator_that_hardly_prefers_some_ports() {
    // The remainder of a 16-bit number: the first ports come out a little more often.
    let mut rng = ChaCha8Rng::from_seed([9; 32]);
    let mut counts = HashMap::new();
    for _ in 0..8191 * DRAWS_PER_PORT * 4 {
        let number = strategy::below(&mut rng, NonZeroU16::MAX);
        *counts.entry(number % 7000).or_insert(0) += 1;
    }
    let z = z_score(&counts, 7000);
    assert!(z > 4.0, "z = {z:.1}");
}

/// How often each port came when all but `free` of the dynamic ports were busy.
fn draw_from_pool(free: u16, seed: u8) -> HashMap<u16, u32> {
    let plan = plan(&PortRange::DYNAMIC.into(), None, &Reserved::default()).expect("ports");
    let mut rules = Rules::default();
    rules.quarantine = Quarantine::NONE;
    let mut pool = Pool::new(&plan, rules, now());
    let (mut rng, space, now) = (
        ChaCha8Rng::from_seed([seed; 32]),
        Space::udp(Ipv4Addr::LOCALHOST),
        now(),
    );
    let busy = usize::from(PortRange::DYNAMIC.len() - free);
    let _busy: Vec<Held> = (0..busy)
        .map(|_| pool.draw(space, None, &mut rng, now).expect("free"))
        .collect();
    let mut counts = HashMap::new();
    for _ in 0..usize::from(free) * DRAWS_PER_PORT {
        let held = pool.draw(space, None, &mut rng, now).expect("free");
        *counts.entry(held.port()).or_insert(0) += 1;
        pool.release(held, now);
    }
    counts
}

fn busy_ports(count: usize, rng: &mut ChaCha8Rng) -> std::collections::HashSet<u16> {
    let mut busy = std::collections::HashSet::new();
    let width = NonZeroU16::new(PortRange::DYNAMIC.len()).expect("not empty");
    while busy.len() < count {
        busy.insert(PortRange::DYNAMIC.first() + strategy::below(rng, width));
    }
    busy
}

/// How often each port would come if all were drawn equally often.
fn expected(counts: &HashMap<u16, u32>, free: u16) -> f64 {
    counts.values().map(|count| f64::from(*count)).sum::<f64>() / f64::from(free)
}

/// How many standard deviations χ² lies from its mean.
fn z_score(counts: &HashMap<u16, u32>, free: u16) -> f64 {
    let expected = expected(counts, free);
    let deviation = |count: f64| (count - expected).powi(2) / expected;
    let drawn: f64 = counts
        .values()
        .map(|count| deviation(f64::from(*count)))
        .sum();
    let missing = f64::from(free) - f64::from(u32::try_from(counts.len()).expect("few ports"));
    let degrees = f64::from(free) - 1.0;
    (drawn + missing * deviation(0.0) - degrees) / (2.0 * degrees).sqrt()
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
fn now() -> Instant {
    Instant::now()
}
