//! Ports with several peers, each test in a network namespace of its own.
#![cfg(all(feature = "net", target_os = "linux"))]

#[expect(dead_code, reason = "the other suites need more of it")]
mod common;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU8;
use std::thread;
use std::time::Duration;

use common::{foreign_socket, in_namespace, received, sh};
use eport_core::{
    Allocator, BuildError, Lease, LeaseError, PortPolicy, PortState, Sharing, Space, WaitLimits,
    WhenFull,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An allocator that shares the last `shared` of its ports; `None` without kernel support.
fn sharing(ports: &str, shared: u16, peers_per_port: u8) -> Option<Allocator> {
    let peers = NonZeroU8::new(peers_per_port).expect("not zero");
    let sharing = Sharing::last_ports(shared).peers_per_port(peers);
    sharing_as(ports, WhenFull::FAIL.share(sharing))
}

/// An allocator with these steps; `None` without kernel support for sharing.
fn sharing_as(ports: &str, when_full: WhenFull) -> Option<Allocator> {
    let policy = PortPolicy::default().when_full(when_full);
    let built = Allocator::builder()
        .ports(ports.parse().expect(ports))
        .policy(policy)
        .build();
    match built {
        Err(error @ BuildError::SharingUnsupported { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        built => Some(built.expect("an allocator")),
    }
}

/// One of many peers, with an address of its own, so that it needs no socket while it sends nothing.
fn peer(number: u32) -> SocketAddr {
    let host = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + number);
    SocketAddr::from((host, 4000))
}

/// Sends from the address of a peer.
fn send_from(peer: SocketAddr, to: SocketAddr, text: &str) {
    let socket = foreign_socket(peer).expect("an unused address");
    socket.send_to(text.as_bytes(), to).expect("sent");
}

/// All datagrams received by a socket.
fn inbox(socket: &UdpSocket) -> Vec<String> {
    std::iter::from_fn(|| received(socket).ok())
        .map(|bytes| String::from_utf8(bytes).expect("text"))
        .collect()
}

#[test]
fn ten_thousand_peers_share_two_hundred_ports_each_with_its_own_socket() {
    in_namespace(
        "ten_thousand_peers_share_two_hundred_ports_each_with_its_own_socket",
        || {
            const PEERS: u32 = 10_000;
            sh("prlimit --pid $PPID --nofile=12000:");
            let Some(allocator) = sharing("61000-61199", 200, 64) else {
                return;
            };
            let leases: Vec<Lease<UdpSocket>> = (0..PEERS)
                .map(|number| allocator.udp(V4).peer(peer(number)).lease().expect("room"))
                .collect();
            let mut peers_of: BTreeMap<u16, usize> = BTreeMap::new();
            for lease in &leases {
                *peers_of.entry(lease.port()).or_default() += 1;
            }
            assert!(peers_of.keys().copied().eq(61_000..=61_199));
            assert!(peers_of.values().all(|peers| *peers <= 64), "{peers_of:?}");

            // Rounds in different orders; each peer sends its number.
            for (round, step) in [(0u32, 1u32), (1, 7), (2, 4999)] {
                for turn in 0..PEERS {
                    let number = turn * step % PEERS;
                    let lease = &leases[number as usize];
                    send_from(
                        peer(number),
                        lease.local_addr(),
                        &format!("{round}/{number}"),
                    );
                }
            }
            for (number, lease) in (0u32..).zip(&leases) {
                let expected = [0, 1, 2].map(|round| format!("{round}/{number}"));
                assert_eq!(inbox(lease), expected, "port {}", lease.port());
            }

            let stats = allocator.stats();
            assert_eq!(
                (stats.leases, stats.leased, stats.shared),
                (10_000, 200, 200)
            );
            drop(leases);
            let stats = allocator.stats();
            assert_eq!((stats.leases, stats.leased, stats.shared), (0, 0, 0));
            assert_eq!(stats.free + stats.resting, 200);
            assert_eq!((stats.foreign, stats.quarantine_broken), (0, 0));
        },
    );
}

#[test]
fn ports_are_shared_only_when_few_are_left() {
    in_namespace("ports_are_shared_only_when_few_are_left", || {
        let Some(allocator) = sharing("61000-61009", 2, 3) else {
            return;
        };
        let lease = |number| allocator.udp(V4).peer(peer(number)).lease();
        let leases: Vec<_> = (0..14).map(|number| lease(number).expect("room")).collect();
        let full = lease(14).expect_err("8 alone and 2 × 3 together");
        assert!(matches!(full, LeaseError::Exhausted { .. }), "{full:?}");
        let mut peers_of: HashMap<u16, usize> = HashMap::new();
        for lease in &leases {
            *peers_of.entry(lease.port()).or_default() += 1;
        }
        let mut sizes: Vec<usize> = peers_of.into_values().collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 1, 1, 1, 1, 1, 1, 3, 3]);
        let shared = leases.last().expect("leases").port();
        let state = allocator.explain(Space::udp(V4), shared);
        assert!(
            matches!(state, PortState::Shared { peers: 3, .. }),
            "{state}"
        );
        // A request without a peer cannot share.
        assert!(allocator.udp(V4).lease().is_err());
    });
}

