//! Invariants of the pool with shared ports.
#![expect(
    clippy::indexing_slicing,
    reason = "an index out of range fails the test, as it should"
)]

#[path = "common/counts.rs"]
mod counts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use counts::assert_sum;
use eport_core::pool::{DrawError, ForeignCause, Pool, PoolLease, PoolRequest};
use eport_core::{PortPolicy, PortState, Quarantine, Quota, Reserved, Sharing, Space, plan};
use proptest::collection::vec;
use proptest::prelude::*;
use rand_core::SeedableRng;

const PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_003;
/// Of four ports two serve one peer each.
const SHARED: u16 = 2;
const PEERS_PER_PORT: usize = 3;
const SAME_PEER: u64 = 5;
/// More than the ports allow.
const QUOTA: u32 = 6;

/// Two addresses that do not overlap, and one that overlaps both.
fn spaces() -> [Space; 3] {
    [
        Space::udp(Ipv4Addr::LOCALHOST),
        Space::udp(Ipv4Addr::new(127, 0, 0, 2)),
        Space::udp(Ipv4Addr::UNSPECIFIED),
    ]
}

fn peer(number: u16) -> SocketAddr {
    let host = u8::try_from(number % 2).expect("0 or 1");
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 4000 + number))
}

#[derive(Clone, Debug)]
enum Operation {
    Take { space: usize, peer: u16 },
    Open { lease: usize },
    Release { lease: usize },
    Cancel { lease: usize },
    Refuse { lease: usize },
    Wait { seconds: u64 },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        8 => (0usize..3, 0u16..12).prop_map(|(space, peer)| Operation::Take { space, peer }),
        6 => any::<usize>().prop_map(|lease| Operation::Open { lease }),
        4 => any::<usize>().prop_map(|lease| Operation::Release { lease }),
        1 => any::<usize>().prop_map(|lease| Operation::Cancel { lease }),
        1 => any::<usize>().prop_map(|lease| Operation::Refuse { lease }),
        1 => (0u64..4).prop_map(|seconds| Operation::Wait { seconds }),
    ];
    vec(operation, 1..150)
}

struct Lease {
    space: Space,
    peer: SocketAddr,
    held: PoolLease,
}

struct Test {
    pool: Pool,
    leases: Vec<Lease>,
    /// The end of a peer's last lease of a port, in any space.
    left: BTreeMap<(u16, SocketAddr), u64>,
    rng: ChaCha8Rng,
    epoch: Instant,
    seconds: u64,
}

impl Test {
    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn new(seed: u8) -> Self {
        let text = format!("{}-{}", PORTS.start(), PORTS.end());
        let range = text.parse().expect("a range");
        let plan = plan(&range, None, &Reserved::default()).expect("ports");
        let most = u8::try_from(PEERS_PER_PORT)
            .ok()
            .and_then(NonZeroU8::new)
            .expect("a small number");
        let mut policy = PortPolicy::default();
        policy.when_full.share = Some(Sharing::last_ports(SHARED).peers_per_port(most));
        policy.quota = Some(Quota::per_prefix(QUOTA));
        policy.quarantine = Quarantine::default()
            .same_peer(Duration::from_secs(SAME_PEER))
            .most_percent(100);
        let epoch = Instant::now();
        Self {
            pool: Pool::new(&plan, policy, epoch),
            leases: Vec::new(),
            left: BTreeMap::new(),
            rng: ChaCha8Rng::from_seed([seed; 32]),
            epoch,
            seconds: 0,
        }
    }

    fn now(&self) -> Instant {
        self.epoch + Duration::from_secs(self.seconds)
    }

