//! Leases with real sockets, each test in a network namespace of its own.
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::bind::{self, UdpOptions};
use eport_core::pool::ForeignCause;
use eport_core::system::Host;
use eport_core::{Allocator, Lease, LeaseError, LocalAddress, Note, PortState, Space};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn allocator(ports: &str) -> Allocator {
    Allocator::builder()
        .ports(ports.parse().expect(ports))
        .build()
        .expect("an allocator")
}

/// A peer socket with its address.
fn peer_at(ip: IpAddr) -> (UdpSocket, SocketAddr) {
    let peer = foreign_socket((ip, 0)).expect("a free port");
    let address = peer.local_addr().expect("bound");
    (peer, address)
}

#[test]
fn a_lease_is_bound_connected_and_non_blocking() {
    in_namespace("a_lease_is_bound_connected_and_non_blocking", || {
        let allocator = allocator("auto");
        for ip in [V4, V6] {
            let (peer, peer_address) = peer_at(ip);
            let lease = allocator
                .udp(ip)
                .peer(peer_address)
                .lease()
                .expect("a lease");
            assert_eq!(lease.local_addr(), SocketAddr::new(ip, lease.port()));
            assert_eq!(
                UdpSocket::local_addr(&lease).expect("bound"),
                lease.local_addr()
            );
            assert_eq!(lease.peer_addr().expect("connected"), peer_address);
            assert!((61_000..=65_535).contains(&lease.port()));
            assert_eq!(
                received(&lease).expect_err("nothing came").kind(),
                io::ErrorKind::WouldBlock
            );

            lease.send(b"ping").expect("sent");
            let mut bytes = [0; 64];
            assert_eq!(
                peer.recv_from(&mut bytes).expect("received"),
                (4, lease.local_addr())
            );
        }
    });
}

#[test]
fn foreign_datagrams_meet_a_closed_port_and_those_of_the_peer_arrive() {
    in_namespace(
        "foreign_datagrams_meet_a_closed_port_and_those_of_the_peer_arrive",
        || {
            for ip in [V4, V6] {
                let ((peer, peer_address), (other, _)) = (peer_at(ip), peer_at(ip));
                let lease = allocator("auto")
                    .udp(ip)
                    .peer(peer_address)
                    .lease()
                    .expect("a lease");
                other.connect(lease.local_addr()).expect("connected");
                other.send(b"injected").expect("sent");
                let refusal = received(&other).expect_err("no answer");
                assert_eq!(
                    refusal.kind(),
                    io::ErrorKind::ConnectionRefused,
                    "an ICMP error came back"
                );
                peer.send_to(b"genuine", lease.local_addr()).expect("sent");
                assert_eq!(received(&lease).expect("received"), b"genuine");
                assert_eq!(
                    received(&lease).expect_err("no more").kind(),
                    io::ErrorKind::WouldBlock
                );
            }
        },
    );
}

#[test]
fn a_held_port_is_closed_to_others_and_open_again_after_the_lease() {
    in_namespace(
        "a_held_port_is_closed_to_others_and_open_again_after_the_lease",
        || {
            let allocator = allocator("61000");
            let lease = allocator.udp(V4).lease().expect("a lease");
            let taken = foreign_socket((V4, 61_000)).expect_err("held");
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
            drop(lease);
            drop(foreign_socket((V4, 61_000)).expect("the socket is closed"));
            assert_eq!(
                allocator.udp(V4).lease().expect("free again").port(),
                61_000
            );
        },
    );
}

#[test]
fn a_port_of_a_foreign_socket_is_skipped_and_explained() {
    in_namespace(
        "a_port_of_a_foreign_socket_is_skipped_and_explained",
        || {
            let allocator = allocator("61000-61001");
            let held = foreign_socket((V4, 61_000)).expect("free");
            let space = Space::udp(V4);
            let lease = allocator.udp(V4).lease().expect("the other one");
            assert_eq!(lease.port(), 61_001);
            match allocator.udp(V4).lease() {
                Err(LeaseError::Exhausted { counts, in_use, .. }) => {
                    assert_eq!((counts.leased, counts.foreign), (1, 1));
                    assert!(in_use >= 1);
                }
                other => panic!("{other:?}"),
            }
            let state = allocator.explain(space, 61_000);
            assert!(
                matches!(
                    state,
                    PortState::Foreign {
                        cause: ForeignCause::InUse,
                        ..
                    }
                ),
                "{state}"
            );
            drop(held);
            assert_eq!(
                allocator.udp(V4).lease().expect("an early recheck").port(),
                61_000
            );
        },
    );
}

