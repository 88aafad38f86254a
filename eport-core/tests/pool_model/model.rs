//! A simple model of the state of each port.

use std::collections::{BTreeMap, BTreeSet};

use eport_core::pool::ForeignCause;
use eport_core::{Counts, PortSet};

pub(crate) const LONGEST_REST: u64 = 6;
pub(crate) const SAME_PEER: u64 = 7;
pub(crate) const ANY_PEER: u64 = 3;
/// Half of the six ports may rest for all peers.
const MOST_RESTING: usize = 3;
pub(crate) const QUOTA: u32 = 4;
pub(crate) const KEPT: u16 = 1;

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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    Any,
    Exactly(u16),
    Pair,
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) space: usize,
    pub(crate) port: u16,
    pub(crate) peer: Option<usize>,
    pub(crate) since: u64,
}

pub(crate) struct Model {
    pub(crate) ports: BTreeSet<u16>,
    pub(crate) leases: Vec<Lease>,
    /// Ports that were reserved after the beginning.
    pub(crate) reserved: BTreeSet<u16>,
    pub(crate) foreign: BTreeMap<(usize, u16), (ForeignCause, u64)>,
    pub(crate) refusals: BTreeMap<(usize, u16), u8>,
    /// For each space the rests of its ports, with their ends.
    rests: [Vec<(u64, u16)>; 7],
    /// The end of the last lease for a peer, in a space or one that overlaps it.
    pub(crate) left: BTreeMap<(usize, u16), u64>,
    /// Pairs of port and peer that rest, in two generations.
    younger: BTreeSet<(u16, usize)>,
    older: BTreeSet<(u16, usize)>,
    /// The beginning of the younger generation.
    began: u64,
    pub(crate) broken: u64,
    pub(crate) seconds: u64,
}

impl Model {
    pub(crate) fn new(ports: &PortSet) -> Self {
        Self {
            ports: ports.iter().collect(),
            leases: Vec::new(),
            reserved: BTreeSet::new(),
            foreign: BTreeMap::new(),
            refusals: BTreeMap::new(),
            rests: std::array::from_fn(|_| Vec::new()),
            left: BTreeMap::new(),
            younger: BTreeSet::new(),
            older: BTreeSet::new(),
            began: 0,
            broken: 0,
            seconds: 0,
        }
    }

    /// The other spaces with a lease that takes the port away, lowest first.
    pub(crate) fn holders(&self, space: usize, port: u16) -> Vec<usize> {
        let all = 0..self.rests.len();
        let holds = |other: &usize| overlap(*other, space) && self.lease_of(*other, port).is_some();
        all.filter(holds).collect()
    }

    pub(crate) fn lease_of(&self, space: usize, port: u16) -> Option<&Lease> {
        let mut leases = self.leases.iter();
        leases.find(|lease| (lease.space, lease.port) == (space, port))
    }

    pub(crate) fn rests_until(&self, space: usize, port: u16) -> Option<u64> {
        let own = self.rests[space].iter().filter(|(_, other)| *other == port);
        own.map(|(until, _)| *until).max()
    }

    fn is_available(&self, space: usize, port: u16) -> bool {
        self.is_unheld(space, port) && !self.reserved.contains(&port)
    }

    fn is_unheld(&self, space: usize, port: u16) -> bool {
        self.ports.contains(&port)
            && self.lease_of(space, port).is_none()
            && self.holders(space, port).is_empty()
    }

    fn is_free(&self, space: usize, port: u16) -> bool {
        self.is_available(space, port)
            && !self.foreign.contains_key(&(space, port))
            && self.rests_until(space, port).is_none()
    }

    fn free(&self, space: usize) -> Vec<u16> {
        let ports = self.ports.iter().copied();
        ports.filter(|port| self.is_free(space, *port)).collect()
    }

    pub(crate) fn is_at_quota(&self, peer: Option<usize>) -> bool {
        // The first two peers have one address.
        let client = |peer: usize| peer / 2;
        let is_same = |lease: &&Lease| lease.peer.map(client) == peer.map(client);
        peer.is_some() && self.leases.iter().filter(is_same).count() >= QUOTA as usize
    }

