//! The pool against a model that keeps leases in a list and foreign ports in a tree.
//!
//! After every operation the model says for each port of each space what its state must be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use eport_core::pool::{DrawError, ForeignCause, Held, Limits, Pool};
use eport_core::{
    Counts, LocalAddress, PortSet, PortState, Protocol, Reserved, Source, Space, plan,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rand_core::SeedableRng;

/// Few ports in two runs, so that a sequence of operations meets full spaces often.
const RANGE: &str = "50000-50003,50007-50008";
const EXCLUDED: &str = "50008";
const LONGEST_REST: u64 = 6;

/// Spaces by their index here; the relation between them is written out, not computed.
fn spaces() -> [Space; 7] {
    let v4 = |last| Space::udp(std::net::Ipv4Addr::new(127, 0, 0, last));
    let any_v6 = LocalAddress::from(Ipv6Addr::UNSPECIFIED);
    [
        Space::udp(std::net::Ipv4Addr::UNSPECIFIED),
        v4(1),
        v4(2),
        Space::udp(any_v6),
        Space::udp(any_v6.only_v6()),
        Space::udp(Ipv6Addr::LOCALHOST),
        Space::new(Protocol::Tcp, std::net::Ipv4Addr::UNSPECIFIED),
    ]
}

const OVERLAPPING: [(usize, usize); 8] = [
    (0, 1),
    (0, 2),
    (0, 3),
    (1, 3),
    (2, 3),
    (3, 4),
    (3, 5),
    (4, 5),
];

fn overlap(a: usize, b: usize) -> bool {
    OVERLAPPING.contains(&(a.min(b), a.max(b)))
}

#[derive(Clone, Debug)]
enum Operation {
    Draw { space: usize },
    Recheck { space: usize },
    Release { lease: usize },
    Refuse { lease: usize, denied: bool },
    Wait { seconds: u64 },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => (0usize..7).prop_map(|space| Operation::Draw { space }),
        1 => (0usize..7).prop_map(|space| Operation::Recheck { space }),
        3 => any::<usize>().prop_map(|lease| Operation::Release { lease }),
        2 => any::<(usize, bool)>().prop_map(|(lease, denied)| Operation::Refuse { lease, denied }),
        1 => (0u64..5).prop_map(|seconds| Operation::Wait { seconds }),
    ];
    vec(operation, 1..120)
}

struct Foreign {
    cause: ForeignCause,
    until: u64,
}

struct Model {
    ports: BTreeSet<u16>,
    /// Space and port of every lease, with the time it began.
    leases: Vec<(usize, Held, u64)>,
    foreign: BTreeMap<(usize, u16), Foreign>,
    refusals: BTreeMap<(usize, u16), u8>,
    seconds: u64,
}

impl Model {
    fn new(ports: &PortSet) -> Self {
        Self {
            ports: ports.iter().collect(),
            leases: Vec::new(),
            foreign: BTreeMap::new(),
            refusals: BTreeMap::new(),
            seconds: 0,
        }
    }

    fn holders(&self, space: usize, port: u16) -> Vec<usize> {
        let takes =
            |(other, held, _): &&(usize, Held, u64)| overlap(*other, space) && held.port() == port;
        self.leases
            .iter()
            .filter(takes)
            .map(|(other, ..)| *other)
            .collect()
    }

    fn lease(&self, space: usize, port: u16) -> Option<u64> {
        let same = |(other, held, _): &&(usize, Held, u64)| *other == space && held.port() == port;
        self.leases.iter().find(same).map(|(_, _, since)| *since)
    }

    fn free(&self, space: usize) -> BTreeSet<u16> {
        let is_free = |port: &u16| {
            self.lease(space, *port).is_none()
                && self.holders(space, *port).is_empty()
                && !self.foreign.contains_key(&(space, *port))
        };
        self.ports.iter().copied().filter(is_free).collect()
    }

    /// What a draw does first: let back in whose rest is over.
    fn forgive(&mut self, space: usize) {
        let seconds = self.seconds;
        self.foreign
            .retain(|(other, _), foreign| *other != space || foreign.until > seconds);
    }