#[test]
fn a_range_is_leased_to_its_last_port_and_not_beyond() {
    in_namespace("a_range_is_leased_to_its_last_port_and_not_beyond", || {
        let allocator = Allocator::builder()
            .ports("61000-61049".parse().expect("a range"))
            .exclude(&"61010-61019".parse().expect("a range"))
            .build()
            .expect("an allocator");
        let lease = || allocator.udp(V4).peer(address("127.0.0.1:9")).lease();
        let leases: Vec<_> = (0..40).map(|_| lease().expect("free")).collect();
        let ports: HashSet<u16> = leases.iter().map(Lease::port).collect();
        assert_eq!(ports, (61_000..61_010).chain(61_020..61_050).collect());
        assert!(matches!(lease(), Err(LeaseError::Exhausted { .. })));
        drop(leases);
        let stats = allocator.stats();
        assert_eq!(
            (stats.free, stats.leased, stats.foreign, stats.draws),
            (40, 0, 0, 40)
        );
    });
}

#[test]
fn leases_succeed_while_another_program_binds_ports_at_random() {
    in_namespace(
        "leases_succeed_while_another_program_binds_ports_at_random",
        || {
            sh("prlimit --pid $PPID --nofile=5000:");
            let (allocator, done) = (allocator("61000-65535"), AtomicBool::new(false));
            std::thread::scope(|scope| {
                scope.spawn(|| bind_at_random(&done));
                let _done = Done(&done);
                let mut leases = Vec::new();
                for _ in 0..4 {
                    // At least 4536 - 300 ports are free.
                    while leases.len() < 4000 {
                        leases.push(allocator.udp(V4).lease().expect("a port is free"));
                    }
                    let ports: HashSet<u16> = leases.iter().map(Lease::port).collect();
                    assert_eq!(ports.len(), 4000, "no port is leased twice");
                    assert!(ports.iter().all(|port| (61_000..=65_535).contains(port)));
                    leases.retain(|lease| lease.port() % 4 == 0);
                }
            });
            let stats = allocator.stats();
            assert!(stats.in_use > 0, "no port was found in use: {stats:?}");
            let unleased = stats.free + stats.resting + stats.foreign;
            assert_eq!((stats.leased, stats.leases, unleased), (0, 0, 4536));
        },
    );
}

/// Sets the flag that stops the other thread, also when the test has failed.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Binds random ports of the range until `done` is set, and keeps the last 300.
fn bind_at_random(done: &AtomicBool) {
    let (mut held, mut number) = (std::collections::VecDeque::new(), 1u64);
    while !done.load(Ordering::Relaxed) {
        // A linear congruential generator is random enough here.
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let port = 61_000 + u16::try_from((number >> 40) % 4536).expect("small");
        held.extend(foreign_socket((V4, port)));
        held.drain(..held.len().saturating_sub(300));
    }
}

#[test]
fn a_non_local_address_and_an_unreachable_peer_are_different_errors() {
    in_namespace(
        "a_non_local_address_and_an_unreachable_peer_are_different_errors",
        || {
            let allocator = allocator("61000-61009");
            let elsewhere: IpAddr = "192.0.2.1".parse().expect("an address");
            let error = allocator
                .udp(elsewhere)
                .lease()
                .expect_err("not a local address");
            assert!(matches!(error, LeaseError::NotLocal { .. }), "{error:?}");
            for (local, peer) in [(V4, "192.0.2.1:69"), (V6, "[2001:db8::1]:69")] {
                let error = allocator
                    .udp(local)
                    .peer(address(peer))
                    .lease()
                    .expect_err("no route");
                assert!(matches!(error, LeaseError::Connect { .. }), "{error:?}");
            }
            let stats = allocator.stats();
            assert_eq!(
                (stats.not_local, stats.connect_failed, stats.leased),
                (1, 2, 0)
            );
            assert!(
                stats.spaces.iter().all(|space| space.counts.free == 10),
                "{stats:?}"
            );
        },
    );
}

