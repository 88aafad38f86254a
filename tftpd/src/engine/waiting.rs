//! Requests that wait for a transfer to end.

use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::net::Arrival;

use super::record::Refusal;

/// A request that came when all transfers were taken.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) bytes: Box<[u8]>,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    /// On which listener it came.
    pub(super) door: usize,
    /// Why there was no room.
    pub(super) refusal: Refusal,
    pub(super) until: Instant,
}

impl Waiting {
    pub(super) fn new(arrival: &Arrival<'_>, door: usize, until: Instant) -> Self {
        Self {
            bytes: arrival.bytes.into(),
            client: arrival.client,
            local: arrival.local,
            door,
            refusal: Refusal::Busy,
            until,
        }
    }

    pub(super) fn arrival(&self) -> Arrival<'_> {
        Arrival {
            bytes: &self.bytes,
            client: self.client,
            local: self.local,
            unicast: true,
        }
    }
}

/// First come, first served; one place for each client.
#[derive(Debug)]
pub(super) struct Queue {
    line: VecDeque<Waiting>,
    clients: HashSet<SocketAddr>,
    hold: Duration,
    places: usize,
    /// When to see whether there is room again.
    look_at: Option<Instant>,
}

/// Room may be made by others than the transfers here: a port given back, a descriptor closed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Queue {
    pub(super) fn new(hold: Duration, places: usize) -> Self {
        Self {
            line: VecDeque::new(),
            clients: HashSet::new(),
            hold,
            places,
            look_at: None,
        }
    }

    /// Lets a request wait; `false` if there is no place. One that waits already keeps its place.
    pub(super) fn push(
        &mut self,
        arrival: &Arrival<'_>,
        door: usize,
        refusal: Refusal,
        now: Instant,
    ) -> bool {
        if self.clients.contains(&arrival.client) {
            return true;
        }
        if self.line.len() >= self.places || self.hold.is_zero() {
            return false;
        }
        self.clients.insert(arrival.client);
        self.line.push_back(Waiting {
            refusal,
            ..Waiting::new(arrival, door, now + self.hold)
        });
        true
    }

    /// The next one, if it is time to see whether there is room.
    pub(super) fn next(&mut self, now: Instant) -> Option<Waiting> {
        if self.look_at.is_some_and(|at| now < at) {
            return None;
        }
        self.take()
    }

    /// There was no room for the next one after all.
    pub(super) fn put_back(&mut self, waiting: Waiting, now: Instant) {
        self.clients.insert(waiting.client);
        self.line.push_front(waiting);
        self.look_at = Some(now + LOOK_EVERY);
    }

    /// A transfer has ended.
    pub(super) fn look_again(&mut self) {
        self.look_at = None;
    }

    /// The next one, if it has waited too long.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Waiting> {
        self.line.front().filter(|waiting| waiting.until <= now)?;
        self.take()
    }

    /// When there is something to do here.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let until = self.line.front()?.until;
        Some(self.look_at.map_or(until, |look_at| look_at.min(until)))
    }

    fn take(&mut self) -> Option<Waiting> {
        let waiting = self.line.pop_front()?;
        self.clients.remove(&waiting.client);
        Some(waiting)
    }

    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.clients.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(port: u16) -> Arrival<'static> {
        let local = "127.0.0.1:69".parse().expect("an address");
        Arrival {
            bytes: b"request",
            client: ([127, 0, 0, 1], port).into(),
            local,
            unicast: true,
        }
    }

    #[test]
    fn a_client_waits_once_in_the_order_of_arrival_and_not_for_ever() {
        let start = crate::net::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = Queue::new(Duration::from_millis(100), 2);
        let push =
            |queue: &mut Queue, port, ms| queue.push(&arrival(port), 0, Refusal::NoPort, at(ms));
        assert!(push(&mut queue, 1, 0) && push(&mut queue, 2, 10));
        assert!(push(&mut queue, 1, 20), "it has its place");
        assert!(!push(&mut queue, 3, 20), "no place is left");
        assert!(queue.expired(at(99)).is_none());
        assert_eq!(
            queue.expired(at(100)).map(|waiting| waiting.client.port()),
            Some(1)
        );
        let next = queue.next(at(100)).expect("one waits");
        assert_eq!(next.client.port(), 2);
        queue.put_back(next, at(100));
        assert_eq!(queue.next_look(), Some(at(110)));
        assert!(queue.next(at(101)).is_none(), "there was no room just now");
        queue.look_again();
        assert_eq!(
            queue.next(at(102)).map(|waiting| waiting.client.port()),
            Some(2)
        );
        assert_eq!(
            (queue.next(at(103)).is_none(), queue.next_look()),
            (true, None)
        );
    }
}
