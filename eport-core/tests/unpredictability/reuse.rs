//! The reuse of a port: never within its rest for the same peer, at random for others.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eport_core::PortPolicy;
use eport_core::{PortRange, Quarantine, Strategy};

use crate::{Fifo, Ports, Real, below, peer, rng, touched};

const REST: Duration = Duration::from_secs(120);

fn resting(quarantine: Quarantine, number: u8) -> Real {
    let mut policy = PortPolicy::default();
    policy.quarantine = quarantine;
    Real::with_policy(PortRange::DYNAMIC, policy, rng(number))
}

#[test]
fn no_peer_has_a_port_again_within_its_rest_in_a_million_leases() {
    // 500 a second for half an hour, by recurring peers.
    let mut real = resting(Quarantine::default(), 60);
    assert_eq!(repeats(&mut real, 1_000_000, 3000, 500, 61), 0);
    let counters = real.pool.counters();
    assert_eq!(
        (counters.quarantine_broken, counters.quarantine_shortened),
        (0, 0)
    );
    let mut control = resting(Quarantine::NONE, 60);
    assert!(repeats(&mut control, 100_000, 3000, 500, 61) > 10);
}

#[test]
fn machines_that_start_together_never_collide_with_resting_ports() {
    // A hundred peers with two hundred transfers each, in a minute.
    let mut real = resting(Quarantine::default(), 62);
    assert_eq!(repeats(&mut real, 20_000, 100, 333, 63), 0);
    let mut control = resting(Quarantine::NONE, 62);
    let collisions = repeats(&mut control, 20_000, 100, 333, 63);
    assert!(collisions > 50, "control: {collisions}");
}

#[test]
fn for_other_peers_a_port_repeats_at_random() {
    const WITHIN: usize = 1000;
    const DRAWS: usize = 40_000;
    let share = |ports: &mut dyn FnMut() -> u16| {
        let mut recent: VecDeque<u16> = VecDeque::new();
        let mut times: HashMap<u16, usize> = HashMap::new();
        let mut again = 0;
        for _ in 0..DRAWS + WITHIN {
            let port = ports();
            if recent.len() == WITHIN {
                again += usize::from(times.get(&port).is_some_and(|times| *times > 0));
                let gone = recent.pop_front().expect("full");
                *times.get_mut(&gone).expect("counted") -= 1;
            }
            recent.push_back(port);
            *times.entry(port).or_default() += 1;
        }
        again as f64 / DRAWS as f64
    };
    let by_chance = 1.0 - (1.0 - 1.0 / 16_384f64).powi(i32::try_from(WITHIN).expect("small"));
    // Consecutive draws compare nearly the same thousand, which doubles the spread.
    let bound = 8.0 * (by_chance * (1.0 - by_chance) / DRAWS as f64).sqrt();
    let mut real = Real::new(Strategy::Random, rng(64));
    let found = share(&mut || touched(&mut real, 1)[0]);
    assert!(
        (found - by_chance).abs() <= bound,
        "{found:.4}, expected {by_chance:.4} ± {bound:.4}"
    );
    let mut fifo = Fifo::new(16_384, &mut rng(65));
    let found = share(&mut || touched(&mut fifo, 1)[0]);
    assert!((found - by_chance).abs() > bound, "control: {found:.4}");
}

#[test]
fn a_port_without_a_peer_rests_for_all_peers() {
    let mut real = resting(Quarantine::default(), 66);
    let mut left: HashMap<u16, Instant> = HashMap::new();
    // 300 a second: 3000 rest at the same time, fewer than the limit.
    for lease in 0..30_000u32 {
        if lease % 300 == 0 {
            real.pass(Duration::from_secs(1));
        }
        let port = real.take();
        if let Some(left) = left.insert(port, real.now) {
            assert!(real.now - left >= Duration::from_secs(10), "{port}");
        }
        real.give_back(port);
    }
    assert_eq!(real.pool.counters().quarantine_broken, 0);
}

/// Counts ports that one of `peers` was given again within their rest, in `leases` leases that are
/// released immediately, `rate` of them per second.
fn repeats(real: &mut Real, leases: u32, peers: usize, rate: u32, number: u8) -> usize {
    let mut rng = rng(number);
    let mut left: HashMap<(u16, SocketAddr), Instant> = HashMap::new();
    let mut repeats = 0;
    for lease in 0..leases {
        if lease % rate == 0 {
            real.pass(Duration::from_secs(1));
        }
        let peer = peer(u32::try_from(below(&mut rng, peers)).expect("small"));
        let port = real.touch_for(peer);
        if let Some(left) = left.insert((port, peer), real.now) {
            repeats += usize::from(real.now - left < REST);
        }
    }
    repeats
}
