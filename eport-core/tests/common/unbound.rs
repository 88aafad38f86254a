//! Allocators for leases without sockets, and a clock that the test sets.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eport_core::{Allocator, Clock, PortPolicy, Reserved, Space, plan};

pub(crate) fn loopback() -> Space {
    Space::udp(Ipv4Addr::LOCALHOST)
}

pub(crate) fn allocator(ports: &str, policy: PortPolicy) -> Allocator {
    let plan = plan(&ports.parse().expect(ports), None, &Reserved::default()).expect("ports");
    Allocator::new(plan, policy).expect("a seed")
}

/// A clock that advances only when the test sets it.
pub(crate) struct Time(Arc<Mutex<Instant>>);

impl Time {
    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        *self.0.lock().expect("no panic") += Duration::from_secs(seconds);
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock::new(move || *time.lock().expect("no panic"))
    }
}
