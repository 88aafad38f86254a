//! Which port is free where: the pure heart of the allocator.
//!
//! A [`Pool`] knows no socket, no clock and no source of randomness; all of them are arguments. It
//! keeps one set of ports for each [`Space`] in use, and one rule between them: a port leased in
//! one space is taken in every space that overlaps it. Because one value holds all spaces, a draw
//! decides about all of them at once.

mod cell;
mod draw;
mod explain;
mod free;
mod group;
mod index;
mod outside;
mod quota;
mod rules;
mod share;
mod slots;
mod space;
mod state;
mod want;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use cell::ForeignCause;
use cell::{Seconds, Standing};
pub use group::Sharing;
use outside::Strangers;
use quota::Usage;
pub use quota::{Client, Quota};
use rand_core::Rng;
use rules::whole;
pub use rules::{Limits, Rules};
use slots::Slots;
use space::{Ports, Record};
pub use state::{Counts, PortState};
use want::Share;
pub use want::{Grant, Held, Want};

use crate::address::Space;
use crate::plan::Plan;
use crate::ports::Reserved;
use crate::quarantine::{Memory, PeerHash};

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
/// use eport_core::pool::{Pool, Rules};
/// use eport_core::{Reserved, Space, plan};
/// # use rand_core::SeedableRng as _;
/// # let mut rng = chacha20::ChaCha8Rng::from_seed([0; 32]);
/// # let now = Instant::now();
///
/// let plan = plan(&"50000-50009".parse()?, None, &Reserved::default())?;
/// let mut pool = Pool::new(&plan, Rules::default(), now);
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
    strangers: Strangers,
    rules: Rules,
    /// How long ports without a peer rest, in whole seconds.
    any_peer: Seconds,
    epoch: Instant,
    /// A [`Held`] names its space by the index here, so a space with leases never moves.
    places: Vec<Ports>,
    usage: Usage,
    /// Who used which port, in whatever space: a peer that talks to two addresses of this machine may
    /// as well avoid a port on both.
    memory: Memory,
    /// How many records have a group.
    groups: usize,
    tally: Tally,
}

/// What a [`Pool`] had to do that it would rather not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tally {
    /// Ports that were let go before they had rested, because too few others were left.
    pub quarantine_broken: u64,
    /// How often peers had to be forgotten before their rest was over, because there were more of them
    /// than can be remembered.
    pub quarantine_shortened: u64,
    /// Spaces that made room for another one while ports rested there.
    pub spaces_forgotten: u64,
}

impl Pool {
    /// A pool with every port of `plan` free. `now` is the moment from which it counts time.
    pub fn new(plan: &Plan, rules: impl Into<Rules>, now: Instant) -> Self {
        let rules = rules.into();
        let slots = Slots::new(plan.ports());
        Self {
            left_out: plan.left_out().clone(),
            withheld: Reserved::nothing(),
            strangers: Strangers::default(),
            epoch: now,
            places: Vec::new(),
            usage: Usage::new(rules.quota),
            any_peer: whole(rules.quarantine.any_peer),
            memory: Memory::new(slots.len(), whole(rules.quarantine.same_peer)),
            groups: 0,
            tally: Tally::default(),
            slots,
            rules,
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
    ) -> Result<Held, DrawError> {
        match self.take(&Want::new(space).peer(peer), rng, now)? {
            Grant::One(held) => Ok(held),
            // A request for one port in one space is not given several.
            Grant::Several(_) => Err(DrawError::Exhausted(self.counts(space))),
        }
    }

    /// Gives back a port that was used; it rests as the [`Rules`] say.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn release(&mut self, held: Held, now: Instant) {
        let now = self.seconds(now);
        if let Share::First(number) | Share::Member(number) = held.share {
            self.leave(&held, number, Some(now));
        } else if let Some(record) = self.end(&held) {
            self.rest(&held, record.peer, now);
        }
    }