    /// The port that a recheck must return, with the foreign ports before it let go.
    fn recheck(&mut self, space: usize) -> Option<u16> {
        let mut resting: Vec<(u64, u16)> = self
            .foreign
            .iter()
            .filter(|((other, _), _)| *other == space)
            .map(|((_, port), foreign)| (foreign.until, *port))
            .collect();
        resting.sort_unstable();
        for (_, port) in resting {
            self.foreign.remove(&(space, port));
            if self.holders(space, port).is_empty() {
                return Some(port);
            }
        }
        None
    }

    fn refuse(&mut self, space: usize, port: u16, cause: ForeignCause) {
        let refusals = self.refusals.entry((space, port)).or_insert(0);
        *refusals += 1;
        let rest = (1 << (*refusals - 1).min(20)).min(LONGEST_REST);
        self.foreign.insert(
            (space, port),
            Foreign {
                cause,
                until: self.seconds + rest + 1,
            },
        );
    }

    fn counts(&self, space: usize) -> Counts {
        let leased = self
            .leases
            .iter()
            .filter(|(other, ..)| *other == space)
            .count();
        let foreign = self
            .foreign
            .keys()
            .filter(|(other, _)| *other == space)
            .count();
        let overlapped = self.ports.iter().filter(|port| {
            !self.foreign.contains_key(&(space, **port)) && !self.holders(space, **port).is_empty()
        });
        let overlapped = overlapped.count();
        Counts {
            range: self.ports.len(),
            free: self.free(space).len(),
            leased,
            overlapped,
            foreign,
        }
    }
}

/// The pool, the model, and what both are driven with.
struct Pair {
    pool: Pool,
    model: Model,
    rng: ChaCha8Rng,
    epoch: Instant,
}