    /// Returns the ports that a request may be given. Like the pool, it frees ports whose rest has ended,
    /// and ends the rest of others early if no port is free.
    pub(crate) fn candidates(
        &mut self,
        spaces: &[usize],
        peer: Option<usize>,
        which: Which,
        from_reserve: bool,
    ) -> Vec<u16> {
        self.expire_rests(spaces);
        if let Which::Exactly(port) = which {
            let available = spaces.iter().all(|space| self.is_available(*space, port));
            return if available { vec![port] } else { Vec::new() };
        }
        let kept = if from_reserve { 0 } else { usize::from(KEPT) };
        loop {
            let has_unkept = spaces.iter().all(|space| self.free(*space).len() > kept);
            let suiting = self.suiting(spaces, which);
            if has_unkept && !suiting.is_empty() {
                return self.best(spaces[0], &suiting, peer);
            }
            if !self.wake_one(spaces) {
                return Vec::new();
            }
        }
    }

    fn suiting(&self, spaces: &[usize], which: Which) -> Vec<u16> {
        let everywhere = |port| spaces.iter().all(|space| self.is_free(*space, port));
        let suits = |port: &u16| {
            everywhere(*port)
                && (which != Which::Pair || (port.is_multiple_of(2) && everywhere(port + 1)))
        };
        self.ports.iter().copied().filter(suits).collect()
    }

    /// Returns those that do not rest for the peer; if all do, those that have rested longest.
    fn best(&mut self, space: usize, ports: &[u16], peer: Option<usize>) -> Vec<u16> {
        let rests = |port: u16| {
            peer.is_some_and(|peer| {
                let pair = (port, peer);
                self.younger.contains(&pair) || self.older.contains(&pair)
            })
        };
        let rested = |port: &u16| !rests(*port);
        if ports.iter().any(rested) {
            return ports.iter().copied().filter(rested).collect();
        }
        let left = |port: u16| self.left.get(&(space, port));
        let first = ports.iter().map(|port| left(*port)).min();
        let longest = ports.iter().copied();
        let longest = longest.filter(|port| Some(left(*port)) == first);
        let longest = longest.collect();
        self.broken += 1;
        longest
    }

    /// Drops the older generation when the younger one has lasted as long as a pair rests.
    pub(crate) fn grow_older(&mut self) {
        let period = SAME_PEER + 1;
        let age = self.seconds - self.began;
        if age >= period {
            self.older = std::mem::take(&mut self.younger);
            self.began = self.seconds;
        }
        if age >= 2 * period {
            self.older.clear();
        }
    }

    fn expire_rests(&mut self, spaces: &[usize]) {
        let seconds = self.seconds;
        self.foreign
            .retain(|(space, _), (_, until)| !spaces.contains(space) || *until > seconds);
        for space in spaces {
            self.rests[*space].retain(|(until, _)| *until > seconds);
        }
    }

    /// Ends the longest rest in the space with the fewest free ports.
    fn wake_one(&mut self, spaces: &[usize]) -> bool {
        let mut spaces = spaces.to_vec();
        spaces.sort_by_key(|space| self.free(*space).len());
        let woken = spaces.into_iter().any(|space| self.wake(space));
        self.broken += u64::from(woken);
        woken
    }

    fn wake(&mut self, space: usize) -> bool {
        // Of those that end in the same second, the one that began first.
        self.rests[space].sort_by_key(|(until, _)| *until);
        let woken = !self.rests[space].is_empty();
        if woken {
            self.rests[space].remove(0);
        }
        woken
    }

    /// Returns the port of a recheck, after freeing the foreign ports before it.
    pub(crate) fn recheck(&mut self, spaces: &[usize], which: Which) -> Option<u16> {
        match (which, spaces) {
            (Which::Exactly(_), _) => None,
            (Which::Any, [space]) => self.recheck_one(*space),
            _ => {
                let before = u16::from(which == Which::Pair);
                let foreign = self.foreign.iter();
                let foreign = foreign.filter(|((space, _), _)| spaces.contains(space));
                let ends = foreign
                    .flat_map(|((_, port), (_, until))| [(*until, *port), (*until, port - before)]);
                let would = |port| {
                    spaces.iter().all(|space| {
                        self.is_available(*space, port) && self.rests_until(*space, port).is_none()
                    })
                };
                let suits = |port: u16| {
                    would(port)
                        && (which != Which::Pair || (port.is_multiple_of(2) && would(port + 1)))
                };
                ends.filter(|(_, port)| suits(*port))
                    .min()
                    .map(|(_, port)| port)
            }
        }
    }

