//! Orders to the engine's thread.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// What the engine is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Take requests and carry transfers.
    Serve,
    /// Take no more requests; leave running transfers this long to finish.
    Drain { grace: Duration },
    /// End all transfers now.
    Stop,
}

/// An order, and a way to wake the thread that follows it.
#[derive(Debug)]
pub(crate) struct Control {
    /// Whether there was no order yet: all that is looked at from turn to turn.
    serving: AtomicBool,
    order: Mutex<Order>,
    wake: EventFd,
}

impl Control {
    pub(crate) fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            serving: AtomicBool::new(true),
            order: Mutex::new(Order::Serve),
            wake,
        })
    }

    /// Gives an order. One that was given is never softened.
    pub(crate) fn give(&self, order: Order) {
        let mut current = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == Order::Serve || order == Order::Stop {
            *current = order;
        }
        drop(current);
        self.serving.store(false, Ordering::Release);
        self.wake();
    }

    /// Makes the engine look up.
    pub(super) fn wake(&self) {
        // Full means that a wake-up is pending already.
        let _ = self.wake.write(1);
    }

    pub(crate) fn order(&self) -> Order {
        if self.serving.load(Ordering::Acquire) {
            return Order::Serve;
        }
        *self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a wake-up.
    pub(super) fn acknowledge(&self) {
        // Empty means that it was noted already.
        let _ = self.wake.read();
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
