//! A counter at which things are handed out, and the line of those who wait for one.
//!
//! It knows nothing of ports, and has its lock from `sync`, so that a model checker can try every
//! interleaving of it with a lock of its own.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Poll, Waker};

use super::sync::{Mutex, lock};

/// What is handed out at a [`Desk`].
pub(super) trait Stock {
    /// What somebody asks for.
    type Want;
    /// What it gets.
    type Item;
    /// Why it gets nothing.
    type Refusal;
    /// A moment.
    type Now: Copy + PartialOrd;

    /// Hands out what is wanted, if it is there.
    fn take(&mut self, want: &Self::Want, now: Self::Now) -> Result<Self::Item, Self::Refusal>;

    /// Whether it is worth waiting after this refusal.
    fn is_for_now(refusal: &Self::Refusal) -> bool;

    /// Whether there is certainly nothing for `other` while there is nothing for `failed`.
    fn follows(failed: &Self::Want, other: &Self::Want) -> bool;
}

/// A stock behind a lock, with a line in front of it.
///
/// Whatever comes back is offered to the line in the order of arrival before anybody else sees it.
/// So nobody can overtake, and no wake-up can be lost: who waits is woken with its item in hand.
/// An item handed to somebody who has left is given back, and so reaches the next.
pub(super) struct Desk<S: Stock> {
    inner: Mutex<Inner<S>>,
}

struct Inner<S: Stock> {
    stock: S,
    line: VecDeque<Waiter<S>>,
    arrivals: u64,
}

struct Waiter<S: Stock> {
    number: u64,
    want: S::Want,
    /// When it will have waited long enough.
    until: S::Now,
    /// What it was handed and has not fetched yet.
    served: Option<Result<S::Item, S::Refusal>>,
    waker: Option<Waker>,
}

/// A place in the line. It has to be [left](Desk::leave), or nobody ever fetches what comes.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "a place in the line that nobody leaves holds up the others"]
pub(super) struct Turn(u64);

/// Where somebody is put who joins the line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// At the end, if fewer than so many wait.
    Back { most: usize },
    /// At the front, because it had its turn and what it was handed was of no use.
    Front,
}

impl<S: Stock> Desk<S> {
    pub(super) fn new(stock: S) -> Self {
        let inner = Inner {
            stock,
            line: VecDeque::new(),
            arrivals: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    /// Looks at the stock, or does something to it that hands nothing out and gives nothing back.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut S) -> R) -> R {
        act(&mut lock(&self.inner).stock)
    }

    /// Lets a newcomer at the stock, after those who wait.
    pub(super) fn after_line<R>(&self, now: S::Now, act: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = lock(&self.inner);
        let woken = inner.serve(now);
        let result = act(&mut inner.stock);
        drop(inner);
        wake(woken);
        result
    }

    /// Gives something back to the stock, and hands it on to those who wait.
    pub(super) fn give_back<R>(&self, now: S::Now, act: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = act(&mut inner.stock);
        let woken = inner.serve(now);
        drop(inner);
        wake(woken);
        result
    }

    /// Joins the line; `None` when it is full.
    pub(super) fn join(
        &self,
        want: S::Want,
        until: S::Now,
        place: Place,
        now: S::Now,
    ) -> Option<Turn> {
        let mut inner = lock(&self.inner);
        if let Place::Back { most } = place
            && inner.line.len() >= most
        {
            return None;
        }
        let number = inner.arrivals;
        inner.arrivals += 1;
        let waiter = Waiter {
            number,
            want,
            until,
            served: None,
            waker: None,
        };
        match place {
            Place::Back { .. } => inner.line.push_back(waiter),
            Place::Front => inner.line.push_front(waiter),
        }
        // What came back since the newcomer found nothing has to be offered once more.
        let woken = inner.serve(now);
        drop(inner);
        wake(woken);
        Some(Turn(number))
    }

    /// Fetches what the one at `turn` was handed, or notes whom to wake when that happens. Once it
    /// is ready, the place in the line is gone.
    pub(super) fn poll(&self, turn: &Turn, waker: &Waker) -> Poll<Result<S::Item, S::Refusal>> {
        let mut inner = lock(&self.inner);
        let Some((at, waiter)) = inner.waiter(turn) else {
            return Poll::Pending;
        };
        let Some(served) = waiter.served.take() else {
            waiter.waker = Some(waker.clone());
            return Poll::Pending;
        };
        inner.line.remove(at);
        Poll::Ready(served)
    }

    /// Leaves the line; what was handed over in the last moment is to be given back.
    #[must_use = "what was handed over is to be given back"]
    pub(super) fn leave(&self, turn: &Turn) -> Option<S::Item> {
        let mut inner = lock(&self.inner);
        let (at, _) = inner.waiter(turn)?;
        let waiter = inner.line.remove(at)?;
        drop(inner);
        waiter.served?.ok()
    }

    /// Offers the line what has come by itself, and wakes those who have waited long enough. When
    /// the next one will have; `None` if nobody waits.
    pub(super) fn tick(&self, now: S::Now) -> Option<S::Now> {
        let mut inner = lock(&self.inner);
        let mut woken = inner.serve(now);
        for waiter in &mut inner.line {
            if waiter.until <= now {
                woken.extend(waiter.waker.take());
            }
        }
        let times = inner.line.iter().map(|waiter| waiter.until);
        let next = times.reduce(|first, other| if other < first { other } else { first });
        drop(inner);
        wake(woken);
        next
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.inner).line.len()
    }
}

/// Says nothing that would need the lock.
impl<S: Stock> fmt::Debug for Desk<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl<S: Stock> Inner<S> {
    /// Hands out what there is to those who wait, and returns whom to wake once the lock is free.
    fn serve(&mut self, now: S::Now) -> Vec<Waker> {
        let mut woken = Vec::new();
        if self.line.is_empty() {
            return woken;
        }
        let mut failed: Option<&S::Want> = None;
        for waiter in &mut self.line {
            let is_hopeless = failed.is_some_and(|failed| S::follows(failed, &waiter.want));
            if waiter.served.is_some() || is_hopeless {
                continue;
            }
            match self.stock.take(&waiter.want, now) {
                Err(refusal) if S::is_for_now(&refusal) => failed = Some(&waiter.want),
                outcome => {
                    waiter.served = Some(outcome);
                    woken.extend(waiter.waker.take());
                }
            }
        }
        woken
    }

    fn waiter(&mut self, turn: &Turn) -> Option<(usize, &mut Waiter<S>)> {
        let mut line = self.line.iter_mut().enumerate();
        line.find(|(_, waiter)| waiter.number == turn.0)
    }
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
