//! How a request finds its port.

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::Rng;

use super::cell::{Cell, Seconds};
use super::space::Ports;
use super::want::{Share, Which};
use super::{DrawError, Grant, Held, Pool, Want};
use crate::address::Space;
use crate::quarantine::{Memory, PeerHash};

/// What a search is to keep to.
struct Search<'a> {
    want: &'a Want,
    /// Where the port is wanted, in the order of the request.
    places: &'a [u16],
    peer: Option<PeerHash>,
    now: Seconds,
}

impl Pool {
    /// Leases what is wanted: all of it or nothing.
    ///
    /// # Errors
    /// [`DrawError`] when there is no such port, or the client has enough of them.
    pub fn take<R: Rng + ?Sized>(
        &mut self,
        want: &Want,
        rng: &mut R,
        now: Instant,
    ) -> Result<Grant, DrawError> {
        let now = self.seconds(now);
        self.memory.grow_older(now);
        self.admit(want)?;
        if want.also.is_empty() {
            let place = self.place(want.space, now)?;
            return self.take_in(want, &[place], rng, now);
        }
        let places = self.all_places(want, now)?;
        self.take_in(want, &places, rng, now)
    }

    /// Leases the foreign port that is the next to be tried again, before its time.
    ///
    /// This is for when nothing is free: what a stranger held a moment ago may be free by now.
    ///
    /// # Errors
    /// [`DrawError::Exhausted`] when no port is foreign that would do; those of
    /// [`take`](Self::take).
    pub fn recheck(&mut self, want: &Want, now: Instant) -> Result<Grant, DrawError> {
        let now = self.seconds(now);
        self.admit(want)?;
        let places = self.all_places(want, now)?;
        let search = Search::new(want, &places, now);
        let slot = match want.which {
            Which::Exactly(port) => return Err(DrawError::Unavailable(port)),
            Which::Any if want.also.is_empty() => self.pardon_one(search.first()),
            Which::Any | Which::Pair => self.earliest_foreign(&search),
        };
        let slot = slot.ok_or_else(|| self.exhausted(&search))?;
        Ok(self.grant(&search, slot, false))
    }

