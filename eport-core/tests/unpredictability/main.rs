//! The information that observed ports give about the next one.
//!
//! Every test runs against the pool, and against a control that is biased on purpose and must fail.
//! Bounds lie four standard deviations away (six for a maximum over many ports), and seeds are fixed:
//! a failure is a change of behaviour, not bad luck. `EPORT_TEST_SEED=7` tries another set of seeds;
//! then about one run in some hundred may fail without a fault.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use the environment directly"
)]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

mod correlation;
mod hash;
mod predictors;
mod reuse;
mod uniformity;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use eport_core::pool::{Pool, PoolLease};
use eport_core::{PortPolicy, PortRange, Quarantine, Reserved, Space, Strategy, plan};
use rand_core::SeedableRng;

/// The generator of one test; each has its own number.
fn rng(number: u8) -> ChaCha8Rng {
    let other = std::env::var_os("EPORT_TEST_SEED");
    let other: u8 = other
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or(0);
    let mut seed = [number; 32];
    seed[31] = other;
    ChaCha8Rng::from_seed(seed)
}

fn space() -> Space {
    Space::udp(Ipv4Addr::LOCALHOST)
}

fn peer(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 4000))
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    let bound = u16::try_from(bound).ok().and_then(NonZeroU16::new);
    eport_core::below(rng, bound.expect("1 to 65535")).into()
}

/// A source of ports: the pool, or a control.
trait Ports {
    fn take(&mut self) -> u16;
    fn give_back(&mut self, port: u16);
}

/// The pool with its leases.
struct Real {
    pool: Pool,
    rng: ChaCha8Rng,
    now: Instant,
    held: Vec<PoolLease>,
}

impl Real {
    /// A pool of all dynamic ports, free, and without rests.
    fn new(strategy: Strategy, rng: ChaCha8Rng) -> Self {
        let mut policy = PortPolicy::default();
        policy.strategy = strategy;
        policy.quarantine = Quarantine::NONE;
        Self::with_policy(PortRange::DYNAMIC, policy, rng)
    }

    fn with_policy(range: PortRange, policy: PortPolicy, rng: ChaCha8Rng) -> Self {
        let plan = plan(&range.into(), None, &Reserved::default()).expect("ports");
        let now = start();
        Self {
            pool: Pool::new(&plan, policy, now),
            rng,
            now,
            held: Vec::new(),
        }
    }

    /// Leases random ports until `free` ones are left.
    fn with_free(mut self, free: u16) -> Self {
        for _ in free..PortRange::DYNAMIC.len() {
            self.take();
        }
        self
    }

    fn take_for(&mut self, peer: SocketAddr) -> u16 {
        let held = self
            .pool
            .draw(space(), Some(peer), &mut self.rng, self.now)
            .expect("free");
        self.keep(held)
    }

    /// Draws a port and releases it.
    fn touch_for(&mut self, peer: SocketAddr) -> u16 {
        let port = self.take_for(peer);
        self.give_back(port);
        port
    }

    fn keep(&mut self, held: PoolLease) -> u16 {
        let port = held.port();
        self.held.push(held);
        port
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

impl Ports for Real {
    fn take(&mut self) -> u16 {
        let held = self.pool.draw(space(), None, &mut self.rng, self.now);
        self.keep(held.expect("free"))
    }

    fn give_back(&mut self, port: u16) {
        // The released port is nearly always the one taken last.
        let at = self.held.iter().rposition(|held| held.port() == port);
        let held = self.held.swap_remove(at.expect("it was taken"));
        self.pool.release(held, self.now);
    }
}

/// A queue of ports: taken at one end and released at the other.
struct Fifo(std::collections::VecDeque<u16>);

impl Fifo {
    /// The dynamic ports, shuffled once, with all but `free` of them taken.
    fn new(free: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut ports: Vec<u16> = PortRange::DYNAMIC.iter().collect();
        for at in (1..ports.len()).rev() {
            ports.swap(at, below(rng, at + 1));
        }
        ports.truncate(free);
        Self(ports.into())
    }
}

impl Ports for Fifo {
    fn take(&mut self) -> u16 {
        self.0.pop_front().expect("free")
    }

    fn give_back(&mut self, port: u16) {
        self.0.push_back(port);
    }
}

/// Draws `count` ports and releases each before the next.
fn touched(ports: &mut impl Ports, count: usize) -> Vec<u16> {
    let mut touch = || {
        let port = ports.take();
        ports.give_back(port);
        port
    };
    (0..count).map(|_| touch()).collect()
}
