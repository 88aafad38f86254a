//! The hash strategies: late repetition for one destination, no information for another.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;
use std::time::Duration;

use eport_core::PortPolicy;
use eport_core::{PortRange, Quarantine, Strategy};

use crate::{Real, peer, rng};

const FIRST: u16 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The distance upwards from `from` to `to`, modulo the range.
fn steps(from: u16, to: u16, ports: u16) -> u16 {
    (to + ports - from) % ports
}

fn hashing(strategy: Strategy, ports: u16, number: u8) -> Real {
    let mut policy = PortPolicy::default();
    policy.strategy = strategy;
    policy.quarantine = Quarantine::NONE;
    let range = PortRange::new(FIRST, FIRST + ports - 1).expect("a range");
    Real::with_policy(range, policy, rng(number))
}

#[test]
fn a_destination_uses_every_port_before_one_repeats() {
    let distinct = |mut real: Real, count: usize| {
        let ports = (0..count).map(|_| real.touch_for(peer(1)));
        ports.collect::<HashSet<u16>>().len()
    };
    for strategy in [Strategy::HASH_BASED, Strategy::DOUBLE_HASH] {
        let real = hashing(strategy, 1000, 50);
        assert_eq!(distinct(real, 1000), 1000, "{strategy}");
    }
    // A key that is renewed for each draw is a known mistake of implementations.
    let rekey = SECOND;
    let mut forgetful = hashing(Strategy::HashBased { rekey }, 1000, 51);
    let ports = (0..1000).map(|_| {
        forgetful.pass(rekey);
        forgetful.touch_for(peer(1))
    });
    let seen = ports.collect::<HashSet<u16>>().len();
    assert!(seen < 700, "control: {seen}");
    let random = distinct(hashing(Strategy::Random, 1000, 52), 1000);
    assert!(random < 700, "control: {random}");
}

#[test]
fn a_sequence_is_the_same_until_the_key_is_renewed() {
    for strategy in [Strategy::HASH_BASED, Strategy::DOUBLE_HASH] {
        let mut real = hashing(strategy, 10_000, 53);
        let first = real.touch_for(peer(1));
        real.pass(SECOND * 3599);
        let kept = real.touch_for(peer(1));
        assert_eq!(steps(first, kept, 10_000), 1, "{strategy}");
        real.pass(SECOND);
        let renewed = real.touch_for(peer(1));
        assert_ne!(steps(kept, renewed, 10_000), 1, "{strategy}");
    }
}

#[test]
fn destinations_rarely_start_at_the_same_port() {
    const DESTINATIONS: u16 = 600;
    const PORTS: u16 = 16_000;
    // One counter serves all, so the n-th of them begins n ports after its offset.
    let equal_pairs = |offset: &mut dyn FnMut(u16) -> u16| {
        let mut counts: HashMap<u16, u32> = HashMap::new();
        for number in 0..DESTINATIONS {
            *counts.entry(offset(number)).or_default() += 1;
        }
        counts
            .values()
            .map(|count| count * (count - 1) / 2)
            .sum::<u32>()
    };
    let pairs = f64::from(DESTINATIONS) * f64::from(DESTINATIONS - 1) / 2.0;
    let expected = pairs / f64::from(PORTS);
    let bound = expected + 4.0 * expected.sqrt();

    let mut real = hashing(Strategy::HASH_BASED, PORTS, 54);
    let equal = equal_pairs(&mut |number| {
        let port = real.touch_for(peer(number.into()));
        steps(number, port - FIRST, PORTS)
    });
    assert!(f64::from(equal) <= bound, "{equal} pairs, bound {bound:.1}");
    // Without a key the offset is a property of the address, such as its last byte.
    let equal = equal_pairs(&mut |number| number % 256);
    assert!(f64::from(equal) > bound, "control: {equal}");
}

#[test]
fn own_ports_reveal_another_destination_as_rarely_as_the_table_allows() {
    let table = NonZeroU16::new(64).expect("not zero");
    let trials = 4000u32;
    // The attacker connects to a server of its own twice, the victim to its own once in between.
    let noticed = |strategy: Strategy| {
        let mut real = hashing(strategy, 15_000, 55);
        let mut count = 0;
        for trial in 0..trials {
            let before = real.touch_for(peer(1));
            real.touch_for(peer(1000 + trial));
            let after = real.touch_for(peer(1));
            count += u32::from(steps(before, after, 15_000) == 2);
        }
        f64::from(count) / f64::from(trials)
    };
    let share = noticed(Strategy::DoubleHash {
        table,
        rekey: AN_HOUR,
    });
    let by_chance = 1.0 / 64.0;
    let bound = by_chance + 4.0 * (by_chance / f64::from(trials)).sqrt();
    assert!(share <= bound, "{share:.4}, bound {bound:.4}");
    let share = noticed(Strategy::HASH_BASED);
    assert!(share > 0.99, "control, one counter: {share:.4}");
}

#[test]
fn a_step_is_guessed_as_rarely_as_its_length_allows() {
    let most = NonZeroU16::new(500).expect("not zero");
    let mut real = hashing(Strategy::RandomIncrements { most }, 15_000, 56);
    let draws = 50_000;
    let mut taken: HashMap<u16, u32> = HashMap::new();
    let mut last = real.touch_for(peer(1));
    for _ in 0..draws {
        let port = real.touch_for(peer(1));
        *taken.entry(steps(last, port, 15_000)).or_default() += 1;
        last = port;
    }
    assert!(taken.keys().all(|step| (1..=500).contains(step)));
    let likeliest = f64::from(*taken.values().max().expect("steps"));
    let expected = f64::from(draws) / 500.0;
    assert!(likeliest <= expected + 5.0 * expected.sqrt(), "{likeliest}");
}
