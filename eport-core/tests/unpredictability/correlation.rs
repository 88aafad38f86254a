//! Correlation of a port with later ones, and with those in other spaces.

use std::net::Ipv4Addr;

use eport_core::{
    Allocator, Lease, PortPolicy, PortSpec, Protocol, Reserved, Space, Strategy, plan,
};

use crate::{Real, rng, space, touched};

const DRAWS: usize = 40_000;

#[test]
fn draws_do_not_depend_on_those_before_them() {
    let bound = 4.0 / (DRAWS as f64).sqrt();
    let mut real = Real::new(Strategy::Random, rng(20)).with_free(8192);
    let drawn = touched(&mut real, DRAWS);
    for lag in 1..=8 {
        let r = correlation(&drawn[lag..], &drawn[..DRAWS - lag]);
        assert!(r.abs() <= bound, "lag {lag}: r = {r:.4}, bound {bound:.4}");
    }
    let mut stepping = Real::new(Strategy::RANDOM_INCREMENTS, rng(21)).with_free(8192);
    let drawn = touched(&mut stepping, DRAWS);
    let r = correlation(&drawn[1..], &drawn[..DRAWS - 1]);
    assert!(r > 0.5, "control, random steps forward: r = {r:.4}");
}

#[test]
fn draws_in_one_space_are_independent_of_another() {
    let bound = 4.0 / (DRAWS as f64).sqrt();
    let other_spaces = [
        Space::new(Protocol::Tcp, Ipv4Addr::LOCALHOST),
        Space::udp(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    for other in other_spaces {
        let (here, there) = alternating(Strategy::Random, other);
        let r = correlation(&here, &there);
        assert!(r.abs() <= bound, "{other}: r = {r:.4}, bound {bound:.4}");
    }
    // Each space has its own counters and start, even if both count upwards.
    let tcp = other_spaces[0];
    let (here, there) = alternating(Strategy::RANDOM_INCREMENTS, tcp);
    let distance = |(a, b): (&u16, &u16)| a.abs_diff(*b);
    let near = here
        .iter()
        .zip(&there)
        .map(distance)
        .filter(|far| *far < 500);
    assert!(near.count() < DRAWS / 4, "the sequences are not parallel");

    let twins = [(); 2].map(|()| touched(&mut Real::new(Strategy::Random, rng(22)), DRAWS));
    let r = correlation(&twins[0], &twins[1]);
    assert!(r > 0.9, "control, one seed for both: r = {r:.4}");
}

#[test]
fn two_starts_have_no_sequence_in_common() {
    let first_ports = |policy: PortPolicy| -> Vec<u16> {
        let spec: PortSpec = "49152-65535".parse().expect("a range");
        let plan = plan(&spec, None, &Reserved::default()).expect("ports");
        let allocator = Allocator::new(plan, policy).expect("a seed");
        let leases: Vec<_> = (0..8)
            .map(|_| allocator.claim(space(), None, |_| Ok(())).expect("free"))
            .collect();
        leases.iter().map(Lease::port).collect()
    };
    // Without a given seed the system provides one. Two of eight equal by chance: 1 in 10 million.
    let (one, other) = (
        first_ports(PortPolicy::default()),
        first_ports(PortPolicy::default()),
    );
    let equal = one.iter().zip(&other).filter(|(one, other)| one == other);
    assert!(equal.count() < 2, "{one:?} and {other:?}");
    let seeded = || first_ports(PortPolicy::seeded([1; 32]));
    assert_eq!(seeded(), seeded(), "control, one seed for both");
}

/// Draws in the usual space and in `other`, alternating.
fn alternating(strategy: Strategy, other: Space) -> (Vec<u16>, Vec<u16>) {
    let mut real = Real::new(strategy, rng(23));
    let mut draw = |space| {
        let held = real.pool.draw(space, None, &mut real.rng, real.now);
        let held = held.expect("free");
        let port = held.port();
        real.pool.release(held, real.now);
        port
    };
    (0..DRAWS).map(|_| (draw(space()), draw(other))).unzip()
}

/// Pearson's coefficient.
fn correlation(xs: &[u16], ys: &[u16]) -> f64 {
    let mean = |values: &[u16]| {
        let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
        sum / values.len() as f64
    };
    let (mean_x, mean_y) = (mean(xs), mean(ys));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in xs.iter().zip(ys) {
        let (x, y) = (f64::from(*x) - mean_x, f64::from(*y) - mean_y);
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    xy / (xx * yy).sqrt()
}
