//! The FIFO queue of requests for a port: order, cancellation, deadlines, and refused ports.
#![cfg(all(feature = "net", target_os = "linux"))]

#[expect(dead_code, reason = "the other suites need more of it")]
mod common;
#[path = "common/unbound.rs"]
mod unbound;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use common::in_namespace;
use eport_core::{
    Allocator, Lease, LeaseError, PortPolicy, Quarantine, Quota, WaitLimits, WhenFull,
};
use unbound::{Time, allocator, loopback};

/// Lets three requests wait, for a minute.
fn patient() -> PortPolicy {
    PortPolicy::seeded([7; 32])
        .quarantine(Quarantine::NONE)
        .when_full(WhenFull::FAIL.wait(WaitLimits::new(3, Duration::from_secs(60))))
}

fn claim(allocator: &Allocator) -> Result<Lease<()>, LeaseError> {
    allocator.claim(loopback(), None, |_| Ok(()))
}

/// Returns when `count` requests of other threads wait.
fn until_waiting(allocator: &Allocator, count: usize) {
    while allocator.stats().waiting != count {
        thread::yield_now();
    }
}

#[test]
fn a_request_waits_until_a_port_is_released() {
    let allocator = allocator("50000", patient());
    let lease = claim(&allocator).expect("free");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| claim(&allocator).map(|lease| lease.port()));
        until_waiting(&allocator, 1);
        drop(lease);
        let port = waiting.join().expect("no panic").expect("a port");
        assert_eq!(port, 50_000);
    });
    let stats = allocator.stats();
    assert_eq!((stats.waits, stats.waiting, stats.timed_out), (1, 0, 0));
    assert_eq!((stats.leases, stats.free, stats.exhausted), (0, 1, 0));
}

#[test]
fn waiters_are_served_in_fifo_order() {
    let allocator = allocator("50000", patient());
    let lease = claim(&allocator).expect("free");
    let (served, order) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..3 {
            let (served, allocator) = (served.clone(), &allocator);
            scope.spawn(move || {
                let lease = claim(allocator).expect("a port");
                served.send(number).expect("a receiver");
                drop(lease);
            });
            until_waiting(allocator, number + 1);
        }
        drop(lease);
        let order: Vec<usize> = order.iter().take(3).collect();
        assert_eq!(order, [0, 1, 2]);
    });
}

#[test]
fn a_request_that_does_not_wait_never_overtakes_waiters() {
    in_namespace(
        "a_request_that_does_not_wait_never_overtakes_waiters",
        || {
            let allocator = allocator("50000-50001", patient());
            let (first, _second) = (claim(&allocator).expect("free"), claim(&allocator));
            let mut waiting = pin!(lease_async(&allocator));
            assert!(poll(waiting.as_mut()).is_pending());
            drop(first);
            // The port is assigned to the waiter, although its task has not polled yet.
            let newcomer = allocator.udp(Ipv4Addr::LOCALHOST).try_lease();
            assert!(matches!(newcomer, Err(LeaseError::Exhausted { .. })));
            assert!(poll(waiting.as_mut()).is_ready());
        },
    );
}

#[test]
fn the_queue_is_bounded() {
    let allocator = allocator("50000", patient());
    let _lease = claim(&allocator).expect("free");
    let mut waiters = [(); 3].map(|()| Box::pin(lease_async(&allocator)));
    for waiting in &mut waiters {
        assert!(poll(waiting.as_mut()).is_pending());
    }
    let error = claim(&allocator).expect_err("the queue is full");
    assert!(matches!(error, LeaseError::QueueFull { .. }), "{error:?}");
    assert_eq!(allocator.stats().queue_full, 1);
}

#[test]
fn a_dropped_request_leaves_its_port_to_the_next_waiter() {
    in_namespace(
        "a_dropped_request_leaves_its_port_to_the_next_waiter",
        || {
            let allocator = allocator("50000", patient());
            let lease = claim(&allocator).expect("free");
            let (mut first, mut second) = (
                Box::pin(lease_async(&allocator)),
                Box::pin(lease_async(&allocator)),
            );
            let woken = Arc::new(Count::default());
            assert!(poll(first.as_mut()).is_pending());
            let waker = Waker::from(Arc::clone(&woken));
            let pending = second.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(pending.is_pending());

            // The first waiter is assigned the port and never polls again.
            drop(lease);
            assert_eq!(woken.0.load(Ordering::SeqCst), 0);
            drop(first);
            assert_eq!(
                woken.0.load(Ordering::SeqCst),
                1,
                "the second waiter is woken"
            );
            let Poll::Ready(lease) = poll(second.as_mut()) else {
                panic!("it is assigned the port");
            };
            drop(lease);
            let stats = allocator.stats();
            assert_eq!((stats.leases, stats.free, stats.waiting), (0, 1, 0));
        },
    );
}

