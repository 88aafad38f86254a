//! The search for the port of a request.

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::Rng;

use super::cell::{Cell, Seconds};
use super::request::{Membership, PortChoice};
use super::space::SpacePorts;
use super::{DrawError, Grant, Pool, PoolLease, PoolRequest};
use crate::address::Space;
use crate::quarantine::{PeerHash, RecentPeers};

/// The constraints of a search.
struct Search<'a> {
    request: &'a PoolRequest,
    /// The indexes of the requested spaces, in the order of the request.
    spaces: &'a [u16],
    peer: Option<PeerHash>,
    now: Seconds,
}

impl Pool {
    /// Leases all requested ports or none.
    ///
    /// # Errors
    /// [`DrawError`] when there is no such port, or the client has enough of them.
    pub fn take<R: Rng + ?Sized>(
        &mut self,
        request: &PoolRequest,
        rng: &mut R,
        now: Instant,
    ) -> Result<Grant, DrawError> {
        let now = self.seconds(now);
        self.recent_peers.expire(now);
        self.check_quota(request)?;
        if request.also.is_empty() {
            let index = self.space_index(request.space, now)?;
            return self.take_in(request, &[index], rng, now);
        }
        let indexes = self.space_indexes(request, now)?;
        self.take_in(request, &indexes, rng, now)
    }

    /// Leases the foreign port whose rest ends first, before it ends.
    ///
    /// This is for when nothing is free: another program may have released the port by now.
    ///
    /// # Errors
    /// [`DrawError::Exhausted`] when no port is foreign that would do; those of
    /// [`take`](Self::take).
    pub fn recheck(&mut self, request: &PoolRequest, now: Instant) -> Result<Grant, DrawError> {
        let now = self.seconds(now);
        self.check_quota(request)?;
        let indexes = self.space_indexes(request, now)?;
        let search = Search::new(request, &indexes, now);
        let slot = match request.choice {
            PortChoice::Exactly(port) => return Err(DrawError::Unavailable(port)),
            PortChoice::Any if request.also.is_empty() => self.expire_one(search.first()),
            PortChoice::Any | PortChoice::Pair => self.earliest_foreign(&search),
        };
        let slot = slot.ok_or_else(|| self.exhausted(&search))?;
        Ok(self.grant(&search, slot, false))
    }