    /// Gives back a port that was never used: nothing can come late, so it does not rest.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn cancel(&mut self, held: Held) {
        match held.share {
            Share::Alone => drop(self.end(&held)),
            Share::First(number) | Share::Member(number) => self.leave(&held, number, None),
        }
    }

    /// Gives back a port that the system refused: it is not drawn again until it has rested.
    ///
    /// A shared port that has other peers takes in no more of them instead.
    pub fn refuse(&mut self, held: Held, cause: ForeignCause, now: Instant) {
        let (place, slot) = (held.place, held.slot);
        if held.is_shared() {
            self.close_group(place, slot);
        }
        self.cancel(held);
        let now = self.seconds(now);
        if let Some(ports) = self.places.get_mut(usize::from(place))
            && ports.record(slot).is_none()
        {
            ports.refuse(slot, cause, now);
        }
    }

    /// How many ports of `space` are in which state.
    pub fn counts(&self, space: Space) -> Counts {
        if let Some(ports) = self
            .find(space)
            .and_then(|place| self.places.get(usize::from(place)))
        {
            return ports.counts();
        }
        let mut counts = Counts::all_free(self.slots.len());
        let withheld = self.withheld.union();
        for slot in 0..self.slots.len() {
            let standing = if self
                .slots
                .port(slot)
                .is_some_and(|port| withheld.contains(port))
            {
                Standing::Reserved
            } else if self.holders(space, slot).next().is_some() {
                Standing::Overlapped
            } else {
                continue;
            };
            counts.free -= 1;
            *counts.of(standing) += 1;
        }
        counts
    }

    /// The spaces that have been drawn from, each with its counts.
    pub fn spaces(&self) -> impl Iterator<Item = (Space, Counts)> + '_ {
        self.places
            .iter()
            .map(|ports| (ports.space, ports.counts()))
    }

    /// How many ports have several peers, or may have.
    pub const fn shared(&self) -> usize {
        self.groups
    }

    /// What the pool had to do that it would rather not.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Ends a lease that was one peer's alone, here and wherever it held the port.
    fn end(&mut self, held: &Held) -> Option<Record> {
        let record = self
            .places
            .get_mut(usize::from(held.place))?
            .end(held.slot)?;
        self.elsewhere(held.place, |ports| ports.unhold(held.slot));
        self.usage.subtract(record.peer.map(|peer| peer.ip()));
        Some(record)
    }

    /// The port worked, and rests: for its peer if it had one, otherwise for everybody.
    fn rest(&mut self, held: &Held, peer: Option<SocketAddr>, now: Seconds) {
        let Held { place, slot, .. } = *held;
        if let Some(ports) = self.places.get_mut(usize::from(place)) {
            ports.worked(slot);
        }
        match peer {
            Some(peer) => self.remember(place, slot, PeerHash::of(peer), now),
            None if self.any_peer > 0 => {
                // `now` is rounded down: one second more, or the rest would be too short.
                let until = now.saturating_add(self.any_peer).saturating_add(1);
                self.rest_until(place, slot, until);
            }
            None => {}
        }
    }

    /// Remembers for whom a port was leased.
    fn remember(&mut self, place: u16, slot: u16, peer: PeerHash, now: Seconds) {
        if let Some(ports) = self.places.get_mut(usize::from(place)) {
            ports.remember(slot, now);
        }
        self.elsewhere(place, |ports| ports.remember(slot, now));
        self.tally.quarantine_shortened += u64::from(self.memory.note(slot, peer, now));
    }

    /// Lets a port rest for everybody in every space that hears it.
    fn rest_until(&mut self, place: u16, slot: u16, until: Seconds) {
        let mut broken = 0;
        if let Some(ports) = self.places.get_mut(usize::from(place)) {
            broken += u64::from(ports.rest(slot, until));
        }
        self.elsewhere(place, |ports| broken += u64::from(ports.rest(slot, until)));
        self.tally.quarantine_broken += broken;
    }

    /// The other spaces with a lease that takes `slot` away from `space`.
    fn holders(&self, space: Space, slot: u16) -> impl Iterator<Item = Space> + '_ {
        let overlapping = self.places.iter().filter(move |other| {
            other.space != space && other.space.overlaps(space) && other.record(slot).is_some()
        });
        overlapping.map(|other| other.space)
    }

    /// Does something to every other space that overlaps the one at `place`.
    fn elsewhere(&mut self, place: u16, mut change: impl FnMut(&mut Ports)) {
        if self.places.len() == 1 {
            return;
        }
        let Some(space) = self.places.get(usize::from(place)).map(|ports| ports.space) else {
            return;
        };
        for (index, other) in (0..).zip(&mut self.places) {
            if index != place && other.space.overlaps(space) {
                change(other);
            }
        }
    }

    fn find(&self, space: Space) -> Option<u16> {
        let mut places = (0..).zip(&self.places);
        places
            .find(|(_, ports)| ports.space == space)
            .map(|(place, _)| place)
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
