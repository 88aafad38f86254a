//! Reloading an allocator: reservations that are added and removed, and foreign sockets whose ports are
//! not tried. Hosts are directories here.
#![cfg(all(feature = "net", target_os = "linux"))]

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chacha20::ChaCha8Rng;
use eport_core::pool::{ForeignCause, Grant, Pool, PoolRequest};
use eport_core::system::{Host, Sources};
use eport_core::{
    Allocator, Clock, Lease, LeaseError, PortPolicy, PortSet, PortState, Protocol, Quarantine,
    Reserved, Sharing, Source, Space, WaitLimits, WhenFull, plan,
};
use rand_core::SeedableRng;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const BLACKLIST: &str = "etc/bindresvport.blacklist";
const RESERVED: &str = "proc/sys/net/ipv4/ip_local_reserved_ports";
const UDP: &str = "proc/net/udp";
const TABLE_HEADER: &str =
    "sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n";

fn loopback() -> Space {
    Space::udp(V4)
}

fn set(text: &str) -> PortSet {
    text.parse().expect(text)
}

#[expect(clippy::disallowed_methods, reason = "a host on disk")]
fn write(root: &Path, file: &str, text: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a directory");
    fs::write(file, text).expect("a file");
}

/// The kernel's table of UDP sockets with one on 127.0.0.1 for each port.
fn table(ports: &[u16]) -> String {
    let line = |port: &u16| {
        format!("0: 0100007F:{port:04X} 00000000:0000 07 00000000:00000000 00:00000000 0 0 0 7\n")
    };
    let lines: String = ports.iter().map(line).collect();
    format!("{TABLE_HEADER}{lines}")
}

fn allocator(ports: &str, host: &Host, sources: &Sources, policy: PortPolicy) -> Allocator {
    Allocator::builder()
        .ports(ports.parse().expect(ports))
        .host(host.clone())
        .sources(sources.clone())
        .policy(policy.quarantine(Quarantine::NONE))
        .build()
        .expect("ports")
}

fn claim(allocator: &Allocator) -> Result<Lease<()>, LeaseError> {
    allocator.claim(loopback(), None, |_| Ok(()))
}

fn all(allocator: &Allocator) -> Vec<Lease<()>> {
    std::iter::from_fn(|| claim(allocator).ok()).collect()
}

fn ports<S>(leases: &[Lease<S>]) -> BTreeSet<u16> {
    leases.iter().map(Lease::port).collect()
}

#[test]
fn a_reserved_port_is_not_leased_and_existing_leases_are_kept() {
    let root = tempfile::tempdir().expect("a directory");
    let (host, sources) = (Host::at(root.path()), Sources::default());
    let allocator = allocator("50000-50003", &host, &sources, PortPolicy::default());
    let leases = all(&allocator);

    write(root.path(), BLACKLIST, "50001\n50002\n600\n");
    let reloaded = allocator.reload(&sources, &host).expect("readable");
    assert_eq!(reloaded.withheld, set("50001-50002"));
    assert!(reloaded.returned.is_empty());
    let standing = |port| allocator.explain(loopback(), port);
    assert!(
        matches!(standing(50_001), PortState::Leased { .. }),
        "{:?}",
        standing(50_001)
    );
    drop(leases);
    let reserved = PortState::Reserved(vec![Source::BindresvportBlacklist]);
    assert_eq!(standing(50_001), reserved);
    let stats = allocator.stats();
    assert_eq!((stats.free, stats.reserved, stats.range), (2, 2, 4));
    assert_eq!(ports(&all(&allocator)), BTreeSet::from([50_000, 50_003]));
    let other = Space::udp(Ipv4Addr::new(127, 0, 0, 2));
    assert_eq!(allocator.explain(other, 50_002), reserved);
    assert_eq!(allocator.counts(other).reserved, 2, "not used yet");
    let elsewhere = allocator.claim(other, None, |_| Ok(())).expect("free");
    assert!([50_000, 50_003].contains(&elsewhere.port()));
    let named = allocator
        .udp(V4)
        .port(50_002)
        .lease()
        .expect_err("reserved");
    assert!(
        matches!(&named, LeaseError::PortUnavailable { state, .. } if *state == reserved),
        "{named:?}"
    );

    write(root.path(), BLACKLIST, "50002\n");
    let reloaded = allocator.reload(&sources, &host).expect("readable");
    assert_eq!(
        (reloaded.withheld.len(), reloaded.returned),
        (0, set("50001"))
    );
    assert_eq!(all(&allocator).len(), 3);
}

#[test]
fn the_rules_for_reservations_are_those_of_the_plan() {
    let root = tempfile::tempdir().expect("a directory");
    let (host, sources) = (Host::at(root.path()), Sources::default());
    let reloaded = |ports: &str| {
        write(root.path(), RESERVED, "\n");
        let allocator = allocator(ports, &host, &sources, PortPolicy::default());
        write(root.path(), RESERVED, "62000-62009\n");
        let reloaded = allocator.reload(&sources, &host).expect("readable");
        reloaded.withheld
    };
    assert_eq!(reloaded("auto"), set("62000-62009"));
    // Ports named by the user count as set aside for this purpose.
    assert!(reloaded("62000-62099").is_empty());
}

