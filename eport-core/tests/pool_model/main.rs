//! The pool compared with a model of lists and trees.
//!
//! After every operation each port of each space must have the state of the model.
#![expect(
    clippy::indexing_slicing,
    reason = "an index out of range fails the test, as it should"
)]

#[path = "../common/counts.rs"]
mod counts;
mod model;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use counts::assert_sum;
use eport_core::pool::{DrawError, ForeignCause, Pool, PoolLease, PoolRequest};
use eport_core::{
    LocalAddress, PortPolicy, PortRange, PortSet, PortState, Protocol, Quarantine, Quota, Reserved,
    Source, Space, Strategy, plan,
};
use model::{ANY_PEER, KEPT, LONGEST_REST, Lease, Model, QUOTA, SAME_PEER, Which};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::prop_oneof;
use proptest::strategy::Strategy as Generate;
use rand_core::SeedableRng;

/// Few ports in two runs, so that a sequence of operations meets full spaces often.
const RANGE: &str = "50000-50004,50007-50008";
const EXCLUDED: &str = "50008";

/// Spaces by their index here; the relation between them is written out in the model.
fn spaces() -> [Space; 7] {
    let v4 = |last| Space::udp(Ipv4Addr::new(127, 0, 0, last));
    let any_v6 = LocalAddress::from(Ipv6Addr::UNSPECIFIED);
    [
        Space::udp(Ipv4Addr::UNSPECIFIED),
        v4(1),
        v4(2),
        Space::udp(any_v6),
        Space::udp(any_v6.only_v6()),
        Space::udp(Ipv6Addr::LOCALHOST),
        Space::new(Protocol::Tcp, Ipv4Addr::UNSPECIFIED),
    ]
}

/// Requests for several spaces; those of one set do not overlap.
const SETS: [&[usize]; 4] = [&[1, 6], &[6, 2, 5], &[0, 4, 6], &[1, 2]];

fn peers() -> [SocketAddr; 3] {
    [(1, 2000), (1, 2001), (2, 2000)]
        .map(|(host, port)| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port)))
}

#[derive(Clone, Debug)]
enum Operation {
    Take(Request),
    Recheck(Request),
    Release { lease: usize },
    Cancel { lease: usize },
    Refuse { lease: usize, denied: bool },
    Wait { seconds: u64 },
    Reserve { ports: Vec<u16> },
    List { sockets: Vec<(usize, u16)> },
}

#[derive(Clone, Debug)]
struct Request {
    spaces: Vec<usize>,
    peer: Option<usize>,
    which: Which,
    from_reserve: bool,
}

impl Request {
    fn pool_request(&self) -> PoolRequest {
        let mut all = self.spaces.iter().map(|space| spaces()[*space]);
        let request = PoolRequest::new(all.next().expect("a space"))
            .and(all)
            .peer(self.peer.map(|peer| peers()[peer]))
            .from_reserve(self.from_reserve);
        match self.which {
            Which::Any => request,
            Which::Exactly(port) => request.port(port),
            Which::Pair => request.pair(),
        }
    }
}

fn request() -> impl Generate<Value = Request> {
    let single = (0usize..7).prop_map(|space| vec![space]);
    let set = (0usize..SETS.len()).prop_map(|set| SETS[set].to_vec());
    let which = prop_oneof![
        8 => proptest::strategy::Just(Which::Any),
        1 => (49_999u16..50_010).prop_map(Which::Exactly),
        1 => proptest::strategy::Just(Which::Pair),
    ];
    let spaces = prop_oneof![4 => single, 1 => set];
    let peer = proptest::option::of(0usize..3);
    (spaces, peer, which, any::<bool>()).prop_map(|(spaces, peer, which, from_reserve)| Request {
        // Sets have no peer, as with the allocator.
        peer: peer.filter(|_| spaces.len() == 1),
        spaces,
        which,
        from_reserve,
    })
}

fn operations() -> impl Generate<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => request().prop_map(Operation::Take),
        1 => request().prop_map(Operation::Recheck),
        4 => any::<usize>().prop_map(|lease| Operation::Release { lease }),
        1 => any::<usize>().prop_map(|lease| Operation::Cancel { lease }),
        2 => any::<(usize, bool)>().prop_map(|(lease, denied)| Operation::Refuse { lease, denied }),
        2 => (0u64..5).prop_map(|seconds| Operation::Wait { seconds }),
        1 => vec(49_999u16..50_010, 0..3).prop_map(|ports| Operation::Reserve { ports }),
        1 => vec((0usize..7, 49_999u16..50_010), 0..4).prop_map(|sockets| Operation::List { sockets }),
    ];
    vec(operation, 1..120)
}