impl Pair {
    fn new(seed: u8) -> Self {
        let reserved = Reserved::default().with(Source::User, &EXCLUDED.parse().expect("a port"));
        let plan = plan(&RANGE.parse().expect("a range"), None, &reserved).expect("ports");
        let mut limits = Limits::default();
        limits.longest_rest = Duration::from_secs(LONGEST_REST);
        let epoch = now();
        Self {
            pool: Pool::new(&plan, limits, epoch),
            model: Model::new(plan.ports()),
            rng: ChaCha8Rng::from_seed([seed; 32]),
            epoch,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.epoch + Duration::from_secs(seconds)
    }

    fn run(&mut self, operation: &Operation) {
        let now = self.at(self.model.seconds);
        match *operation {
            Operation::Wait { seconds } => self.model.seconds += seconds,
            Operation::Draw { space } => self.draw(space, now),
            Operation::Recheck { space } => {
                let expected = self.model.recheck(space);
                let held = self.pool.recheck(space_at(space), None, now);
                assert_eq!(held.as_ref().map(Held::port), expected);
                self.model
                    .leases
                    .extend(held.map(|held| (space, held, self.model.seconds)));
            }
            Operation::Release { lease } => {
                if let Some((space, held, _)) = self.take(lease) {
                    self.model.refusals.remove(&(space, held.port()));
                    self.pool.release(held);
                }
            }
            Operation::Refuse { lease, denied } => {
                let cause = if denied {
                    ForeignCause::Denied
                } else {
                    ForeignCause::InUse
                };
                if let Some((space, held, _)) = self.take(lease) {
                    self.model.refuse(space, held.port(), cause);
                    self.pool.refuse(held, cause, now);
                }
            }
        }
    }

    fn draw(&mut self, space: usize, now: Instant) {
        self.model.forgive(space);
        let free = self.model.free(space);
        match self.pool.draw(space_at(space), None, &mut self.rng, now) {
            Ok(held) => {
                assert!(
                    free.contains(&held.port()),
                    "{} is not one of {free:?}",
                    held.port()
                );
                self.model.leases.push((space, held, self.model.seconds));
            }
            Err(DrawError::Exhausted(counts)) => {
                assert!(free.is_empty(), "refused although {free:?} are free");
                assert_eq!(counts, self.model.counts(space));
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn take(&mut self, lease: usize) -> Option<(usize, Held, u64)> {
        let count = self.model.leases.len();
        (count > 0).then(|| self.model.leases.swap_remove(lease % count))
    }

    fn compare(&self) {
        for (index, space) in spaces().into_iter().enumerate() {
            let counts = self.pool.counts(space);
            assert_eq!(counts, self.model.counts(index), "{space}");
            let Counts {
                range,
                free,
                leased,
                overlapped,
                foreign,
            } = counts;
            assert_eq!(free + leased + overlapped + foreign, range);
            for port in 49_999..=50_009 {
                assert_eq!(
                    self.pool.explain(space, port),
                    self.expected(index, port),
                    "{space}, {port}"
                );
            }
        }
    }

    fn expected(&self, space: usize, port: u16) -> PortState {
        let model = &self.model;
        if port == 50_008 {
            return PortState::Reserved(vec![Source::User]);
        }
        if !model.ports.contains(&port) {
            return PortState::NotInRange;
        }
        if let Some(since) = model.lease(space, port) {
            return PortState::Leased {
                peer: None,
                since: self.at(since),
            };
        }
        if let Some(foreign) = model.foreign.get(&(space, port)) {
            let refusals = model.refusals.get(&(space, port)).copied().unwrap_or(0);
            return PortState::Foreign {
                cause: foreign.cause,
                refusals,
                until: self.at(foreign.until),
            };
        }
        // The pool lists spaces in the order in which they were first used.
        match (
            self.pool.explain(space_at(space), port),
            model.holders(space, port),
        ) {
            (PortState::Overlapped(named), holders) if named.len() == holders.len() => {
                assert!(
                    holders
                        .iter()
                        .all(|holder| named.contains(&space_at(*holder)))
                );
                PortState::Overlapped(named)
            }
            (_, holders) if holders.is_empty() => PortState::Free,
            (_, holders) => PortState::Overlapped(holders.into_iter().map(space_at).collect()),
        }
    }
}

fn space_at(index: usize) -> Space {
    spaces().get(index).copied().expect("an index of `spaces`")
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
fn now() -> Instant {
    Instant::now()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_port_of_every_space_is_in_the_state_the_model_says(
        seed: u8,
        operations in operations(),
    ) {
        let mut pair = Pair::new(seed);
        for operation in &operations {
            pair.run(operation);
            pair.compare();
        }
        while let Some((_, held, _)) = pair.take(0) {
            pair.pool.release(held);
        }
        pair.compare();
    }
}

#[test]
fn an_address_without_leases_makes_room_and_one_with_leases_does_not() {
    let plan = plan(
        &"50000-50003".parse().expect("a range"),
        None,
        &Reserved::default(),
    )
    .expect("ports");
    let mut limits = Limits::default();
    limits.spaces = 2;
    let start = now();
    let mut pool = Pool::new(&plan, limits, start);
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    let address = |last| Space::udp(std::net::Ipv4Addr::new(127, 0, 0, last));
    let at = |seconds| start + Duration::from_secs(seconds);

    let first = pool.draw(address(1), None, &mut rng, at(0)).expect("free");
    let second = pool.draw(address(2), None, &mut rng, at(1)).expect("free");
    let third = pool.draw(address(3), None, &mut rng, at(2));
    assert_eq!(third, Err(DrawError::TooManySpaces(2)));

    // A wildcard that takes the place of the idle address still sees the other one's lease.
    pool.release(first);
    let any = Space::udp(std::net::Ipv4Addr::UNSPECIFIED);
    let mut wildcard = Vec::new();
    while let Ok(held) = pool.draw(any, None, &mut rng, at(3)) {
        assert_ne!(held.port(), second.port());
        wildcard.push(held);
    }
    assert_eq!((wildcard.len(), pool.counts(any).overlapped), (3, 1));
    assert_eq!(pool.counts(address(2)).free, 0);
    assert_eq!(pool.spaces().count(), 2);

    for held in wildcard {
        pool.release(held);
    }
    pool.release(second);
    assert!(pool.spaces().all(|(_, counts)| counts.free == 4));
}
