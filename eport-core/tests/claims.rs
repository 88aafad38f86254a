//! The allocator without sockets: the effect of each error of the system, and no leaks.
#![cfg(feature = "net")]

#[path = "common/unbound.rs"]
mod unbound;

use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use eport_core::pool::ForeignCause;
use eport_core::{Allocator, Lease, LeaseError, PortPolicy, PortState, Quarantine, Space};
use unbound::{Time, allocator, loopback};

/// Repeatable draws, and no rest of a port after its lease.
fn policy() -> PortPolicy {
    PortPolicy::seeded([7; 32]).quarantine(Quarantine::NONE)
}

fn seeded(ports: &str) -> Allocator {
    allocator(ports, policy())
}

/// Leases a number without a socket.
fn claim(allocator: &Allocator, space: Space) -> Result<Lease<()>, LeaseError> {
    allocator.claim(space, None, |_| Ok(()))
}

#[track_caller]
fn assert_even(allocator: &Allocator, range: usize) {
    let stats = allocator.stats();
    assert_eq!(stats.leased, 0, "{stats:?}");
    assert_eq!(stats.free + stats.foreign, range, "{stats:?}");
}

mod errno {
    pub(crate) const ENFILE: i32 = 23;
    pub(crate) const EMFILE: i32 = 24;
    #[cfg(target_os = "linux")]
    pub(crate) const ENOBUFS: i32 = 105;
    #[cfg(target_os = "linux")]
    pub(crate) const EAFNOSUPPORT: i32 = 97;
}

#[test]
fn a_port_in_use_or_denied_rests_and_another_one_is_drawn() {
    for (kind, cause) in [
        (io::ErrorKind::AddrInUse, ForeignCause::InUse),
        (io::ErrorKind::PermissionDenied, ForeignCause::Denied),
    ] {
        let allocator = seeded("50000-50009");
        let refused = Cell::new(None);
        let lease = allocator
            .claim(loopback(), None, |address| {
                match refused.replace(Some(address.port())) {
                    None => Err(kind.into()),
                    Some(first) => {
                        refused.set(Some(first));
                        Ok(())
                    }
                }
            })
            .expect("nine ports are left");
        let refused = refused.get().expect("one was refused");
        assert_ne!(lease.port(), refused);
        let explained = allocator.explain(loopback(), refused);
        assert!(
            matches!(explained, PortState::Foreign { cause: found, refusals: 1, .. } if found == cause)
        );
        let stats = allocator.stats();
        assert_eq!((stats.free, stats.leased, stats.foreign), (8, 1, 1));
        assert_eq!(
            (stats.draws, stats.redraws, stats.in_use + stats.denied),
            (2, 1, 1)
        );
        drop(lease);
        assert_even(&allocator, 10);
    }
}

