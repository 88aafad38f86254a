//! Which port is free where: the pure heart of the allocator.
//!
//! A [`Pool`] knows no socket, no clock and no source of randomness; all of them are arguments. It
//! keeps one set of ports for each [`Space`] in use, and one rule between them: a port leased in
//! one space is taken in every space that overlaps it. Because one value holds all spaces, a draw
//! decides about all of them at once.

mod free;
mod ports;
mod slots;
mod space;
mod state;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ports::{Penalty, Ports, Seconds};
use rand_core::Rng;
use slots::Slots;
pub use space::{LocalAddress, Protocol, Space};
pub use state::{Counts, ForeignCause, PortState};

use crate::plan::Plan;
use crate::reserved::{Reserved, Source};

/// How a [`Pool`] treats refused ports, and how many spaces it keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a port rests after the system refused it for the first time (default 1 s, rounded
    /// up to whole seconds); each further refusal in a row doubles it.
    pub first_rest: Duration,
    /// The longest rest of a refused port (default 300 s).
    pub longest_rest: Duration,
    /// How many spaces are kept (default 64). When one more is needed, the one that has been idle
    /// longest makes room; spaces with leases stay. It bounds the memory, since on some machines a
    /// peer chooses which local address it talks to.
    pub spaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_rest: Duration::from_secs(1),
            longest_rest: Duration::from_secs(300),
            spaces: 64,
        }
    }
}

/// A port that is leased: the right, and the duty, to give it back once.
///
/// It belongs to the [`Pool`] that made it and must not be handed to another one.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "the port stays leased until it is given back to the pool"]
pub struct Held {
    place: usize,
    slot: u16,
    port: u16,
}

impl Held {
    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// Why there is no port to lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// No port is free.
    #[error("no port is free ({0})")]
    Exhausted(Counts),
    /// The pool keeps as many spaces as it may, and all of them have leases.
    #[error("leases exist for {0} local addresses, which is the limit")]
    TooManySpaces(usize),
}

/// The ports of a plan, for every protocol and local address.
///
/// ```
/// use std::net::Ipv4Addr;
/// use std::time::Instant;
/// use eport_core::pool::{Limits, Pool, Space};
/// use eport_core::{Reserved, plan};
/// # use rand_core::SeedableRng as _;
/// # let mut rng = chacha20::ChaCha8Rng::from_seed([0; 32]);
/// # let now = Instant::now();
///
/// let plan = plan(&"50000-50009".parse()?, None, &Reserved::default())?;
/// let mut pool = Pool::new(&plan, Limits::default(), now);
/// let space = Space::udp(Ipv4Addr::LOCALHOST);
///
/// let held = pool.draw(space, None, &mut rng, now)?;
/// assert!(plan.ports().contains(held.port()));
/// assert_eq!(pool.counts(space).free, 9);
/// pool.release(held);
/// assert_eq!(pool.counts(space).free, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    slots: Slots,
    left_out: Reserved,
    penalty: Penalty,
    limit: usize,
    epoch: Instant,
    /// A [`Held`] names its space by the index here, so a space with leases never moves.
    places: Vec<Ports>,
}

impl Pool {
    /// A pool with every port of `plan` free. `now` is the moment from which it counts time.
    pub fn new(plan: &Plan, limits: Limits, now: Instant) -> Self {
        let whole = |rest: Duration| {
            Seconds::try_from(rest.as_nanos().div_ceil(1_000_000_000))
                .unwrap_or(Seconds::MAX)
                .max(1)
        };
        Self {
            slots: Slots::new(plan.ports()),
            left_out: plan.left_out().clone(),
            penalty: Penalty {
                first: whole(limits.first_rest),
                longest: whole(limits.longest_rest),
            },
            limit: limits.spaces.max(1),
            epoch: now,
            places: Vec::new(),
        }
    }

    /// Leases a port of `space`, each free one equally likely; `peer` is remembered with it.
    ///
    /// # Errors
    /// [`DrawError`] when no port is free, or too many addresses have leases.
    pub fn draw<R: Rng + ?Sized>(
        &mut self,
        space: Space,
        peer: Option<SocketAddr>,
        rng: &mut R,
        now: Instant,
    ) -> Result<Held, DrawError> {
        let now = self.seconds(now);
        let place = self.place(space)?;
        let Some(ports) = self.places.get_mut(place) else {
            return Err(DrawError::TooManySpaces(self.limit));
        };
        match ports.draw(rng, peer, now) {
            Some(slot) => Ok(self.held(place, slot)),
            None => Err(DrawError::Exhausted(ports.counts())),
        }
    }

    /// Leases the foreign port of `space` that is the next to be tried again, before its time.
    ///
    /// This is for when nothing is free: what a stranger held a moment ago may be free by now.
    pub fn recheck(
        &mut self,
        space: Space,
        peer: Option<SocketAddr>,
        now: Instant,
    ) -> Option<Held> {
        let now = self.seconds(now);
        let place = self.find(space)?;
        let slot = self.places.get_mut(place)?.recheck(peer, now)?;
        Some(self.held(place, slot))
    }