    fn run(&mut self, operation: &Operation) {
        let now = self.now();
        match *operation {
            Operation::Wait { seconds } => self.seconds += seconds,
            Operation::Take {
                space,
                peer: number,
            } => {
                self.take(spaces()[space], peer(number), now);
            }
            Operation::Open { lease } => {
                let count = self.leases.len().max(1);
                if let Some(lease) = self.leases.get(lease % count) {
                    self.pool.open_group(&lease.held);
                }
            }
            Operation::Release { lease } => {
                if let Some(lease) = self.give_back(lease) {
                    let key = (lease.held.port(), lease.peer);
                    self.left.insert(key, self.seconds);
                    self.pool.release(lease.held, now);
                }
            }
            Operation::Cancel { lease } => {
                if let Some(lease) = self.give_back(lease) {
                    self.pool.cancel(lease.held);
                }
            }
            Operation::Refuse { lease } => {
                if let Some(lease) = self.give_back(lease) {
                    self.pool.refuse(lease.held, ForeignCause::InUse, now);
                }
            }
        }
    }

    fn take(&mut self, space: Space, peer: SocketAddr, now: Instant) {
        let request = PoolRequest::new(space).peer(Some(peer)).shareable(true);
        let broken = self.pool.counters().quarantine_broken;
        let free = self.pool.counts(space).free;
        match self.pool.take(&request, &mut self.rng, now) {
            Ok(grant) => {
                let held: Vec<PoolLease> = grant.into_iter().collect();
                let [held] = <[PoolLease; 1]>::try_from(held).expect("one port");
                let left = self.left.get(&(held.port(), peer));
                if left.is_some_and(|left| self.seconds < left + SAME_PEER) {
                    assert!(
                        self.pool.counters().quarantine_broken > broken,
                        "not counted"
                    );
                }
                if free > usize::from(SHARED) {
                    assert!(!held.is_shared(), "{free} are free");
                }
                self.leases.push(Lease { space, peer, held });
            }
            Err(DrawError::QuotaReached { limit, .. }) => {
                assert_eq!((limit, self.leases_of(peer)), (QUOTA, QUOTA as usize));
            }
            Err(DrawError::Exhausted(counts)) => {
                assert_eq!((counts.free, counts.resting), (0, 0));
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn leases_of(&self, peer: SocketAddr) -> usize {
        let own = self.leases.iter();
        own.filter(|lease| lease.peer.ip() == peer.ip()).count()
    }

    fn give_back(&mut self, lease: usize) -> Option<Lease> {
        let count = self.leases.len();
        (count > 0).then(|| self.leases.swap_remove(lease % count))
    }

    fn check(&self) {
        let mut of_port: BTreeMap<u16, Vec<&Lease>> = BTreeMap::new();
        for lease in &self.leases {
            of_port.entry(lease.held.port()).or_default().push(lease);
        }
        let mut shared = BTreeSet::new();
        for (port, leases) in &of_port {
            assert!(PORTS.contains(port));
            for (number, lease) in leases.iter().enumerate() {
                for other in leases.iter().skip(number + 1) {
                    let apart = !lease.space.overlaps(other.space);
                    let siblings = lease.space == other.space && lease.peer != other.peer;
                    assert!(apart || siblings, "{port} is held twice");
                }
                if lease.held.is_shared() {
                    shared.insert((*port, lease.space.to_string()));
                }
                let count = leases
                    .iter()
                    .filter(|other| other.space == lease.space)
                    .count();
                assert!(count <= PEERS_PER_PORT, "{count} peers on {port}");
                let state = self.pool.explain(lease.space, *port, self.now());
                match state {
                    PortState::Shared { peers, .. } => assert_eq!(peers, count),
                    PortState::Leased { peer, .. } => assert_eq!(peer, Some(lease.peer)),
                    other => panic!("{other}"),
                }
            }
        }
        assert_eq!(self.pool.shared(), shared.len());
        for (space, counts) in self.pool.spaces() {
            assert_sum(counts);
            let own = of_port
                .values()
                .filter(|leases| leases.iter().any(|lease| lease.space == space));
            assert_eq!(counts.leased, own.count(), "{space}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_port_has_a_peer_twice_too_many_peers_or_two_owners(
        seed: u8,
        operations in operations(),
    ) {
        let mut test = Test::new(seed);
        for operation in &operations {
            test.run(operation);
            test.check();
        }
        while let Some(lease) = test.give_back(0) {
            let now = test.now();
            test.pool.release(lease.held, now);
        }
        test.check();
        assert!(test.pool.spaces().all(|(_, counts)| counts.leased + counts.overlapped == 0));
    }
}