#[test]
fn a_peer_never_has_the_same_port_twice() {
    in_namespace("a_peer_never_has_the_same_port_twice", || {
        let Some(allocator) = sharing("61000-61004", 5, 64) else {
            return;
        };
        let lease = || allocator.udp(V4).peer(peer(1)).lease();
        let leases: Vec<_> = (0..5).map(|_| lease().expect("another port")).collect();
        let ports: HashSet<u16> = leases.iter().map(Lease::port).collect();
        assert_eq!(ports.len(), 5);
        assert!(lease().is_err(), "it has every port");
        assert!(allocator.udp(V4).peer(peer(2)).lease().is_ok());
    });
}

#[test]
fn foreign_datagrams_meet_a_closed_port_although_it_is_shared() {
    in_namespace(
        "foreign_datagrams_meet_a_closed_port_although_it_is_shared",
        || {
            let Some(allocator) = sharing("61000", 1, 64) else {
                return;
            };
            let leases: Vec<_> = (0..64)
                .map(|number| allocator.udp(V4).peer(peer(number)).lease().expect("room"))
                .collect();
            let other = foreign_socket((V4, 0)).expect("a free port");
            other.connect((V4, 61_000)).expect("connected");
            other.send(b"injected").expect("sent");
            let refusal = received(&other).expect_err("no answer");
            assert_eq!(refusal.kind(), io::ErrorKind::ConnectionRefused);
            assert!(leases.iter().all(|lease| inbox(lease).is_empty()));
        },
    );
}

#[test]
fn a_shared_port_is_closed_to_others_until_its_last_peer_has_left() {
    in_namespace(
        "a_shared_port_is_closed_to_others_until_its_last_peer_has_left",
        || {
            let Some(allocator) = sharing("61000", 1, 4) else {
                return;
            };
            let lease = |number| allocator.udp(V4).peer(peer(number)).lease().expect("room");
            let (first, second) = (lease(1), lease(2));
            let held = || {
                foreign_socket((V4, 61_000))
                    .map_err(|error| error.kind())
                    .err()
            };
            assert_eq!(held(), Some(io::ErrorKind::AddrInUse));
            drop(first);
            assert_eq!(held(), Some(io::ErrorKind::AddrInUse));
            send_from(peer(2), second.local_addr(), "still here");
            assert_eq!(inbox(&second), ["still here"]);
            // Other peers take the slot of the first.
            let others = [lease(3), lease(4), lease(5)];
            for (number, lease) in (3..).zip(&others) {
                send_from(peer(number), lease.local_addr(), "me");
                assert_eq!(inbox(lease), ["me"]);
            }
            drop((second, others));
            assert_eq!(held(), None);
        },
    );
}

#[test]
fn a_port_of_a_foreign_socket_is_not_shared() {
    in_namespace("a_port_of_a_foreign_socket_is_not_shared", || {
        let Some(allocator) = sharing("61000-61001", 2, 2) else {
            return;
        };
        let _held = foreign_socket((V4, 61_000)).expect("free");
        let leases = [1, 2].map(|number| {
            let lease = allocator.udp(V4).peer(peer(number)).lease();
            lease.expect("the other port")
        });
        assert!(leases.iter().all(|lease| lease.port() == 61_001));
        let full = allocator.udp(V4).peer(peer(3)).lease();
        assert!(matches!(full, Err(LeaseError::Exhausted { .. })));
        drop(leases);
        let stats = allocator.stats();
        assert_eq!((stats.leases, stats.shared), (0, 0));
    });
}