#[test]
fn every_other_refusal_is_an_error_of_its_own_and_releases_the_port() {
    type Check = fn(&LeaseError) -> bool;
    let cases: [(io::Error, Check); 5] = [
        (
            io::ErrorKind::AddrNotAvailable.into(),
            |error| matches!(error, LeaseError::NotLocal { local, .. } if local.ip() == Ipv4Addr::LOCALHOST),
        ),
        (io::Error::from_raw_os_error(errno::EMFILE), |error| {
            matches!(error, LeaseError::NoDescriptors { .. })
        }),
        (io::Error::from_raw_os_error(errno::ENFILE), |error| {
            matches!(error, LeaseError::NoDescriptors { .. })
        }),
        (io::ErrorKind::OutOfMemory.into(), |error| {
            matches!(error, LeaseError::NoMemory { .. })
        }),
        (io::ErrorKind::InvalidInput.into(), |error| {
            matches!(error, LeaseError::Io { .. })
        }),
    ];
    for (error, is_expected) in cases {
        let allocator = seeded("50000-50009");
        let (mut error, mut calls) = (Some(error), 0);
        let result = allocator.claim::<()>(loopback(), None, |_| {
            calls += 1;
            Err(error.take().expect("one call"))
        });
        let error = result.expect_err("refused");
        assert!(is_expected(&error), "{error:?}");
        assert_eq!(calls, 1, "no other port would help");
        assert_eq!(allocator.stats().foreign, 0);
        assert_even(&allocator, 10);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_missing_family_and_missing_buffers_are_different_errors() {
    let allocator = seeded("50000-50009");
    let refuse = |errno| {
        let claim = allocator.claim::<()>(loopback(), None, |_| {
            Err(io::Error::from_raw_os_error(errno))
        });
        claim.expect_err("refused")
    };
    assert!(matches!(
        refuse(errno::ENOBUFS),
        LeaseError::NoMemory { .. }
    ));
    assert!(matches!(
        refuse(errno::EAFNOSUPPORT),
        LeaseError::FamilyNotSupported { .. }
    ));
    let stats = allocator.stats();
    assert_eq!(
        (stats.no_memory, stats.other_failures, stats.no_descriptors),
        (1, 1, 0)
    );
    assert_even(&allocator, 10);
}

#[test]
fn when_every_port_is_refused_each_is_tried_once_and_counted_in_the_error() {
    let mut policy = policy();
    policy.early_rechecks = 0;
    let allocator = allocator("50000-50099", policy);
    let mut tried = Vec::new();
    let error = allocator.claim::<()>(loopback(), None, |address| {
        tried.push(address.port());
        Err(io::ErrorKind::AddrInUse.into())
    });
    assert_eq!(tried.len(), 100);
    assert_eq!(tried.iter().collect::<HashSet<_>>().len(), 100);
    let text = error.expect_err("nothing works").to_string();
    assert_eq!(
        text,
        "no port is left for udp on 127.0.0.1 (100 ports: 0 free, 0 leased, 100 foreign; \
         100 just found in use); other programs or a security policy keep the range: name another one"
    );
    assert_eq!(allocator.stats().exhausted, 1);
    assert_even(&allocator, 100);
}

#[test]
fn a_full_range_is_an_error_without_system_calls() {
    let allocator = seeded("50000-50009");
    let leases: Vec<_> = (0..10)
        .map(|_| claim(&allocator, loopback()).expect("free"))
        .collect();
    let ports: HashSet<u16> = leases.iter().map(Lease::port).collect();
    assert_eq!(ports, (50_000..=50_009).collect());
    let error = allocator.claim::<()>(loopback(), None, |_| panic!("there is no port to try"));
    let text = error.expect_err("full").to_string();
    assert!(
        text.contains("10 ports: 0 free, 10 leased, 0 foreign"),
        "{text}"
    );
    assert!(
        text.ends_with("wait for leases to end, or name more ports"),
        "{text}"
    );
    drop(leases);
    assert_eq!(allocator.stats().peak_leased, 10);
    assert_even(&allocator, 10);
}

#[test]
fn a_foreign_port_is_rechecked_early_and_only_once_when_no_other_is_left() {
    let allocator = seeded("50000-50009");
    let in_use = || {
        let mut tried = Vec::new();
        let claim = allocator.claim::<()>(loopback(), None, |address| {
            tried.push(address.port());
            Err(io::ErrorKind::AddrInUse.into())
        });
        let counts = match claim {
            Err(LeaseError::Exhausted { counts, .. }) => counts,
            other => panic!("{other:?}"),
        };
        assert_eq!((counts.leased, counts.foreign), (0, 10));
        tried
    };
    assert_eq!(in_use().len(), 20, "drawn once, and tried once again");
    let early = in_use();
    assert_eq!(early.iter().collect::<HashSet<_>>().len(), 10);
    assert_eq!(early.len(), 10);

    let leases: Vec<_> = (0..10).map(|_| claim(&allocator, loopback())).collect();
    assert!(leases.iter().all(Result::is_ok), "every port is free again");
    drop(leases);
    assert_even(&allocator, 10);
}

#[test]
fn a_refused_port_backs_off_exponentially_until_it_succeeds() {
    let time = Time::new();
    let mut policy = policy().clock(time.clock());
    policy.early_rechecks = 0;
    let allocator = allocator("50000", policy);
    let in_use = || {
        let refused = Cell::new(false);
        let claim = allocator.claim::<()>(loopback(), None, |_| {
            refused.set(true);
            Err(io::ErrorKind::AddrInUse.into())
        });
        assert!(matches!(claim, Err(LeaseError::Exhausted { .. })));
        refused.get()
    };
    for rest in [1, 2, 4, 8] {
        assert!(in_use(), "the port was tried");
        time.pass(rest);
        assert!(!in_use(), "it rests for at least {rest} s");
        time.pass(1);
    }
    drop(claim(&allocator, loopback()).expect("the port is free again"));
    assert!(in_use());
    time.pass(2);
    assert!(in_use(), "the first rest again");
}

#[test]
fn the_socket_is_closed_before_its_port_is_free() {
    struct StateAtClose(Allocator, u16, Arc<Mutex<Option<PortState>>>);
    impl Drop for StateAtClose {
        fn drop(&mut self) {
            *self.2.lock().expect("no panic") = Some(self.0.explain(loopback(), self.1));
        }
    }
    let (allocator, seen) = (seeded("50000-50009"), Arc::new(Mutex::new(None)));
    let lease = allocator
        .claim(loopback(), None, |address| {
            Ok(StateAtClose(
                allocator.clone(),
                address.port(),
                Arc::clone(&seen),
            ))
        })
        .expect("free");
    let port = lease.port();
    drop(lease);
    assert!(matches!(
        *seen.lock().expect("no panic"),
        Some(PortState::Leased { .. })
    ));
    assert_eq!(allocator.explain(loopback(), port), PortState::Free);
}

#[test]
fn a_panic_at_any_step_releases_the_port() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while closing");
        }
    }
    let allocator = seeded("50000-50009");
    let opening = || drop(allocator.claim::<()>(loopback(), None, |_| panic!("while opening")));
    let holding = || {
        let _lease = claim(&allocator, loopback());
        panic!("while holding");
    };
    let closing = || drop(allocator.claim(loopback(), None, |_| Ok(Bomb)));
    let mapping =
        || drop(claim(&allocator, loopback()).map(|lease| lease.map(|()| panic!("while mapping"))));
    assert!(catch_unwind(AssertUnwindSafe(opening)).is_err());
    assert!(catch_unwind(AssertUnwindSafe(holding)).is_err());
    assert!(catch_unwind(AssertUnwindSafe(closing)).is_err());
    assert!(catch_unwind(AssertUnwindSafe(mapping)).is_err());
    assert_even(&allocator, 10);
}