    /// Ends the rest of the foreign port of one space whose rest ends first, and returns it if it is
    /// free then.
    fn expire_one(&mut self, index: u16) -> Option<u16> {
        let ports = self.spaces.get_mut(usize::from(index))?;
        while let Some(slot) = ports.expire_earliest() {
            if ports.is_free(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// Returns the foreign port whose rest ends first, of those that suit the request otherwise.
    fn earliest_foreign(&self, search: &Search<'_>) -> Option<u16> {
        let step = u16::from(matches!(search.request.choice, PortChoice::Pair));
        let foreign = self.searched(search).flat_map(SpacePorts::foreign);
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
            let mut cells = self.searched(search).map(|ports| ports.cell(slot));
            cells.all(|cell| cell.is_some_and(|cell| cell.is_available() && !cell.rests))
        };
        let odd = || self.odd_after(slot).is_some_and(unheld);
        unheld(slot) && (!matches!(search.request.choice, PortChoice::Pair) || odd())
    }

    fn take_in<R: Rng + ?Sized>(
        &mut self,
        request: &PoolRequest,
        indexes: &[u16],
        rng: &mut R,
        now: Seconds,
    ) -> Result<Grant, DrawError> {
        for index in indexes {
            if let Some(ports) = self.spaces.get_mut(usize::from(*index)) {
                ports.release_due(now);
            }
        }
        let search = Search::new(request, indexes, now);
        match request.choice {
            PortChoice::Exactly(port) => self.take_exactly(&search, port),
            PortChoice::Any | PortChoice::Pair => self.take_any(&search, rng),
        }
    }

    fn take_exactly(&mut self, search: &Search<'_>, port: u16) -> Result<Grant, DrawError> {
        let slot = self.slots.slot(port).filter(|slot| {
            let mut cells = self.searched(search).map(|ports| ports.cell(*slot));
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
        let sharing = self.sharing_now(search.request, search.first());
        if let Some((_, peer)) = sharing
            && !self.has_unkept(search)
            && let Some(lease) = self.join(search.first(), peer, rng)
        {
            return Ok(Grant::One(lease));
        }
        let slot = self
            .choose(search, rng)
            .ok_or_else(|| self.exhausted(search))?;
        Ok(match sharing {
            Some((sharing, peer)) => {
                let index = search.first();
                Grant::One(self.open(index, slot, sharing, peer, search.now))
            }
            None => self.grant(search, slot, true),
        })
    }

    /// Chooses a port that has rested if there is one, otherwise the one that has rested longest.
    fn choose<R: Rng + ?Sized>(&mut self, search: &Search<'_>, rng: &mut R) -> Option<u16> {
        while self.may_have_another(search) {
            let ports = self.spaces.get_mut(usize::from(search.first()))?;
            let start = ports.start(search.request.peer, rng, search.now);
            let ports = self.spaces.get(usize::from(search.first()))?;
            let rested = |slot| self.suits(search, slot) && !search.rests(&self.recent_peers, slot);
            if let Some(slot) = ports.pick(start, rng, rested) {
                return Some(slot);
            }
            if let Some(slot) = ports.longest_rested(|slot| self.suits(search, slot)) {
                self.counters.quarantine_broken += 1;
                return Some(slot);
            }
            if !self.end_one_rest(search) {
                return None;
            }
        }
        None
    }

    /// Returns true if free ports are left besides the reserve; ends rests early if not.
    fn may_have_another(&mut self, search: &Search<'_>) -> bool {
        while !self.has_unkept(search) {
            if !self.end_one_rest(search) {
                return false;
            }
        }
        true
    }

    fn has_unkept(&self, search: &Search<'_>) -> bool {
        let kept = if search.request.from_reserve {
            0
        } else {
            usize::from(self.policy.keep_free)
        };
        self.searched(search).all(|ports| ports.free() > kept)
    }

    /// Ends one rest early, in the space with the fewest free ports.
    fn end_one_rest(&mut self, search: &Search<'_>) -> bool {
        let mut indexes: Vec<u16> = search.spaces.to_vec();
        indexes.sort_by_key(|index| {
            self.spaces
                .get(usize::from(*index))
                .map_or(0, SpacePorts::free)
        });
        let ended = indexes.into_iter().any(|index| {
            self.spaces
                .get_mut(usize::from(index))
                .is_some_and(SpacePorts::end_longest_rest)
        });
        self.counters.quarantine_broken += u64::from(ended);
        ended
    }

    /// Returns true if a port that is free in the first space suits the whole request.
    fn suits(&self, search: &Search<'_>, slot: u16) -> bool {
        let is_pair = matches!(search.request.choice, PortChoice::Pair);
        if is_pair && !self.begins_pair(search, slot) {
            return false;
        }
        let mut others = self.searched(search).skip(1);
        others.all(|ports| ports.is_free(slot))
    }

    fn begins_pair(&self, search: &Search<'_>, slot: u16) -> bool {
        let odd = self.odd_after(slot);
        odd.is_some_and(|odd| self.searched(search).all(|ports| ports.is_free(odd)))
    }

    /// Returns the slot of the odd port after the one of `slot`, if that is even.
    fn odd_after(&self, slot: u16) -> Option<u16> {
        let port = self.slots.port(slot).filter(|port| port % 2 == 0)?;
        self.slots.slot(port + 1)
    }

    fn searched(&self, search: &Search<'_>) -> impl Iterator<Item = &SpacePorts> {
        search
            .spaces
            .iter()
            .filter_map(|index| self.spaces.get(usize::from(*index)))
    }

    fn exhausted(&self, search: &Search<'_>) -> DrawError {
        let fewest = self.searched(search).min_by_key(|ports| ports.free());
        DrawError::Exhausted(fewest.map(SpacePorts::counts).unwrap_or_default())
    }

    /// Leases a slot in all requested spaces.
    fn grant(&mut self, search: &Search<'_>, slot: u16, chosen: bool) -> Grant {
        let (peer, now) = (search.request.peer, search.now);
        let first = self.lease(search.first(), slot, peer, now, chosen);
        let others = search.spaces.iter().skip(1);
        let others = others.map(|index| (*index, slot));
        // Slots are numbered in the order of ports: the odd one is the next.
        let is_pair = matches!(search.request.choice, PortChoice::Pair);
        let odd = is_pair.then(|| (search.first(), slot + 1));
        if search.spaces.len() == 1 && odd.is_none() {
            return Grant::One(first);
        }
        let mut all = vec![first];
        for (index, slot) in others.chain(odd) {
            all.push(self.lease(index, slot, peer, now, false));
        }
        Grant::Several(all)
    }

    pub(super) fn lease(
        &mut self,
        index: u16,
        slot: u16,
        peer: Option<SocketAddr>,
        now: Seconds,
        chosen: bool,
    ) -> PoolLease {
        if let Some(ports) = self.spaces.get_mut(usize::from(index)) {
            ports.lease(slot, peer, now, chosen);
        }
        self.for_overlapping(index, |ports| ports.hold(slot));
        self.usage.add(peer.map(|peer| peer.ip()));
        PoolLease {
            index,
            slot,
            // The slot came from this pool, so it has a port; 0 is never one.
            port: self.slots.port(slot).unwrap_or(0),
            membership: Membership::Alone,
        }
    }

    fn check_quota(&self, request: &PoolRequest) -> Result<(), DrawError> {
        let client = request.peer.map(|peer| peer.ip());
        let admitted = self.usage.check(client);
        admitted.map_err(|(prefix, limit)| DrawError::QuotaReached { prefix, limit })
    }

    /// Returns the indexes of the spaces of a request.
    fn space_indexes(
        &mut self,
        request: &PoolRequest,
        now: Seconds,
    ) -> Result<Vec<u16>, DrawError> {
        for space in request.spaces() {
            self.space_index(space, now)?;
        }
        // Making room for one of them may have evicted another one.
        let indexes: Option<Vec<u16>> = request.spaces().map(|space| self.find(space)).collect();
        indexes.ok_or(DrawError::TooManySpaces(self.limit()))
    }

    /// Returns the index of `space`, making room for it if it is new.
    fn space_index(&mut self, space: Space, now: Seconds) -> Result<u16, DrawError> {
        if let Some(index) = self.find(space) {
            return Ok(index);
        }
        let vacant = self
            .vacant()
            .ok_or(DrawError::TooManySpaces(self.limit()))?;
        let mut ports = SpacePorts::new(space, self.slots.len(), &self.policy);
        ports.last_draw = now;
        ports.reserve(&self.slots, &self.withheld.union());
        for other in self
            .spaces
            .iter()
            .filter(|other| other.space.overlaps(space))
        {
            self.counters.quarantine_broken += ports.copy_overlapping(other);
        }
        self.foreign.mark_in(&mut ports, now);
        match self.spaces.get_mut(usize::from(vacant)) {
            Some(idle) => {
                self.counters.spaces_evicted += u64::from(idle.has_rests());
                *idle = ports;
            }
            None => self.spaces.push(ports),
        }
        Ok(vacant)
    }

    /// Returns the index for a new space: the end, or that of the space idle longest.
    fn vacant(&self) -> Option<u16> {
        if self.spaces.len() < self.limit() {
            return u16::try_from(self.spaces.len()).ok();
        }
        let all = (0..).zip(&self.spaces);
        let idle = all.filter(|(_, ports)| !ports.has_leases());
        idle.min_by_key(|(_, ports)| ports.last_draw)
            .map(|(index, _)| index)
    }

    fn limit(&self) -> usize {
        self.policy.max_spaces.clamp(1, usize::from(u16::MAX))
    }
}

impl<'a> Search<'a> {
    fn new(request: &'a PoolRequest, spaces: &'a [u16], now: Seconds) -> Self {
        Self {
            request,
            spaces,
            peer: request.peer.map(PeerHash::new),
            now,
        }
    }

    fn first(&self) -> u16 {
        self.spaces.first().copied().unwrap_or(0)
    }

    fn rests(&self, memory: &RecentPeers, slot: u16) -> bool {
        self.peer.is_some_and(|peer| memory.contains(slot, peer))
    }
}
