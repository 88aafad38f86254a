//! Control of the engine's thread by other threads.

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

/// The state that the engine is to be in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RunState {
    /// Accepts requests and serves transfers.
    Serving,
    /// Accepts no requests; running transfers have this long to finish.
    Draining { grace: Duration },
    /// Ends all transfers immediately.
    Stopped,
}

/// The requested state, and an eventfd that wakes the thread.
#[derive(Debug)]
pub(crate) struct Control {
    /// True until a state was requested: the only part that is read in every turn.
    serving: AtomicBool,
    state: Mutex<RunState>,
    wake: EventFd,
}

impl Control {
    pub(crate) fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            serving: AtomicBool::new(true),
            state: Mutex::new(RunState::Serving),
            wake,
        })
    }

    /// Requests a state. Only `Stopped` replaces an earlier request.
    pub(crate) fn request(&self, state: RunState) {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == RunState::Serving || state == RunState::Stopped {
            *current = state;
        }
        drop(current);
        self.serving.store(false, Ordering::Release);
        self.wake();
    }

    /// Wakes the engine's thread.
    pub(crate) fn wake(&self) {
        // EAGAIN: the counter is full, so a wake-up is pending.
        let _ = self.wake.write(1);
    }

    /// Returns the requested state.
    pub(crate) fn state(&self) -> RunState {
        if self.serving.load(Ordering::Acquire) {
            return RunState::Serving;
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resets the eventfd after a wake-up.
    pub(crate) fn acknowledge(&self) {
        // EAGAIN: it was reset already.
        let _ = self.wake.read();
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_kept_until_a_stop_replaces_it() {
        let control = Control::new().expect("an eventfd");
        assert_eq!(control.state(), RunState::Serving);
        let drain = |seconds| RunState::Draining {
            grace: Duration::from_secs(seconds),
        };
        control.request(drain(1));
        control.request(drain(9));
        assert_eq!(control.state(), drain(1));
        control.request(RunState::Stopped);
        control.request(drain(9));
        assert_eq!(control.state(), RunState::Stopped);
    }
}
