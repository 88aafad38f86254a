//! A short-lived cache of live services.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::host::LocalHost;
use crate::registry::{Host, Liveness};
use crate::rpcbind::{Netid, UniversalAddress};

/// The time for which a service counts as live after a check. An answer that is outdated by this
/// much could as well have been requested that much earlier.
const LIFETIME: Duration = Duration::from_millis(50);

/// Slots of the cache; services whose ports are equal modulo this replace each other.
const SLOTS: usize = 1024;

/// The services found live last, so that a flood of look-ups does not query the kernel for the same
/// sockets again and again. That a service has ended is never cached.
#[derive(Debug)]
pub(super) struct LivenessCache(Box<[Option<Entry>]>);

#[derive(Debug)]
struct Entry {
    netid: Netid,
    address: UniversalAddress,
    at: Instant,
}

impl LivenessCache {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| None).collect())
    }

    fn slot(&mut self, address: &UniversalAddress) -> Option<&mut Option<Entry>> {
        let port = address.port()?;
        self.0.get_mut(usize::from(port) % SLOTS)
    }

    fn contains(&mut self, netid: Netid, address: &UniversalAddress, now: Instant) -> bool {
        let entry = self.slot(address).and_then(|slot| slot.as_ref());
        entry.is_some_and(|entry| {
            entry.netid == netid
                && entry.address == *address
                && now.saturating_duration_since(entry.at) < LIFETIME
        })
    }

    fn insert(&mut self, netid: Netid, address: &UniversalAddress, at: Instant) {
        if let Some(slot) = self.slot(address) {
            *slot = Some(Entry {
                netid,
                address: address.clone(),
                at,
            });
        }
    }
}

/// The machine as a look-up sees it: through the cache.
pub(super) struct CachedHost<'a, H = LocalHost> {
    host: &'a H,
    cache: RefCell<&'a mut LivenessCache>,
    now: Instant,
}

impl<'a, H> CachedHost<'a, H> {
    pub(super) fn new(host: &'a H, cache: &'a mut LivenessCache, now: Instant) -> Self {
        Self {
            host,
            cache: RefCell::new(cache),
            now,
        }
    }
}

impl<H: Host> Host for CachedHost<'_, H> {
    fn liveness(&self, netid: Netid, address: &UniversalAddress) -> Liveness {
        let mut cache = self.cache.borrow_mut();
        if cache.contains(netid, address, self.now) {
            return Liveness::Live;
        }
        let liveness = self.host.liveness(netid, address);
        if liveness == Liveness::Live {
            cache.insert(netid, address, self.now);
        }
        liveness
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.host.is_local(address)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A machine that counts its queries.
    struct Asked {
        liveness: Cell<Liveness>,
        times: Cell<u32>,
    }

    impl Host for Asked {
        fn liveness(&self, _: Netid, _: &UniversalAddress) -> Liveness {
            self.times.set(self.times.get() + 1);
            self.liveness.get()
        }

        fn is_local(&self, _: IpAddr) -> bool {
            true
        }
    }

    #[test]
    fn a_service_is_cached_while_live_and_never_once_it_has_ended() {
        let host = Asked {
            liveness: Cell::new(Liveness::Live),
            times: Cell::new(0),
        };
        let mut cache = LivenessCache::new();
        let start = crate::transport::now();
        let mut look = |milliseconds, netid, port| {
            let now = start + Duration::from_millis(milliseconds);
            let address = UniversalAddress::Ip(IpAddr::from([127, 0, 0, 1]), port);
            CachedHost::new(&host, &mut cache, now).liveness(netid, &address)
        };
        assert_eq!(look(0, Netid::Udp, 2049), Liveness::Live);
        host.liveness.set(Liveness::Dead);
        assert_eq!(look(49, Netid::Udp, 2049), Liveness::Live);
        assert_eq!(host.times.get(), 1);
        assert_eq!(look(49, Netid::Tcp, 2049), Liveness::Dead);
        assert_eq!(look(49, Netid::Udp, 2049 + 1024), Liveness::Dead);
        assert_eq!(look(50, Netid::Udp, 2049), Liveness::Dead);
        host.liveness.set(Liveness::Live);
        assert_eq!(look(51, Netid::Udp, 2049), Liveness::Live);
    }
}
