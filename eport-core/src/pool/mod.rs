//! The bookkeeping of free and leased ports, without I/O.
//!
//! A `Pool` has no socket, clock or source of randomness; time and generator are arguments. It
//! keeps one set of ports for each [`Space`] in use, and one rule between them: a port leased in
//! one space is taken in every space that overlaps it. Because one value holds all spaces, a draw
//! decides about all of them together.

mod backoff;
mod cell;
mod draw;
mod explain;
mod foreign;
mod free_set;
mod group;
mod index;
mod quota;
mod request;
mod share;
mod slots;
mod space;
mod state;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use backoff::whole;
pub use cell::ForeignCause;
use cell::{CellState, Seconds};
use foreign::ForeignPorts;
use quota::Usage;
use rand_core::Rng;
use request::Membership;
pub use request::{Grant, PoolLease, PoolRequest};
use slots::Slots;
use space::{Record, SpacePorts};
pub use state::{Counts, PortState};

use crate::address::Space;
use crate::limit::Prefix;
use crate::plan::Plan;
use crate::policy::PortPolicy;
use crate::ports::Reserved;
use crate::quarantine::{PeerHash, RecentPeers};

/// The reason why there is no port to lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// No port is free that the request may have.
    #[error("no port is free ({0})")]
    Exhausted(Counts),
    /// The pool keeps as many spaces as it may, and all of them have leases.
    #[error("leases exist for {0} local addresses, which is the limit")]
    TooManySpaces(usize),
    /// The client has as many leases as it may have.
    #[error("{prefix} has as many leases as one client may have ({limit})")]
    QuotaReached {
        /// The prefix of the client.
        prefix: Prefix,
        /// The most leases it may have.
        limit: u32,
    },
    /// The port that was named is leased, or not one that is handed out.
    #[error("port {0} is not available")]
    Unavailable(u16),
}

/// The ports of a plan, for every protocol and local address.
///
/// ```
/// use std::net::Ipv4Addr;
/// use std::time::Instant;
/// use eport_core::pool::Pool;
/// use eport_core::{PortPolicy, Reserved, Space, plan};
/// # use rand_core::SeedableRng as _;
/// # let mut rng = chacha20::ChaCha8Rng::from_seed([0; 32]);
/// # let now = Instant::now();
///
/// let plan = plan(&"50000-50009".parse()?, None, &Reserved::default())?;
/// let mut pool = Pool::new(&plan, PortPolicy::default(), now);
/// let space = Space::udp(Ipv4Addr::LOCALHOST);
/// let peer = "192.0.2.1:4000".parse()?;
///
/// let lease = pool.draw(space, Some(peer), &mut rng, now)?;
/// assert!(plan.ports().contains(lease.port()));
/// assert_eq!(pool.counts(space).free, 9);
/// pool.release(lease, now);
/// assert_eq!(pool.counts(space).free, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    slots: Slots,
    left_out: Reserved,
    /// The ports that were reserved after the plan was made.
    withheld: Reserved,
    foreign: ForeignPorts,
    policy: PortPolicy,
    /// The rest of ports without a peer, in whole seconds.
    any_peer: Seconds,
    epoch: Instant,
    /// A [`PoolLease`] names its space by the index here, so a space with leases never moves.
    spaces: Vec<SpacePorts>,
    usage: Usage,
    /// The pairs of port and peer of all spaces: a peer that talks to two addresses of this machine
    /// avoids a port on both.
    recent_peers: RecentPeers,
    /// The number of records that have a group.
    groups: usize,
    counters: PoolCounters,
}

/// Counters of compromises that a [`Pool`] had to make.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PoolCounters {
    /// Ports that were drawn before their rest had ended, because too few others were left.
    pub quarantine_broken: u64,
    /// Times that pairs of port and peer were dropped before their rest had ended, because there were
    /// more of them than fit into the filters.
    pub quarantine_shortened: u64,
    /// Spaces that were evicted for another one while ports rested there.
    pub spaces_evicted: u64,
}

impl Pool {
    /// Makes a pool with every port of `plan` free. `now` is the moment from which it counts time.
    pub fn new(plan: &Plan, policy: PortPolicy, now: Instant) -> Self {
        let slots = Slots::new(plan.ports());
        Self {
            left_out: plan.left_out().clone(),
            withheld: Reserved::nothing(),
            foreign: ForeignPorts::default(),
            epoch: now,
            spaces: Vec::new(),
            usage: Usage::new(policy.quota),
            any_peer: whole(policy.quarantine.any_peer),
            recent_peers: RecentPeers::new(slots.len(), whole(policy.quarantine.same_peer)),
            groups: 0,
            counters: PoolCounters::default(),
            slots,
            policy,
        }
    }

