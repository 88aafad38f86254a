//! PortChoice port is free where: the pure heart of the allocator.
//!
//! A [`Pool`] knows no socket, no clock and no source of randomness; all of them are arguments. It
//! keeps one set of ports for each [`Space`] in use, and one rule between them: a port leased in
//! one space is taken in every space that overlaps it. Because one value holds all spaces, a draw
//! decides about all of them at once.

mod backoff;
mod cell;
mod draw;
mod explain;
mod foreign;
mod free;
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
use crate::plan::Plan;
use crate::policy::{Client, PortPolicy};
use crate::ports::Reserved;
use crate::quarantine::{PeerHash, RecentPeers};

/// Why there is no port to lease.
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
    #[error("{client} has as many leases as one client may have ({limit})")]
    QuotaReached {
        /// The client.
        client: Client,
        /// The most leases it may have.
        limit: u32,
    },
    /// The port that was named is leased, or not one that is handed out.
    #[error("port {0} is not to be had")]
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
/// let held = pool.draw(space, Some(peer), &mut rng, now)?;
/// assert!(plan.ports().contains(held.port()));
/// assert_eq!(pool.counts(space).free, 9);
/// pool.release(held, now);
/// assert_eq!(pool.counts(space).free, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    slots: Slots,
    left_out: Reserved,
    /// What was reserved after the plan was made.
    withheld: Reserved,
    foreign: ForeignPorts,
    policy: PortPolicy,
    /// How long ports without a peer rest, in whole seconds.
    any_peer: Seconds,
    epoch: Instant,
    /// A [`PoolLease`] names its space by the index here, so a space with leases never moves.
    spaces: Vec<SpacePorts>,
    usage: Usage,
    /// Who used which port, in whatever space: a peer that talks to two addresses of this machine may
    /// as well avoid a port on both.
    recent_peers: RecentPeers,
    /// How many records have a group.
    groups: usize,
    counters: PoolCounters,
}

/// What a [`Pool`] had to do that it would rather not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PoolCounters {
    ///  Ports that were let go before they had rested, because too few others were left.
    pub quarantine_broken: u64,
    /// How often peers had to be forgotten before their rest was over, because there were more of them
    /// than can be remembered.
    pub quarantine_shortened: u64,
    /// Spaces that made room for another one while ports rested there.
    pub spaces_evicted: u64,
}

impl Pool {
    /// A pool with every port of `plan` free. `now` is the moment from which it counts time.
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
            Grant::One(held) => Ok(held),
            // A request for one port in one space is not given several.
            Grant::Several(_) => Err(DrawError::Exhausted(self.counts(space))),
        }
    }

    /// Gives back a port that was used; it rests as the [`PortPolicy`] say.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn release(&mut self, held: PoolLease, now: Instant) {
        let now = self.seconds(now);
        if let Membership::First(number) | Membership::Member(number) = held.membership {
            self.leave(&held, number, Some(now));
        } else if let Some(record) = self.end(&held) {
            self.rest(&held, record.peer, now);
        }
    }

    /// Gives back a port that was never used: nothing can come late, so it does not rest.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn cancel(&mut self, held: PoolLease) {
        match held.membership {
            Membership::Alone => drop(self.end(&held)),
            Membership::First(number) | Membership::Member(number) => {
                self.leave(&held, number, None)
            }
        }
    }

    /// Gives back a port that the system refused: it is not drawn again until it has rested.
    ///
    /// A shared port that has other peers takes in no more of them instead.
    pub fn refuse(&mut self, held: PoolLease, cause: ForeignCause, now: Instant) {
        let (index, slot) = (held.index, held.slot);
        if held.is_shared() {
            self.close_group(index, slot);
        }
        self.cancel(held);
        let now = self.seconds(now);
        if let Some(ports) = self.spaces.get_mut(usize::from(index))
            && ports.record(slot).is_none()
        {
            ports.refuse(slot, cause, now);
        }
    }

    /// How many ports of `space` are in which state.
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

    /// The spaces that have been drawn from, each with its counts.
    pub fn spaces(&self) -> impl Iterator<Item = (Space, Counts)> + '_ {
        self.spaces
            .iter()
            .map(|ports| (ports.space, ports.counts()))
    }

    /// How many ports have several peers, or may have.
    pub const fn shared(&self) -> usize {
        self.groups
    }

    /// What the pool had to do that it would rather not.
    pub const fn counters(&self) -> PoolCounters {
        self.counters
    }

    /// Ends a lease that was one peer's alone, here and wherever it held the port.
    fn end(&mut self, held: &PoolLease) -> Option<Record> {
        let record = self
            .spaces
            .get_mut(usize::from(held.index))?
            .end(held.slot)?;
        self.for_overlapping(held.index, |ports| ports.unhold(held.slot));
        self.usage.subtract(record.peer.map(|peer| peer.ip()));
        Some(record)
    }

    /// The port succeeded, and rests: for its peer if it had one, otherwise for everybody.
    fn rest(&mut self, held: &PoolLease, peer: Option<SocketAddr>, now: Seconds) {
        let PoolLease { index, slot, .. } = *held;
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

    /// Remembers for whom a port was leased.
    fn record_release(&mut self, index: u16, slot: u16, peer: PeerHash, now: Seconds) {
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            ports.record_release(slot, now);
        }
        self.for_overlapping(index, |ports| ports.record_release(slot, now));
        self.counters.quarantine_shortened += u64::from(self.recent_peers.insert(slot, peer, now));
    }

    /// Lets a port rest for everybody in every space that hears it.
    fn rest_until(&mut self, index: u16, slot: u16, until: Seconds) {
        let mut broken = 0;
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            broken += u64::from(ports.rest(slot, until));
        }
        self.for_overlapping(index, |ports| broken += u64::from(ports.rest(slot, until)));
        self.counters.quarantine_broken += broken;
    }

    /// The other spaces with a lease that takes `slot` away from `space`.
    fn holders(&self, space: Space, slot: u16) -> impl Iterator<Item = Space> + '_ {
        let overlapping = self.spaces.iter().filter(move |other| {
            other.space != space && other.space.overlaps(space) && other.record(slot).is_some()
        });
        overlapping.map(|other| other.space)
    }

    /// Does something to every other space that overlaps the one at `index`.
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