#[test]
fn a_lack_of_descriptors_is_an_error_of_its_own_and_temporary() {
    in_namespace(
        "a_lack_of_descriptors_is_an_error_of_its_own_and_temporary",
        || {
            sh("prlimit --pid $PPID --nofile=40:");
            let allocator = allocator("61000-61099");
            let mut leases = Vec::new();
            let error = loop {
                match allocator.udp(V4).lease() {
                    Ok(lease) => leases.push(lease),
                    Err(error) => break error,
                }
            };
            assert!(
                matches!(error, LeaseError::NoDescriptors { .. }),
                "{error:?}"
            );
            assert_eq!(allocator.stats().leased, leases.len());
            leases.pop();
            leases.push(
                allocator
                    .udp(V4)
                    .lease()
                    .expect("one descriptor is free again"),
            );
            drop(leases);
            let stats = allocator.stats();
            assert_eq!(stats.free + stats.resting, 100);
            assert_eq!(stats.no_descriptors, 1);
        },
    );
}

#[test]
fn a_link_local_peer_is_reached_through_its_interface() {
    in_namespace("a_link_local_peer_is_reached_through_its_interface", || {
        sh("ip addr add fe80::1/64 dev lo nodad");
        let index = sh("cat /sys/class/net/lo/ifindex");
        let any_port = address(&format!("[fe80::1%{}]:0", index.trim()));
        let peer = bind::udp(any_port, &UdpOptions::default()).expect("bound");
        let peer_address = peer.local_addr().expect("bound");
        let allocator = allocator("auto");
        let bare: IpAddr = "fe80::1".parse().expect("an address");
        for local in [LocalAddress::from(peer_address), LocalAddress::from(bare)] {
            let lease = allocator
                .udp(local)
                .peer(peer_address)
                .lease()
                .expect("a lease");
            assert_eq!(lease.local_addr().ip(), bare);
            lease.send(b"ping").expect("sent");
            assert_eq!(received(&peer).expect("received"), b"ping");
        }
        assert!(matches!(
            allocator.udp(bare).lease(),
            Err(LeaseError::NoInterface { .. })
        ));
    });
}

#[test]
fn wildcard_leases_avoid_specific_ones_without_system_calls() {
    in_namespace(
        "wildcard_leases_avoid_specific_ones_without_system_calls",
        || {
            let allocator = allocator("61000-61029");
            let any: IpAddr = Ipv6Addr::UNSPECIFIED.into();
            let leases: Vec<_> = [any, V4, V6]
                .into_iter()
                .cycle()
                .take(45)
                .filter_map(|local| allocator.udp(local).lease().ok())
                .collect();
            let stats = allocator.stats();
            assert_eq!((stats.in_use, stats.foreign), (0, 0), "{stats:?}");
            assert_eq!(stats.leased, leases.len());
            assert!(
                leases.len() >= 30,
                "every port is used somewhere: {stats:?}"
            );
        },
    );
}

#[test]
fn the_hosts_sysctls_shape_the_plan() {
    in_namespace("the_hosts_sysctls_shape_the_plan", || {
        let set = |name: &str, value: &str| {
            sh(&format!("echo '{value}' > /proc/sys/net/ipv4/{name}"));
        };
        set("ip_local_port_range", "40000 59999");
        set("ip_local_reserved_ports", "60000-60999,8080");
        let host = Host::new();
        assert_eq!(
            host.ephemeral_range().expect("readable"),
            "40000-59999".parse().ok()
        );
        assert_eq!(
            host.reserved_ports().expect("readable").to_string(),
            "8080,60000-60999"
        );
        let plan = Allocator::builder().plan().expect("ports");
        assert_eq!(plan.to_string(), "4536 ports: 61000-65535");
        let named = Allocator::builder().ports("60000-60999".parse().expect("a range"));
        assert!(matches!(
            named.plan().expect("a plan").notes(),
            [Note::SetAside { .. }]
        ));

        // The kernel accepts the command of the note, which ends the overlap.
        set("ip_local_port_range", "40000 65535");
        let named = Allocator::builder().ports("61000-61999".parse().expect("a range"));
        let advice = named
            .plan()
            .expect("ports")
            .notes()
            .iter()
            .map(ToString::to_string)
            .collect::<String>();
        let (_, value) = advice
            .split_once("ip_local_reserved_ports=")
            .expect("a sysctl line");
        set("ip_local_reserved_ports", value);
        assert_eq!(
            Host::new().reserved_ports().expect("readable").to_string(),
            "8080,60000-61999"
        );
        assert!(matches!(
            named.plan().expect("a plan").notes(),
            [Note::SetAside { .. }]
        ));
    });
}