    /// Gives a port back.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn release(&mut self, held: Held) {
        if let Some(ports) = self.places.get_mut(held.place) {
            ports.release(held.slot);
            self.elsewhere(held.place, |ports| ports.unhold(held.slot));
        }
    }

    /// Gives a port back that the system refused: it is not drawn again until it has rested.
    #[expect(clippy::needless_pass_by_value, reason = "a port is given back once")]
    pub fn refuse(&mut self, held: Held, cause: ForeignCause, now: Instant) {
        let (penalty, now) = (self.penalty, self.seconds(now));
        if let Some(ports) = self.places.get_mut(held.place) {
            ports.refuse(held.slot, cause, penalty, now);
            self.elsewhere(held.place, |ports| ports.unhold(held.slot));
        }
    }

    /// How many ports of `space` are in which state.
    pub fn counts(&self, space: Space) -> Counts {
        if let Some(ports) = self.find(space).and_then(|place| self.places.get(place)) {
            return ports.counts();
        }
        let range = usize::from(self.slots.len());
        let taken = |slot: &u16| self.holders(space, *slot).next().is_some();
        let overlapped = (0..self.slots.len()).filter(taken).count();
        Counts {
            range,
            free: range - overlapped,
            overlapped,
            ..Counts::default()
        }
    }

    /// The spaces that have been drawn from, each with its counts.
    pub fn spaces(&self) -> impl Iterator<Item = (Space, Counts)> + '_ {
        self.places
            .iter()
            .map(|ports| (ports.space, ports.counts()))
    }

    /// What is the case with `port` in `space`, and why.
    pub fn explain(&self, space: Space, port: u16) -> PortState {
        let Some(slot) = self.slots.slot(port) else {
            let sources: Vec<Source> = self.left_out.sources(port).collect();
            return if sources.is_empty() {
                PortState::NotInRange
            } else {
                PortState::Reserved(sources)
            };
        };
        let ports = self.find(space).and_then(|place| self.places.get(place));
        if let Some(record) = ports.and_then(|ports| ports.record(slot)) {
            return PortState::Leased {
                peer: record.peer,
                since: self.instant(record.since),
            };
        }
        if let Some(cell) = ports
            .and_then(|ports| ports.cell(slot))
            .filter(|cell| cell.until > 0)
        {
            let until = self.instant(cell.until);
            return PortState::Foreign {
                cause: cell.cause,
                refusals: cell.refusals,
                until,
            };
        }
        let holders: Vec<Space> = self.holders(space, slot).collect();
        if holders.is_empty() {
            PortState::Free
        } else {
            PortState::Overlapped(holders)
        }
    }

    /// The other spaces with a lease that takes `slot` away from `space`.
    fn holders(&self, space: Space, slot: u16) -> impl Iterator<Item = Space> + '_ {
        let overlapping = self.places.iter().filter(move |other| {
            other.space != space && other.space.overlaps(space) && other.record(slot).is_some()
        });
        overlapping.map(|other| other.space)
    }

    /// Tells the spaces that overlap about a port just leased.
    fn held(&mut self, place: usize, slot: u16) -> Held {
        self.elsewhere(place, |ports| ports.hold(slot));
        // The slot came from this pool, so it has a port; 0 is never one.
        Held {
            place,
            slot,
            port: self.slots.port(slot).unwrap_or(0),
        }
    }

    /// Does something to every other space that overlaps the one at `place`.
    fn elsewhere(&mut self, place: usize, mut change: impl FnMut(&mut Ports)) {
        if self.places.len() == 1 {
            return;
        }
        let Some(space) = self.places.get(place).map(|ports| ports.space) else {
            return;
        };
        for (index, other) in self.places.iter_mut().enumerate() {
            if index != place && other.space.overlaps(space) {
                change(other);
            }
        }
    }

    fn find(&self, space: Space) -> Option<usize> {
        self.places.iter().position(|ports| ports.space == space)
    }

    /// Where `space` is kept, making room for it if it is new.
    fn place(&mut self, space: Space) -> Result<usize, DrawError> {
        if let Some(place) = self.find(space) {
            return Ok(place);
        }
        let vacant = self.vacant().ok_or(DrawError::TooManySpaces(self.limit))?;
        let mut ports = Ports::new(space, self.slots.len());
        for other in self
            .places
            .iter()
            .filter(|other| other.space.overlaps(space))
        {
            other
                .records()
                .iter()
                .for_each(|record| ports.hold(record.slot));
        }
        match self.places.get_mut(vacant) {
            Some(idle) => *idle = ports,
            None => self.places.push(ports),
        }
        Ok(vacant)
    }

    /// Where one more space can be kept: at the end, or in place of the one idle longest.
    fn vacant(&self) -> Option<usize> {
        if self.places.len() < self.limit {
            return Some(self.places.len());
        }
        let idle = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, ports)| ports.records().is_empty());
        idle.min_by_key(|(_, ports)| ports.last_draw)
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
