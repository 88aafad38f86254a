//! A resource behind a mutex, with a FIFO queue of requests that wait for it.
//!
//! The code is independent of ports, and takes its lock from `sync`, so that a model checker can run
//! every interleaving of it with a lock of its own.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Poll, Waker};

use super::sync::{Mutex, lock};

/// The resource that a [`WaitQueue`] hands out.
pub(super) trait Resource {
    /// A request.
    type Request;
    /// The item that a request is given.
    type Item;
    /// The reason why a request is given nothing.
    type Error;
    /// A moment.
    type Now: Copy + PartialOrd;

    /// Hands out an item, if there is one for the request.
    fn take(&mut self, request: &Self::Request, now: Self::Now) -> Result<Self::Item, Self::Error>;

    /// Returns true if a request may wait after this error.
    fn is_temporary(error: &Self::Error) -> bool;

    /// Returns true if there is certainly nothing for `other` while there is nothing for `failed`.
    fn implies_none_for(failed: &Self::Request, other: &Self::Request) -> bool;
}

/// A resource behind a mutex, with a FIFO queue of waiters.
///
/// Every item that comes back is offered to the waiters in the order of arrival before any other
/// request can take it. So no request overtakes, and no wake-up is lost: a waiter is woken after its
/// item is stored with it. An item handed to a waiter that has left is given back, and so reaches the
/// next waiter.
pub(super) struct WaitQueue<R: Resource> {
    inner: Mutex<Inner<R>>,
}

struct Inner<R: Resource> {
    resource: R,
    waiters: VecDeque<Waiter<R>>,
    arrivals: u64,
}

struct Waiter<R: Resource> {
    number: u64,
    request: R::Request,
    /// The moment at which its wait times out.
    until: R::Now,
    /// The result that is stored and not fetched yet.
    served: Option<Result<R::Item, R::Error>>,
    waker: Option<Waker>,
}

/// Identifies a waiter. The queue has to be [left](WaitQueue::leave) with it, or its item is never
/// fetched.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a waiter that never leaves the queue keeps its item from the others"]
pub(super) struct WaiterId(u64);

/// The end of the queue at which a waiter joins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Position {
    /// The back, if fewer than so many wait.
    Back { most: usize },
    /// The front, because the item that the request was given could not be used.
    Front,
}

impl<R: Resource> WaitQueue<R> {
    pub(super) fn new(resource: R) -> Self {
        let inner = Inner {
            resource,
            waiters: VecDeque::new(),
            arrivals: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    /// Reads or changes the resource without handing anything out or giving anything back.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut R) -> T) -> T {
        act(&mut lock(&self.inner).resource)
    }

    /// Runs a new request on the resource, after all waiters have been served.
    pub(super) fn after_waiters<T>(&self, now: R::Now, act: impl FnOnce(&mut R) -> T) -> T {
        let mut inner = lock(&self.inner);
        let wakers = inner.serve(now);
        let result = act(&mut inner.resource);
        drop(inner);
        wake(wakers);
        result
    }

    /// Gives something back to the resource, and serves waiters with it.
    pub(super) fn give_back<T>(&self, now: R::Now, act: impl FnOnce(&mut R) -> T) -> T {
        let mut inner = lock(&self.inner);
        let result = act(&mut inner.resource);
        let wakers = inner.serve(now);
        drop(inner);
        wake(wakers);
        result
    }

    /// Adds a waiter; `None` when the queue is full.
    pub(super) fn join(
        &self,
        request: R::Request,
        until: R::Now,
        position: Position,
        now: R::Now,
    ) -> Option<WaiterId> {
        let mut inner = lock(&self.inner);
        if let Position::Back { most } = position
            && inner.waiters.len() >= most
        {
            return None;
        }
        let number = inner.arrivals;
        inner.arrivals += 1;
        let waiter = Waiter {
            number,
            request,
            until,
            served: None,
            waker: None,
        };
        match position {
            Position::Back { .. } => inner.waiters.push_back(waiter),
            Position::Front => inner.waiters.push_front(waiter),
        }
        // An item may have come back between the failed request and this call.
        let wakers = inner.serve(now);
        drop(inner);
        wake(wakers);
        Some(WaiterId(number))
    }

    /// Fetches the result of a waiter, or stores the waker to call when there is one. Once the result
    /// is ready, the waiter is no longer in the queue.
    pub(super) fn poll(&self, id: &WaiterId, waker: &Waker) -> Poll<Result<R::Item, R::Error>> {
        let mut inner = lock(&self.inner);
        let Some((at, waiter)) = inner.waiter(id) else {
            return Poll::Pending;
        };
        let Some(served) = waiter.served.take() else {
            waiter.waker = Some(waker.clone());
            return Poll::Pending;
        };
        inner.waiters.remove(at);
        Poll::Ready(served)
    }

    /// Removes a waiter; an item stored with it in the last moment is returned, to be given back.
    #[must_use = "the item is to be given back"]
    pub(super) fn leave(&self, id: &WaiterId) -> Option<R::Item> {
        let mut inner = lock(&self.inner);
        let (at, _) = inner.waiter(id)?;
        let waiter = inner.waiters.remove(at)?;
        drop(inner);
        waiter.served?.ok()
    }

    /// Serves waiters with items that have become free by time alone, and wakes those whose wait has
    /// timed out. Returns the earliest time-out of the others; `None` if the queue is empty.
    pub(super) fn tick(&self, now: R::Now) -> Option<R::Now> {
        let mut inner = lock(&self.inner);
        let mut wakers = inner.serve(now);
        for waiter in &mut inner.waiters {
            if waiter.until <= now {
                wakers.extend(waiter.waker.take());
            }
        }
        let times = inner.waiters.iter().map(|waiter| waiter.until);
        let next = times.reduce(|first, other| if other < first { other } else { first });
        drop(inner);
        wake(wakers);
        next
    }

    /// Returns the number of waiters.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.inner).waiters.len()
    }
}

/// Prints nothing that would need the lock.
impl<R: Resource> fmt::Debug for WaitQueue<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

impl<R: Resource> Inner<R> {
    /// Hands items to waiters, and returns the wakers to call once the lock is released.
    fn serve(&mut self, now: R::Now) -> Vec<Waker> {
        let mut wakers = Vec::new();
        if self.waiters.is_empty() {
            return wakers;
        }
        let mut failed: Option<&R::Request> = None;
        for waiter in &mut self.waiters {
            let is_hopeless =
                failed.is_some_and(|failed| R::implies_none_for(failed, &waiter.request));
            if waiter.served.is_some() || is_hopeless {
                continue;
            }
            match self.resource.take(&waiter.request, now) {
                Err(error) if R::is_temporary(&error) => failed = Some(&waiter.request),
                outcome => {
                    waiter.served = Some(outcome);
                    wakers.extend(waiter.waker.take());
                }
            }
        }
        wakers
    }

    fn waiter(&mut self, id: &WaiterId) -> Option<(usize, &mut Waiter<R>)> {
        let mut waiters = self.waiters.iter_mut().enumerate();
        waiters.find(|(_, waiter)| waiter.number == id.0)
    }
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