#[test]
fn both_families_can_share_a_dual_stack_port() {
    in_namespace("both_families_can_share_a_dual_stack_port", || {
        let Some(allocator) = sharing("61000", 1, 64) else {
            return;
        };
        let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        let v6 = |number: u16| SocketAddr::from((Ipv6Addr::LOCALHOST, 5000 + number));
        let lease = |peer| allocator.udp(any).peer(peer).lease().expect("room");
        let leases: Vec<_> = (0..8u16)
            .map(|number| {
                if number % 2 == 0 {
                    lease(peer(number.into()))
                } else {
                    lease(v6(number))
                }
            })
            .collect();
        for lease in &leases {
            let peer = lease.peer().expect("it is connected");
            let ours: IpAddr = if peer.is_ipv4() {
                V4
            } else {
                Ipv6Addr::LOCALHOST.into()
            };
            send_from(peer, (ours, 61_000).into(), &peer.to_string());
        }
        for lease in &leases {
            let own = lease.peer().expect("it is connected").to_string();
            assert_eq!(inbox(lease), [own]);
        }
    });
}

#[test]
fn a_socket_that_cannot_be_created_dissolves_its_shared_port() {
    in_namespace(
        "a_socket_that_cannot_be_created_dissolves_its_shared_port",
        || {
            let Some(allocator) = sharing("61000-61099", 100, 4) else {
                return;
            };
            sh("prlimit --pid $PPID --nofile=60:");
            let mut leases = Vec::new();
            let error = loop {
                let number = u32::try_from(leases.len()).expect("few");
                match allocator.udp(V4).peer(peer(number)).lease() {
                    Ok(lease) => leases.push(lease),
                    Err(error) => break error,
                }
            };
            assert!(
                matches!(error, LeaseError::NoDescriptors { .. }),
                "{error:?}"
            );
            let stats = allocator.stats();
            assert_eq!((stats.leases, stats.shared), (leases.len(), leases.len()));
            drop(leases);
            let stats = allocator.stats();
            assert_eq!((stats.leases, stats.shared, stats.leased), (0, 0, 0));
            assert_eq!(
                stats.free, 100,
                "one peer each: no port rests for all peers"
            );
        },
    );
}

#[test]
fn a_peer_that_left_a_shared_port_is_not_given_it_within_its_rest() {
    in_namespace(
        "a_peer_that_left_a_shared_port_is_not_given_it_within_its_rest",
        || {
            let Some(allocator) = sharing("61000-61001", 2, 64) else {
                return;
            };
            let lease = |number| allocator.udp(V4).peer(peer(number)).lease().expect("room");
            let _stay = [lease(1), lease(2)];
            let left = lease(3);
            let port = left.port();
            drop(left);
            let other = lease(3);
            assert_ne!(other.port(), port);
            assert_eq!(allocator.stats().quarantine_broken, 0);
            drop(other);
            // It has left both ports, and is given one of them before its rest has ended.
            let _again = lease(3);
            assert_eq!(allocator.stats().quarantine_broken, 1);
        },
    );
}

#[test]
fn a_request_shares_first_then_waits_then_fails() {
    in_namespace("a_request_shares_first_then_waits_then_fails", || {
        let two = NonZeroU8::new(2).expect("not zero");
        let ladder = |timeout| {
            let sharing = Sharing::last_ports(1).peers_per_port(two);
            let limits = WaitLimits::new(1, timeout);
            sharing_as("61000", WhenFull::FAIL.share(sharing).wait(limits))
        };
        let Some(allocator) = ladder(Duration::from_millis(5)) else {
            return;
        };
        let lease = |allocator: &Allocator, number| allocator.udp(V4).peer(peer(number)).lease();
        let both = [1, 2].map(|number| lease(&allocator, number).expect("room"));
        let third = lease(&allocator, 3).expect_err("the port has two peers");
        assert!(matches!(third, LeaseError::TimedOut { .. }), "{third:?}");
        drop((allocator, both));

        let allocator = ladder(Duration::from_secs(60)).expect("as before");
        let [first, second] = [4, 5].map(|number| lease(&allocator, number).expect("room"));
        let waiter = thread::spawn({
            let allocator = allocator.clone();
            move || lease(&allocator, 6).expect("the port of the peer that leaves")
        });
        while allocator.stats().waiting == 0 {
            thread::yield_now();
        }
        drop(first);
        assert_eq!(waiter.join().expect("no panic").port(), second.port());
    });
}