    /// Leases any port of `space` to `peer` alone.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    pub fn draw<R: Rng + ?Sized>(
        &mut self,
        space: Space,
        peer: Option<SocketAddr>,
        rng: &mut R,
        now: Instant,
    ) -> Result<PoolLease, DrawError> {
        match self.take(&PoolRequest::new(space).peer(peer), rng, now)? {
            Grant::One(lease) => Ok(lease),
            // A request for one port in one space is not given several.
            Grant::Several(_) => Err(DrawError::Exhausted(self.counts(space))),
        }
    }

    /// Gives back a port that was used; it rests as configured in the [`PortPolicy`].
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn release(&mut self, lease: PoolLease, now: Instant) {
        let now = self.seconds(now);
        if let Membership::First(number) | Membership::Member(number) = lease.membership {
            self.leave(&lease, number, Some(now));
        } else if let Some(record) = self.end(&lease) {
            self.rest(&lease, record.peer, now);
        }
    }

    /// Gives back a port that was never used: no late datagram can arrive, so it does not rest.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn cancel(&mut self, lease: PoolLease) {
        match lease.membership {
            Membership::Alone => drop(self.end(&lease)),
            Membership::First(number) | Membership::Member(number) => {
                self.leave(&lease, number, None);
            }
        }
    }

    /// Gives back a port that the system refused: it is not drawn again until it has rested.
    ///
    /// A shared port that has other peers accepts no more of them instead.
    pub fn refuse(&mut self, lease: PoolLease, cause: ForeignCause, now: Instant) {
        let (index, slot) = (lease.index, lease.slot);
        if lease.is_shared() {
            self.close_group(index, slot);
        }
        self.cancel(lease);
        let now = self.seconds(now);
        if let Some(ports) = self.spaces.get_mut(usize::from(index))
            && ports.record(slot).is_none()
        {
            ports.refuse(slot, cause, now);
        }
    }

    /// Counts the ports of `space` by state.
    pub fn counts(&self, space: Space) -> Counts {
        if let Some(ports) = self
            .find(space)
            .and_then(|index| self.spaces.get(usize::from(index)))
        {
            return ports.counts();
        }
        let mut counts = Counts::all_free(self.slots.len());
        let withheld = self.withheld.union();
        for slot in 0..self.slots.len() {
            let state = if self
                .slots
                .port(slot)
                .is_some_and(|port| withheld.contains(port))
            {
                CellState::Reserved
            } else if self.holders(space, slot).next().is_some() {
                CellState::Overlapped
            } else {
                continue;
            };
            counts.free -= 1;
            *counts.count_mut(state) += 1;
        }
        counts
    }

    /// Returns the spaces that have been drawn from, each with its counts.
    pub fn spaces(&self) -> impl Iterator<Item = (Space, Counts)> + '_ {
        self.spaces
            .iter()
            .map(|ports| (ports.space, ports.counts()))
    }

    /// Returns the number of ports that have several peers, or may get them.
    pub const fn shared(&self) -> usize {
        self.groups
    }

    /// Returns the counters.
    pub const fn counters(&self) -> PoolCounters {
        self.counters
    }

    /// Ends a lease with a single peer, in its space and in all overlapping ones.
    fn end(&mut self, lease: &PoolLease) -> Option<Record> {
        let record = self
            .spaces
            .get_mut(usize::from(lease.index))?
            .end(lease.slot)?;
        self.for_overlapping(lease.index, |ports| ports.unhold(lease.slot));
        self.usage.subtract(record.peer.map(|peer| peer.ip()));
        Some(record)
    }

    /// Starts the rest of a port that was bound: for its peer if it had one, otherwise for all peers.
    fn rest(&mut self, lease: &PoolLease, peer: Option<SocketAddr>, now: Seconds) {
        let PoolLease { index, slot, .. } = *lease;
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            ports.succeeded(slot);
        }
        match peer {
            Some(peer) => self.record_release(index, slot, PeerHash::new(peer), now),
            None if self.any_peer > 0 => {
                // `now` is rounded down: one second more, or the rest would be too short.
                let until = now.saturating_add(self.any_peer).saturating_add(1);
                self.rest_until(index, slot, until);
            }
            None => {}
        }
    }

    /// Records the peer of a lease that ended.
    fn record_release(&mut self, index: u16, slot: u16, peer: PeerHash, now: Seconds) {
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            ports.record_release(slot, now);
        }
        self.for_overlapping(index, |ports| ports.record_release(slot, now));
        self.counters.quarantine_shortened += u64::from(self.recent_peers.insert(slot, peer, now));
    }

    /// Starts the rest of a port for all peers, in every overlapping space.
    fn rest_until(&mut self, index: u16, slot: u16, until: Seconds) {
        let mut broken = 0;
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            broken += u64::from(ports.rest(slot, until));
        }
        self.for_overlapping(index, |ports| broken += u64::from(ports.rest(slot, until)));
        self.counters.quarantine_broken += broken;
    }

    /// Returns the other spaces with a lease that takes `slot` away from `space`.
    fn holders(&self, space: Space, slot: u16) -> impl Iterator<Item = Space> + '_ {
        let overlapping = self.spaces.iter().filter(move |other| {
            other.space != space && other.space.overlaps(space) && other.record(slot).is_some()
        });
        overlapping.map(|other| other.space)
    }

    /// Applies a change to every other space that overlaps the one at `index`.
    fn for_overlapping(&mut self, index: u16, mut change: impl FnMut(&mut SpacePorts)) {
        if self.spaces.len() == 1 {
            return;
        }
        let Some(space) = self.spaces.get(usize::from(index)).map(|ports| ports.space) else {
            return;
        };
        for (at, other) in (0..).zip(&mut self.spaces) {
            if at != index && other.space.overlaps(space) {
                change(other);
            }
        }
    }

    fn find(&self, space: Space) -> Option<u16> {
        let mut indexes = (0..).zip(&self.spaces);
        indexes
            .find(|(_, ports)| ports.space == space)
            .map(|(index, _)| index)
    }

    fn seconds(&self, now: Instant) -> Seconds {
        Seconds::try_from(now.saturating_duration_since(self.epoch).as_secs())
            .unwrap_or(Seconds::MAX)
    }

    fn instant(&self, seconds: Seconds) -> Instant {
        self.epoch
            .checked_add(Duration::from_secs(seconds.into()))
            .unwrap_or(self.epoch)
    }
}