    /// The foreign port of one space whose rest ends first, no longer foreign and free.
    fn pardon_one(&mut self, place: u16) -> Option<u16> {
        let ports = self.places.get_mut(usize::from(place))?;
        while let Some(slot) = ports.pardon_earliest() {
            if ports.is_free(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// The port whose rest ends first of those that would do if they were not foreign.
    fn earliest_foreign(&self, search: &Search<'_>) -> Option<u16> {
        let step = u16::from(matches!(search.want.which, Which::Pair));
        let foreign = self.everywhere(search).flat_map(Ports::foreign);
        // Either port of a pair may be the one that is foreign.
        let candidates = foreign.flat_map(|(until, slot)| {
            let before = slot.checked_sub(step).filter(|_| step > 0);
            std::iter::once(slot)
                .chain(before)
                .map(move |slot| (until, slot))
        });
        let suiting = candidates.filter(|(_, slot)| self.would_suit(search, *slot));
        suiting.min().map(|(_, slot)| slot)
    }

    fn would_suit(&self, search: &Search<'_>, slot: u16) -> bool {
        let unheld = |slot: u16| {
            let mut cells = self.everywhere(search).map(|ports| ports.cell(slot));
            cells.all(|cell| cell.is_some_and(|cell| cell.is_available() && !cell.rests))
        };
        let odd = || self.odd_after(slot).is_some_and(unheld);
        unheld(slot) && (!matches!(search.want.which, Which::Pair) || odd())
    }

    fn take_in<R: Rng + ?Sized>(
        &mut self,
        want: &Want,
        places: &[u16],
        rng: &mut R,
        now: Seconds,
    ) -> Result<Grant, DrawError> {
        for place in places {
            if let Some(ports) = self.places.get_mut(usize::from(*place)) {
                ports.forgive(now);
            }
        }
        let search = Search::new(want, places, now);
        match want.which {
            Which::Exactly(port) => self.take_exactly(&search, port),
            Which::Any | Which::Pair => self.take_any(&search, rng),
        }
    }

    fn take_exactly(&mut self, search: &Search<'_>, port: u16) -> Result<Grant, DrawError> {
        let slot = self.slots.slot(port).filter(|slot| {
            let mut cells = self.everywhere(search).map(|ports| ports.cell(*slot));
            cells.all(|cell| cell.is_some_and(Cell::is_available))
        });
        let slot = slot.ok_or(DrawError::Unavailable(port))?;
        Ok(self.grant(search, slot, false))
    }

    fn take_any<R: Rng + ?Sized>(
        &mut self,
        search: &Search<'_>,
        rng: &mut R,
    ) -> Result<Grant, DrawError> {
        let sharing = self.sharing_now(search.want, search.first());
        if let Some((_, peer)) = sharing
            && !self.has_unkept(search)
            && let Some(held) = self.join(search.first(), peer, rng)
        {
            return Ok(Grant::One(held));
        }
        let slot = self
            .choose(search, rng)
            .ok_or_else(|| self.exhausted(search))?;
        Ok(match sharing {
            Some((sharing, peer)) => {
                let place = search.first();
                Grant::One(self.open(place, slot, sharing, peer, search.now))
            }
            None => self.grant(search, slot, true),
        })
    }

    /// A port that has rested if there is one, otherwise the one that has rested longest.
    fn choose<R: Rng + ?Sized>(&mut self, search: &Search<'_>, rng: &mut R) -> Option<u16> {
        while self.may_have_another(search) {
            let ports = self.places.get_mut(usize::from(search.first()))?;
            let start = ports.start(search.want.peer, rng, search.now);
            let ports = self.places.get(usize::from(search.first()))?;
            let rested = |slot| self.suits(search, slot) && !search.rests(&self.memory, slot);
            if let Some(slot) = ports.pick(start, rng, rested) {
                return Some(slot);
            }
            if let Some(slot) = ports.longest_rested(|slot| self.suits(search, slot)) {
                self.tally.quarantine_broken += 1;
                return Some(slot);
            }
            if !self.wake_one(search) {
                return None;
            }
        }
        None
    }

    /// Whether free ports are left that are not kept for others; wakes ports that rest if not.
    fn may_have_another(&mut self, search: &Search<'_>) -> bool {
        while !self.has_unkept(search) {
            if !self.wake_one(search) {
                return false;
            }
        }
        true
    }

    fn has_unkept(&self, search: &Search<'_>) -> bool {
        let kept = if search.want.from_reserve {
            0
        } else {
            usize::from(self.rules.keep_free)
        };
        self.everywhere(search).all(|ports| ports.free() > kept)
    }

    /// Lets one port go that rests for everybody, where the fewest ports are free.
    fn wake_one(&mut self, search: &Search<'_>) -> bool {
        let mut places: Vec<u16> = search.places.to_vec();
        places.sort_by_key(|place| self.places.get(usize::from(*place)).map_or(0, Ports::free));
        let woken = places.into_iter().any(|place| {
            self.places
                .get_mut(usize::from(place))
                .is_some_and(Ports::wake_longest_rested)
        });
        self.tally.quarantine_broken += u64::from(woken);
        woken
    }

    /// Whether a port that is free in the first place does for the whole request.
    fn suits(&self, search: &Search<'_>, slot: u16) -> bool {
        let is_pair = matches!(search.want.which, Which::Pair);
        if is_pair && !self.begins_pair(search, slot) {
            return false;
        }
        let mut others = self.everywhere(search).skip(1);
        others.all(|ports| ports.is_free(slot))
    }

    fn begins_pair(&self, search: &Search<'_>, slot: u16) -> bool {
        let odd = self.odd_after(slot);
        odd.is_some_and(|odd| self.everywhere(search).all(|ports| ports.is_free(odd)))
    }

    /// The slot of the odd port after the one of `slot`, if that is even.
    fn odd_after(&self, slot: u16) -> Option<u16> {
        let port = self.slots.port(slot).filter(|port| port % 2 == 0)?;
        self.slots.slot(port + 1)
    }

    fn everywhere(&self, search: &Search<'_>) -> impl Iterator<Item = &Ports> {
        search
            .places
            .iter()
            .filter_map(|place| self.places.get(usize::from(*place)))
    }

    fn exhausted(&self, search: &Search<'_>) -> DrawError {
        let fewest = self.everywhere(search).min_by_key(|ports| ports.free());
        DrawError::Exhausted(fewest.map(Ports::counts).unwrap_or_default())
    }

    /// Leases a slot wherever it is wanted.
    fn grant(&mut self, search: &Search<'_>, slot: u16, chosen: bool) -> Grant {
        let (peer, now) = (search.want.peer, search.now);
        let first = self.lease(search.first(), slot, peer, now, chosen);
        let others = search.places.iter().skip(1);
        let others = others.map(|place| (*place, slot));
        // Slots are numbered in the order of ports: the odd one is the next.
        let is_pair = matches!(search.want.which, Which::Pair);
        let odd = is_pair.then(|| (search.first(), slot + 1));
        if search.places.len() == 1 && odd.is_none() {
            return Grant::One(first);
        }
        let mut all = vec![first];
        for (place, slot) in others.chain(odd) {
            all.push(self.lease(place, slot, peer, now, false));
        }
        Grant::Several(all)
    }

    pub(super) fn lease(
        &mut self,
        place: u16,
        slot: u16,
        peer: Option<SocketAddr>,
        now: Seconds,
        chosen: bool,
    ) -> Held {
        if let Some(ports) = self.places.get_mut(usize::from(place)) {
            ports.lease(slot, peer, now, chosen);
        }
        self.elsewhere(place, |ports| ports.hold(slot));
        self.usage.add(peer.map(|peer| peer.ip()));
        Held {
            place,
            slot,
            // The slot came from this pool, so it has a port; 0 is never one.
            port: self.slots.port(slot).unwrap_or(0),
            share: Share::Alone,
        }
    }

    fn admit(&self, want: &Want) -> Result<(), DrawError> {
        let client = want.peer.map(|peer| peer.ip());
        let admitted = self.usage.admit(client);
        admitted.map_err(|(client, limit)| DrawError::QuotaReached { client, limit })
    }

    /// Where the spaces of a request are kept.
    fn all_places(&mut self, want: &Want, now: Seconds) -> Result<Vec<u16>, DrawError> {
        for space in want.spaces() {
            self.place(space, now)?;
        }
        // Making room for one of them may have cost another one its place.
        let places: Option<Vec<u16>> = want.spaces().map(|space| self.find(space)).collect();
        places.ok_or(DrawError::TooManySpaces(self.limit()))
    }

    /// Where `space` is kept, making room for it if it is new.
    fn place(&mut self, space: Space, now: Seconds) -> Result<u16, DrawError> {
        if let Some(place) = self.find(space) {
            return Ok(place);
        }
        let vacant = self
            .vacant()
            .ok_or(DrawError::TooManySpaces(self.limit()))?;
        let mut ports = Ports::new(space, self.slots.len(), &self.rules);
        ports.last_draw = now;
        ports.reserve(&self.slots, &self.withheld.union());
        for other in self
            .places
            .iter()
            .filter(|other| other.space.overlaps(space))
        {
            self.tally.quarantine_broken += ports.learn(other);
        }
        self.strangers.tell(&mut ports, now);
        match self.places.get_mut(usize::from(vacant)) {
            Some(idle) => {
                self.tally.spaces_forgotten += u64::from(idle.has_rests());
                *idle = ports;
            }
            None => self.places.push(ports),
        }
        Ok(vacant)
    }

    /// Where one more space can be kept: at the end, or in place of the one idle longest.
    fn vacant(&self) -> Option<u16> {
        if self.places.len() < self.limit() {
            return u16::try_from(self.places.len()).ok();
        }
        let all = (0..).zip(&self.places);
        let idle = all.filter(|(_, ports)| !ports.has_leases());
        idle.min_by_key(|(_, ports)| ports.last_draw)
            .map(|(place, _)| place)
    }

    fn limit(&self) -> usize {
        self.rules.limits.spaces.clamp(1, usize::from(u16::MAX))
    }
}

impl<'a> Search<'a> {
    fn new(want: &'a Want, places: &'a [u16], now: Seconds) -> Self {
        Self {
            want,
            places,
            peer: want.peer.map(PeerHash::of),
            now,
        }
    }

    fn first(&self) -> u16 {
        self.places.first().copied().unwrap_or(0)
    }

    fn rests(&self, memory: &Memory, slot: u16) -> bool {
        self.peer.is_some_and(|peer| memory.has(slot, peer))
    }
}
