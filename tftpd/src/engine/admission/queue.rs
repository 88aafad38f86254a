//! Requests that wait for a free transfer.

use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::request::{Incoming, WaitingRequest};
use crate::engine::record::Rejection;

/// A bounded FIFO queue with one entry per client.
#[derive(Debug)]
pub(super) struct RequestQueue {
    requests: VecDeque<WaitingRequest>,
    clients: HashSet<SocketAddr>,
    hold: Duration,
    capacity: usize,
    /// The time of the next retry.
    retry_at: Option<Instant>,
}

/// Capacity may be freed outside of this thread: a port of another one, a descriptor.
const RETRY_EVERY: Duration = Duration::from_millis(50);

impl RequestQueue {
    pub(super) fn new(hold: Duration, capacity: usize) -> Self {
        Self {
            requests: VecDeque::new(),
            clients: HashSet::new(),
            hold,
            capacity,
            retry_at: None,
        }
    }

    /// Queues a request; returns false if the queue is full. The queued request of a client keeps
    /// its position, and a further one is dropped.
    pub(super) fn push(
        &mut self,
        incoming: &Incoming<'_>,
        reason: Rejection,
        now: Instant,
    ) -> bool {
        let client = incoming.path.client;
        if self.clients.contains(&client) {
            return true;
        }
        if self.requests.len() >= self.capacity || self.hold.is_zero() {
            return false;
        }
        self.clients.insert(client);
        let waiting = incoming.to_waiting(reason, now + self.hold);
        self.requests.push_back(waiting);
        true
    }

    /// Removes the first request, if it is time for a retry.
    pub(super) fn next(&mut self, now: Instant) -> Option<WaitingRequest> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        self.pop()
    }

    /// Puts the request of [`next`](Self::next) back after a retry that failed.
    pub(super) fn put_back(&mut self, waiting: WaitingRequest, now: Instant) {
        self.clients.insert(waiting.path.client);
        self.requests.push_front(waiting);
        self.retry_at = Some(now + RETRY_EVERY);
    }

    /// Allows a retry immediately: a transfer has ended.
    pub(super) fn retry(&mut self) {
        self.retry_at = None;
    }

    /// Removes the first request if it has waited too long.
    pub(super) fn expired(&mut self, now: Instant) -> Option<WaitingRequest> {
        self.requests
            .front()
            .filter(|waiting| waiting.until <= now)?;
        self.pop()
    }

    /// Returns the time of the next retry or expiry.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let until = self.requests.front()?.until;
        Some(self.retry_at.map_or(until, |at| at.min(until)))
    }

    /// Drops all requests.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
        self.clients.clear();
    }

    fn pop(&mut self) -> Option<WaitingRequest> {
        let waiting = self.requests.pop_front()?;
        self.clients.remove(&waiting.path.client);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::admission::request::ReplyPath,
        proto::{Direction, Mode, Options, Request},
    };

    fn incoming(port: u16) -> Incoming<'static> {
        Incoming {
            request: Request {
                direction: Direction::Read,
                filename: b"x",
                mode: Mode::Octet,
                options: Options::default(),
            },
            path: ReplyPath {
                listener: 0,
                local: "127.0.0.1:69".parse().expect("an address"),
                client: ([127, 0, 0, 1], port).into(),
            },
            digest: 1,
        }
    }

    fn port(waiting: Option<WaitingRequest>) -> Option<u16> {
        waiting.map(|waiting| waiting.path.client.port())
    }

    #[test]
    fn a_client_waits_once_in_the_order_of_arrival_and_for_a_limited_time() {
        let start = crate::net::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = RequestQueue::new(Duration::from_millis(100), 2);
        let push = |queue: &mut RequestQueue, port, ms| {
            queue.push(&incoming(port), Rejection::NoPort, at(ms))
        };
        assert!(push(&mut queue, 1, 0) && push(&mut queue, 2, 10));
        assert!(push(&mut queue, 1, 20), "it keeps its position");
        assert!(!push(&mut queue, 3, 20), "the queue is full");
        assert!(queue.expired(at(99)).is_none());
        assert_eq!(port(queue.expired(at(100))), Some(1));
        let next = queue.next(at(100)).expect("one waits");
        assert_eq!(next.path.client.port(), 2);
        queue.put_back(next, at(100));
        assert_eq!(queue.next_deadline(), Some(at(110)));
        assert!(queue.next(at(101)).is_none(), "too early for a retry");
        queue.retry();
        assert_eq!(port(queue.next(at(102))), Some(2));
        assert_eq!(
            (queue.next(at(103)).is_none(), queue.next_deadline()),
            (true, None)
        );
    }

    #[test]
    fn a_queue_without_a_hold_takes_no_request() {
        let mut queue = RequestQueue::new(Duration::ZERO, 9);
        assert!(!queue.push(&incoming(1), Rejection::NoPort, crate::net::now()));
    }

    #[test]
    fn a_retry_that_failed_is_repeated_without_the_end_of_a_transfer() {
        let start = crate::net::now();
        let mut queue = RequestQueue::new(Duration::from_secs(1), 2);
        assert!(queue.push(&incoming(1), Rejection::NoPort, start));
        let waiting = queue.next(start).expect("one waits");
        queue.put_back(waiting, start);
        assert_eq!(queue.next_deadline(), Some(start + RETRY_EVERY));
        assert_eq!(port(queue.next(start + RETRY_EVERY)), Some(1));
    }
}