#[test]
fn a_port_guard_holds_the_port_without_its_socket() {
    let allocator = seeded("50000-50009");
    let peer: SocketAddr = "192.0.2.7:1024".parse().expect("an address");
    let lease = allocator
        .claim(loopback(), Some(peer), |address| Ok(address.port()))
        .expect("free");
    let (socket, ticket) = lease.into_parts();
    assert_eq!(socket, ticket.port());
    let state = allocator.explain(loopback(), ticket.port());
    assert!(matches!(state, PortState::Leased { peer: Some(found), .. } if found == peer));
    drop(ticket);
    assert_eq!(allocator.explain(loopback(), socket), PortState::Free);
}

#[test]
fn a_failed_conversion_releases_the_port_and_a_successful_one_keeps_it() {
    let allocator = seeded("50000-50009");
    let lease = claim(&allocator, loopback()).expect("free");
    let port = lease.port();
    let lease = lease
        .try_map(|()| Ok::<_, io::Error>("wrapped"))
        .expect("no failure");
    assert_eq!((*lease, lease.port()), ("wrapped", port));
    assert_eq!(allocator.stats().leased, 1);
    let failed = lease.try_map(|_| Err::<(), _>("no runtime"));
    assert_eq!(failed.expect_err("failed"), "no runtime");
    assert_even(&allocator, 10);
}

#[test]
fn a_lease_costs_one_draw_and_one_more_for_each_foreign_port() {
    let open = |address: SocketAddr| match address.port() {
        50_000..50_010 => Err(io::ErrorKind::AddrInUse.into()),
        _ => Ok(()),
    };
    for (ports, met) in [("50010-50999", 0), ("50000-50999", 10)] {
        let allocator = seeded(ports);
        let claim = |_| allocator.claim(loopback(), None, open).expect("free");
        let leases: Vec<Lease<()>> = (0..990).map(claim).collect();
        let stats = allocator.stats();
        assert_eq!(stats.redraws, stats.in_use, "{stats:?}");
        assert_eq!(stats.draws - stats.redraws, 990, "{stats:?}");
        assert!(stats.in_use <= met, "each is met once: {stats:?}");
        assert!(met == 0 || stats.in_use > 0, "{stats:?}");
        drop(leases);
    }
}

#[test]
fn clones_share_everything() {
    let allocator = seeded("50000-50001");
    let leases = [
        claim(&allocator, loopback()),
        claim(&allocator.clone(), loopback()),
    ];
    assert!(leases.iter().all(Result::is_ok));
    assert!(claim(&allocator.clone(), loopback()).is_err());
    assert_eq!(allocator.stats(), allocator.clone().stats());
}

#[test]
fn a_seed_repeats_the_draws_and_system_seeds_differ() {
    let first_ports = |allocator: Allocator| -> Vec<u16> {
        let leases: Vec<_> = (0..8)
            .map(|_| claim(&allocator, loopback()).expect("free"))
            .collect();
        leases.iter().map(Lease::port).collect()
    };
    let range = "49152-65535";
    assert_eq!(first_ports(seeded(range)), first_ports(seeded(range)));
    assert_ne!(
        first_ports(seeded(range)),
        first_ports(allocator(range, PortPolicy::seeded([8; 32])))
    );
    let unseeded = || first_ports(allocator(range, PortPolicy::default()));
    assert_ne!(unseeded(), unseeded());
}

#[test]
fn threads_never_hold_the_same_port_at_the_same_time() {
    let (allocator, held) = (seeded("50000-50015"), Mutex::new(HashSet::new()));
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (allocator, held) = (allocator.clone(), &held);
            let space = if thread == 0 {
                Space::udp(Ipv4Addr::UNSPECIFIED)
            } else {
                loopback()
            };
            scope.spawn(move || {
                for round in 0..5000 {
                    let lease = claim(&allocator, space).expect("16 ports, 8 leases at most");
                    assert!(
                        held.lock().expect("no panic").insert(lease.port()),
                        "held twice"
                    );
                    let second = (round % 2 == 0).then(|| claim(&allocator, space).expect("free"));
                    drop(second);
                    held.lock().expect("no panic").remove(&lease.port());
                }
            });
        }
    });
    assert_even(&allocator, 16);
}