    fn recheck_one(&mut self, space: usize) -> Option<u16> {
        let own = self
            .foreign
            .iter()
            .filter(|((other, _), _)| *other == space);
        let mut ends: Vec<(u64, u16)> =
            own.map(|((_, port), (_, until))| (*until, *port)).collect();
        ends.sort_unstable();
        for (_, port) in ends {
            self.foreign.remove(&(space, port));
            if self.is_free(space, port) {
                return Some(port);
            }
        }
        None
    }

    /// The leases that a grant of `port` makes, in the order in which the pool returns them.
    pub(crate) fn lease(
        &mut self,
        spaces: &[usize],
        port: u16,
        peer: Option<usize>,
        which: Which,
    ) -> Vec<Lease> {
        let since = self.seconds;
        let lease = |space, port| Lease {
            space,
            port,
            peer,
            since,
        };
        let mut leases: Vec<Lease> = spaces.iter().map(|space| lease(*space, port)).collect();
        if which == Which::Pair {
            leases.push(lease(spaces[0], port + 1));
        }
        for lease in &leases {
            self.foreign.remove(&(lease.space, lease.port));
            self.rests[lease.space].retain(|(_, port)| *port != lease.port);
        }
        leases
    }

    /// Applies the end of a used lease, which is no longer in the list.
    pub(crate) fn release(&mut self, lease: &Lease) {
        self.refusals.remove(&(lease.space, lease.port));
        if let Some(peer) = lease.peer {
            self.grow_older();
            self.younger.insert((lease.port, peer));
        }
        let affected = (0..self.rests.len())
            .filter(|space| *space == lease.space || overlap(*space, lease.space));
        for space in affected {
            if lease.peer.is_some() {
                self.left.insert((space, lease.port), self.seconds);
                continue;
            }
            let had_one = self.rests_until(space, lease.port).is_some();
            self.rests[space].retain(|(_, port)| *port != lease.port);
            if !had_one && self.rests[space].len() >= MOST_RESTING {
                self.wake(space);
                self.broken += 1;
            }
            self.rests[space].push((self.seconds + ANY_PEER + 1, lease.port));
        }
    }

    pub(crate) fn refuse(&mut self, lease: &Lease, cause: ForeignCause) {
        let key = (lease.space, lease.port);
        let refusals = self.refusals.entry(key).or_insert(0);
        *refusals += 1;
        let rest = (1 << (*refusals - 1).min(20)).min(LONGEST_REST);
        self.foreign.insert(key, (cause, self.seconds + rest + 1));
    }

    pub(crate) fn counts(&self, space: usize) -> Counts {
        let count = |is: &dyn Fn(u16) -> bool| self.ports.iter().filter(|port| is(**port)).count();
        let leased = count(&|port| self.lease_of(space, port).is_some());
        let is_reserved =
            |port| self.reserved.contains(&port) && self.lease_of(space, port).is_none();
        let reserved = count(&is_reserved);
        let foreign =
            count(&|port| !is_reserved(port) && self.foreign.contains_key(&(space, port)));
        let overlapped = count(&|port| {
            !is_reserved(port)
                && !self.foreign.contains_key(&(space, port))
                && !self.holders(space, port).is_empty()
        });
        let resting = count(&|port| {
            self.is_available(space, port)
                && !self.foreign.contains_key(&(space, port))
                && self.rests_until(space, port).is_some()
        });
        Counts {
            range: self.ports.len(),
            free: self.free(space).len(),
            leased,
            resting,
            overlapped,
            foreign,
            reserved,
        }
    }

    /// Marks listed ports as in use, and frees those that are no longer listed.
    pub(crate) fn list(&mut self, sockets: &[(usize, u16)]) {
        // The list includes the allocator's own sockets.
        let is_ours = |space: usize, port| {
            self.lease_of(space, port).is_some() || !self.holders(space, port).is_empty()
        };
        let foreign = sockets.iter().copied();
        let foreign: Vec<_> = foreign.filter(|(at, port)| !is_ours(*at, *port)).collect();
        let until = self.seconds + LONGEST_REST + 1;
        for space in 0..self.rests.len() {
            for port in self.ports.clone() {
                let listed = foreign.iter().any(|(other, listed)| {
                    *listed == port && (*other == space || overlap(*other, space))
                });
                let key = (space, port);
                let known = self.foreign.get(&key).map(|(cause, _)| *cause);
                match (listed, known) {
                    (true, None) if self.is_unheld(space, port) => {
                        self.foreign.insert(key, (ForeignCause::InUse, until));
                    }
                    (false, Some(ForeignCause::InUse)) => drop(self.foreign.remove(&key)),
                    _ => {}
                }
            }
        }
    }
}