/// The pool, the model, and the inputs of both.
struct Pair {
    pool: Pool,
    model: Model,
    /// The pool's side of the model's leases, in the same order.
    held: Vec<PoolLease>,
    rng: ChaCha8Rng,
    epoch: Instant,
}

impl Pair {
    fn new(seed: u8, strategy: Strategy) -> Self {
        let reserved = Reserved::default().with(Source::User, &EXCLUDED.parse().expect("a port"));
        let plan = plan(&RANGE.parse().expect("a range"), None, &reserved).expect("ports");
        let epoch = now();
        let mut pair = Self {
            pool: Pool::new(&plan, policy(strategy), epoch),
            model: Model::new(plan.ports()),
            held: Vec::new(),
            rng: ChaCha8Rng::from_seed([seed; 32]),
            epoch,
        };
        // A space is created at its first use and then takes over the state of overlapping ones,
        // which is tested separately.
        for space in spaces() {
            let held = pair.pool.draw(space, None, &mut pair.rng, epoch);
            pair.pool.cancel(held.expect("all are free"));
        }
        pair
    }

    fn at(&self, seconds: u64) -> Instant {
        self.epoch + Duration::from_secs(seconds)
    }

    fn run(&mut self, operation: &Operation) {
        let now = self.at(self.model.seconds);
        match operation {
            Operation::Wait { seconds } => self.model.seconds += seconds,
            Operation::Reserve { ports } => self.reserve(ports),
            Operation::List { sockets } => self.list(sockets, now),
            Operation::Take(request) => self.take(request, now),
            Operation::Recheck(request) => self.recheck(request, now),
            Operation::Release { lease } => {
                if let Some((lease, held)) = self.give_back(*lease) {
                    self.model.release(&lease);
                    self.pool.release(held, now);
                }
            }
            Operation::Cancel { lease } => {
                if let Some((_, held)) = self.give_back(*lease) {
                    self.pool.cancel(held);
                }
            }
            Operation::Refuse { lease, denied } => {
                let cause = if *denied {
                    ForeignCause::Denied
                } else {
                    ForeignCause::InUse
                };
                if let Some((lease, held)) = self.give_back(*lease) {
                    self.model.refuse(&lease, cause);
                    self.pool.refuse(held, cause, now);
                }
            }
        }
    }

    /// Reserves ports of the plan only, as the allocator does.
    fn reserve(&mut self, ports: &[u16]) {
        let ports = ports.iter().copied();
        let ports: Vec<u16> = ports
            .filter(|port| self.model.ports.contains(port))
            .collect();
        let range = |port: &u16| PortRange::new(*port, *port).expect("not zero");
        let set: PortSet = ports.iter().map(range).collect();
        self.model.reserved = ports.into_iter().collect();
        let reserved = Reserved::nothing().with(Source::User, &set);
        self.pool.reserve(reserved);
    }

    fn list(&mut self, sockets: &[(usize, u16)], now: Instant) {
        self.model.list(sockets);
        let sockets = sockets
            .iter()
            .map(|(space, port)| (spaces()[*space], *port));
        self.pool.set_foreign_sockets(sockets, now);
    }