#[test]
fn a_host_that_cannot_be_parsed_changes_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    let (host, sources) = (Host::at(root.path()), Sources::default());
    let allocator = allocator("50000-50003", &host, &sources, PortPolicy::default());
    write(root.path(), BLACKLIST, "50001\n");
    allocator.reload(&sources, &host).expect("readable");
    write(root.path(), BLACKLIST, "no port\n");
    allocator.reload(&sources, &host).expect_err("senseless");
    assert_eq!(allocator.counts(loopback()).reserved, 1);
}

#[test]
fn a_waiter_is_given_a_port_that_is_no_longer_reserved() {
    let root = tempfile::tempdir().expect("a directory");
    let (host, sources) = (Host::at(root.path()), Sources::default());
    let patience = Duration::from_secs(3600);
    let policy = PortPolicy::default().when_full(WhenFull::FAIL.wait(WaitLimits::new(1, patience)));
    let allocator = allocator("50000", &host, &sources, policy);
    write(root.path(), BLACKLIST, "50000\n");
    allocator.reload(&sources, &host).expect("readable");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| claim(&allocator).map(|lease| lease.port()));
        while allocator.stats().waiting == 0 {
            std::thread::yield_now();
        }
        write(root.path(), BLACKLIST, "\n");
        allocator.reload(&sources, &host).expect("readable");
        let port = waiting.join().expect("no panic").expect("a port");
        assert_eq!(port, 50_000);
    });
}

#[test]
fn the_port_of_a_known_socket_is_skipped_until_its_deadline() {
    let root = tempfile::tempdir().expect("a directory");
    let sources = Sources::default().known_sockets(Protocol::Udp);
    let host = Host::at(root.path());
    write(root.path(), UDP, &table(&[50_000, 50_001, 40_000]));
    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    let time = Arc::new(Mutex::new(Instant::now()));
    let clock = Clock::new({
        let time = Arc::clone(&time);
        move || *time.lock().expect("no panic")
    });
    let mut policy = PortPolicy::default().clock(clock);
    policy.early_rechecks = 0;
    let allocator = allocator("50000-50003", &host, &sources, policy);
    let any = Space::udp(Ipv4Addr::UNSPECIFIED);
    for space in [loopback(), any] {
        let lease = allocator.claim(space, None, |_| Ok(())).expect("free");
        assert!([50_002, 50_003].contains(&lease.port()), "{space}");
    }
    let state = allocator.explain(loopback(), 50_000);
    assert!(
        matches!(
            state,
            PortState::Foreign {
                cause: ForeignCause::InUse,
                refusals: 0,
                ..
            }
        ),
        "{state:?}"
    );
    assert!(
        state.to_string().contains("listed by the system"),
        "{state}"
    );
    let other = Space::udp(Ipv4Addr::new(127, 0, 0, 2));
    assert!(allocator.claim(other, None, |_| Ok(())).is_ok());
    assert_eq!(allocator.counts(other).foreign, 0, "it does not overlap");

    write(root.path(), UDP, &table(&[50_001]));
    let reloaded = allocator.reload(&sources, &host).expect("readable");
    assert_eq!(reloaded.in_use, Some(1));
    assert_eq!(
        ports(&all(&allocator)),
        BTreeSet::from([50_000, 50_002, 50_003])
    );

    *time.lock().expect("no panic") += Duration::from_secs(302);
    assert_eq!(all(&allocator).len(), 4, "it is tried after the deadline");
    let late = Space::udp(Ipv6Addr::UNSPECIFIED);
    assert!(allocator.claim(late, None, |_| Ok(())).is_ok());
    assert_eq!(allocator.counts(late).foreign, 0, "an old list is ignored");
}

#[test]
fn a_shared_port_that_becomes_reserved_accepts_no_more_peers() {
    let plan = plan(
        &"50000".parse().expect("a port"),
        None,
        &Reserved::default(),
    );
    let mut policy = PortPolicy::default();
    policy.quarantine = Quarantine::NONE;
    policy.when_full.share = Some(Sharing::last_ports(1));
    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    let now = Instant::now();
    let mut pool = Pool::new(&plan.expect("a port"), policy, now);
    let mut rng = ChaCha8Rng::from_seed([0; 32]);
    let mut take = |pool: &mut Pool, peer: u16| {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, peer));
        let want = PoolRequest::new(loopback())
            .peer(Some(peer))
            .shareable(true);
        match pool.take(&want, &mut rng, now) {
            Ok(Grant::One(held)) => Some(held),
            _ => None,
        }
    };
    let reserved = || Reserved::nothing().with(Source::User, &set("50000"));

    let first = take(&mut pool, 1).expect("free");
    pool.open_group(&first);
    let second = take(&mut pool, 2).expect("shared");
    pool.reserve(reserved());
    assert!(take(&mut pool, 3).is_none());
    for held in [first, second] {
        pool.release(held, now);
    }
    assert!(take(&mut pool, 3).is_none());
    assert_eq!(pool.counts(loopback()).reserved, 1);

    pool.reserve(Reserved::nothing());
    let first = take(&mut pool, 1).expect("free");
    pool.reserve(reserved());
    pool.open_group(&first);
    assert!(take(&mut pool, 2).is_none(), "bound after it was reserved");
    pool.release(first, now);
}