#[test]
fn a_wait_that_times_out_is_an_error_of_its_own() {
    let time = Time::new();
    let allocator = allocator("50000", patient().clock(time.clock()));
    let _lease = claim(&allocator).expect("free");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| claim(&allocator));
        until_waiting(&allocator, 1);
        time.pass(61);
        let error = waiting.join().expect("no panic").expect_err("timed out");
        let text = error.to_string();
        assert!(
            matches!(error, LeaseError::TimedOut { waited, .. } if waited.as_secs() == 61),
            "{error:?}"
        );
        assert!(
            text.contains("in 61 s") && text.contains("1 leased"),
            "{text}"
        );
    });
    let stats = allocator.stats();
    assert_eq!((stats.timed_out, stats.waiting, stats.exhausted), (1, 0, 1));
}

#[test]
fn a_task_that_waits_is_woken_at_its_deadline_without_a_runtime() {
    let policy =
        patient().when_full(WhenFull::FAIL.wait(WaitLimits::new(3, Duration::from_millis(5))));
    let allocator = allocator("50000", policy);
    let _lease = claim(&allocator).expect("free");
    let error = block_on(lease_async(&allocator)).expect_err("timed out");
    assert!(matches!(error, LeaseError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_refused_port_does_not_cost_the_position_in_the_queue() {
    let allocator = allocator("50000-50001", patient());
    let (first, second) = (claim(&allocator).expect("free"), claim(&allocator));
    let refused = AtomicUsize::new(0);
    let (sender, order) = mpsc::channel();
    thread::scope(|scope| {
        let unlucky = scope.spawn(|| {
            let lease = allocator.claim(loopback(), None, |_| {
                // The first port is in use.
                match refused.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(io::ErrorKind::AddrInUse.into()),
                    _ => Ok(()),
                }
            });
            sender.send("unlucky").expect("a receiver");
            drop(lease.expect("a second port"));
        });
        until_waiting(&allocator, 1);
        let sender = sender.clone();
        let allocator = &allocator;
        let patient = scope.spawn(move || {
            let lease = claim(allocator).expect("a port");
            sender.send("patient").expect("a receiver");
            drop(lease);
        });
        until_waiting(allocator, 2);
        drop(first);
        while refused.load(Ordering::SeqCst) == 0 || allocator.stats().waiting < 2 {
            thread::yield_now();
        }
        drop(second);
        assert_eq!(order.recv(), Ok("unlucky"));
        unlucky.join().expect("no panic");
        patient.join().expect("no panic");
    });
}

#[test]
fn a_foreign_port_is_given_to_a_waiter_after_its_rest() {
    let time = Time::new();
    let mut policy = patient().clock(time.clock());
    policy.early_rechecks = 0;
    let allocator = allocator("50000", policy);
    let tried = AtomicUsize::new(0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            allocator.claim(loopback(), None, |_| {
                match tried.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(io::ErrorKind::AddrInUse.into()),
                    _ => Ok(()),
                }
            })
        });
        until_waiting(&allocator, 1);
        assert_eq!(allocator.stats().foreign, 1);
        time.pass(3);
        assert!(waiting.join().expect("no panic").is_ok());
    });
}

#[test]
fn a_client_at_its_quota_is_refused_without_waiting() {
    let policy = patient().quota(Quota::per_prefix(1));
    let allocator = allocator("50000-50009", policy);
    let peer = |port| Some(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port)));
    let claim = |port| allocator.claim(loopback(), peer(port), |_| Ok(()));
    let lease = claim(1).expect("the first");
    let error = claim(2).expect_err("the second");
    assert_eq!(
        error.to_string(),
        "192.0.2.1/32 has as many leases as one client may have (1); wait for one to end"
    );
    assert_eq!(allocator.stats().quota_reached, 1);
    drop(lease);
    assert!(claim(2).is_ok());
}

/// A request of a task. A test in which it binds a socket has a namespace.
fn lease_async(allocator: &Allocator) -> impl Future<Output = Result<(), LeaseError>> {
    let lease = allocator.udp(Ipv4Addr::LOCALHOST).lease_async();
    async { lease.await.map(drop) }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A minimal runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Counts wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