    fn take(&mut self, request: &Request, now: Instant) {
        let taken = self.pool.take(&request.pool_request(), &mut self.rng, now);
        self.model.grow_older();
        if self.model.is_at_quota(request.peer) {
            let refusal = taken.expect_err("enough leases");
            assert!(matches!(
                refusal,
                DrawError::QuotaReached { limit: QUOTA, .. }
            ));
            return;
        }
        let (spaces, which) = (&request.spaces, request.which);
        let candidates = self
            .model
            .candidates(spaces, request.peer, which, request.from_reserve);
        match taken {
            Ok(grant) => {
                let held: Vec<PoolLease> = grant.into_iter().collect();
                let port = held[0].port();
                assert!(
                    candidates.contains(&port),
                    "{port} is not one of {candidates:?}"
                );
                self.leased(request, port, held);
            }
            Err(DrawError::Exhausted(counts)) => {
                assert!(
                    candidates.is_empty(),
                    "refused although {candidates:?} would do"
                );
                let counts_of = spaces.iter().map(|space| self.model.counts(*space));
                let fewest = counts_of.min_by_key(|counts| counts.free);
                assert_eq!(Some(counts), fewest);
            }
            Err(DrawError::Unavailable(port)) => {
                assert_eq!(which, Which::Exactly(port));
                assert!(candidates.is_empty());
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn recheck(&mut self, request: &Request, now: Instant) {
        let taken = self.pool.recheck(&request.pool_request(), now).ok();
        if self.model.is_at_quota(request.peer) {
            assert!(taken.is_none());
            return;
        }
        let expected = self.model.recheck(&request.spaces, request.which);
        let held: Vec<PoolLease> = taken.into_iter().flatten().collect();
        assert_eq!(held.first().map(PoolLease::port), expected);
        if let Some(port) = expected {
            self.leased(request, port, held);
        }
    }

    fn leased(&mut self, request: &Request, port: u16, held: Vec<PoolLease>) {
        let leases = self
            .model
            .lease(&request.spaces, port, request.peer, request.which);
        let expected: Vec<u16> = leases.iter().map(|lease| lease.port).collect();
        assert_eq!(
            held.iter().map(PoolLease::port).collect::<Vec<_>>(),
            expected
        );
        self.model.leases.extend(leases);
        self.held.extend(held);
    }

    fn give_back(&mut self, lease: usize) -> Option<(Lease, PoolLease)> {
        let count = self.held.len();
        (count > 0).then(|| {
            let held = self.held.swap_remove(lease % count);
            (self.model.leases.swap_remove(lease % count), held)
        })
    }

    fn compare(&self) {
        for (index, space) in spaces().into_iter().enumerate() {
            let counts = self.pool.counts(space);
            assert_eq!(counts, self.model.counts(index), "{space}");
            assert_sum(counts);
            for port in 49_999..=50_009 {
                let now = self.at(self.model.seconds);
                assert_eq!(
                    self.pool.explain(space, port, now),
                    self.expected(index, port),
                    "{space}, {port}"
                );
            }
        }
        assert_eq!(self.pool.counters().quarantine_broken, self.model.broken);
    }

    fn expected(&self, space: usize, port: u16) -> PortState {
        let model = &self.model;
        if port == 50_008 {
            return PortState::Reserved(vec![Source::User]);
        }
        if !model.ports.contains(&port) {
            return PortState::NotInRange;
        }
        if let Some(lease) = model.lease_of(space, port) {
            return PortState::Leased {
                peer: lease.peer.map(|peer| peers()[peer]),
                since: self.at(lease.since),
            };
        }
        if model.reserved.contains(&port) {
            return PortState::Reserved(vec![Source::User]);
        }
        if let Some((cause, until)) = model.foreign.get(&(space, port)) {
            return PortState::Foreign {
                cause: *cause,
                refusals: model.refusals.get(&(space, port)).copied().unwrap_or(0),
                until: self.at(*until),
            };
        }
        let holders = model.holders(space, port);
        if !holders.is_empty() {
            return PortState::Overlapped(holders.into_iter().map(|at| spaces()[at]).collect());
        }
        if let Some(until) = model.rests_until(space, port) {
            let until = self.at(until);
            return PortState::Resting { until };
        }
        match model.left.get(&(space, port)) {
            Some(left) if model.seconds <= left + SAME_PEER => PortState::RestingForPeer {
                until: self.at(left + SAME_PEER + 1),
            },
            _ => PortState::Free,
        }
    }
}

fn policy(strategy: Strategy) -> PortPolicy {
    let seconds = Duration::from_secs;
    let mut policy = PortPolicy::default();
    policy.strategy = strategy;
    policy.longest_rest = seconds(LONGEST_REST);
    policy.quarantine = Quarantine::default()
        .same_peer(seconds(SAME_PEER))
        .any_peer(seconds(ANY_PEER))
        .most_percent(50);
    policy.quota = Some(Quota::per_prefix(QUOTA));
    policy.keep_free = KEPT;
    policy
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from")]
fn now() -> Instant {
    Instant::now()
}

fn strategies() -> impl Generate<Value = Strategy> {
    proptest::sample::select(vec![
        Strategy::Random,
        Strategy::Sequential,
        Strategy::HASH_BASED,
        Strategy::DOUBLE_HASH,
        Strategy::RANDOM_INCREMENTS,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_port_of_every_space_has_the_state_of_the_model(
        seed: u8,
        strategy in strategies(),
        operations in operations(),
    ) {
        let mut pair = Pair::new(seed, strategy);
        for operation in &operations {
            pair.run(operation);
            pair.compare();
        }
        while let Some((lease, held)) = pair.give_back(0) {
            pair.model.release(&lease);
            let now = pair.at(pair.model.seconds);
            pair.pool.release(held, now);
        }
        pair.compare();
    }
}

#[test]
fn an_address_without_leases_is_evicted_and_one_with_leases_is_not() {
    let policy = PortPolicy::default()
        .max_spaces(2)
        .quarantine(Quarantine::NONE);
    let start = now();
    let mut pool = pool(policy, start);
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    let address = |last| Space::udp(Ipv4Addr::new(127, 0, 0, last));
    let at = |seconds| start + Duration::from_secs(seconds);

    let first = pool.draw(address(1), None, &mut rng, at(0)).expect("free");
    let second = pool.draw(address(2), None, &mut rng, at(1)).expect("free");
    let third = pool.draw(address(3), None, &mut rng, at(2));
    assert_eq!(third, Err(DrawError::TooManySpaces(2)));

    // A wildcard that replaces the idle address still overlaps the other one's lease.
    pool.release(first, at(3));
    let any = Space::udp(Ipv4Addr::UNSPECIFIED);
    let mut wildcard = Vec::new();
    while let Ok(held) = pool.draw(any, None, &mut rng, at(3)) {
        assert_ne!(held.port(), second.port());
        wildcard.push(held);
    }
    assert_eq!((wildcard.len(), pool.counts(any).overlapped), (3, 1));
    assert_eq!(pool.counts(address(2)).free, 0);
    assert_eq!(pool.spaces().count(), 2);

    for held in wildcard.into_iter().chain([second]) {
        pool.release(held, at(4));
    }
    assert!(pool.spaces().all(|(_, counts)| counts.free == 4));
}

#[test]
fn a_new_address_takes_over_rests_of_those_it_overlaps() {
    let start = now();
    let mut pool = pool(PortPolicy::default(), start);
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    let (specific, any) = (
        Space::udp(Ipv4Addr::LOCALHOST),
        Space::udp(Ipv4Addr::UNSPECIFIED),
    );
    let peer = Some(peers()[0]);
    let unconnected = pool.draw(specific, None, &mut rng, start).expect("free");
    let connected = pool.draw(specific, peer, &mut rng, start).expect("free");
    let (silent, own) = (unconnected.port(), connected.port());
    for held in [unconnected, connected] {
        pool.release(held, start);
    }
    // This draw creates the space of the wildcard.
    for _ in 0..2 {
        let held = pool.draw(any, peer, &mut rng, start).expect("two are left");
        assert!(held.port() != silent && held.port() != own);
    }
    let resting = pool.explain(any, silent, start);
    assert!(matches!(resting, PortState::Resting { .. }), "{resting}");
    let resting = pool.explain(any, own, start);
    assert!(
        matches!(resting, PortState::RestingForPeer { .. }),
        "{resting}"
    );
    assert_eq!(pool.counters().quarantine_broken, 0);
    let held = pool
        .draw(any, peer, &mut rng, start)
        .expect("one that rests for the peer");
    assert_eq!((held.port(), pool.counters().quarantine_broken), (own, 1));
}

#[test]
fn the_eviction_of_an_address_with_resting_ports_is_counted() {
    let start = now();
    let mut pool = pool(PortPolicy::default().max_spaces(1), start);
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    let address = |last| Space::udp(Ipv4Addr::new(127, 0, 0, last));
    for (last, forgotten) in [(1, 0), (2, 1), (3, 2)] {
        let held = pool
            .draw(address(last), None, &mut rng, start)
            .expect("room");
        pool.release(held, start);
        assert_eq!(pool.counters().spaces_evicted, forgotten);
    }
}

fn pool(policy: PortPolicy, start: Instant) -> Pool {
    let range = "50000-50003".parse().expect("a range");
    let plan = plan(&range, None, &Reserved::default()).expect("ports");
    Pool::new(&plan, policy, start)
}
