//! Several sockets at once, given ports and sockets from elsewhere, each test in a network
//! namespace of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use files and sockets directly"
)]
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

use common::{address, in_namespace, received, sh, stranger};
use eport_core::bind::{self, TcpOptions, UdpOptions};
use eport_core::{
    Allocator, AnySocket, Lease, LeaseError, PortPolicy, PortState, Protocol, Sharing, Space,
    WhenFull,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What an RPC service binds: both protocols over both families.
const RPC: [(Protocol, IpAddr); 4] = [
    (Protocol::Udp, ANY_V4),
    (Protocol::Udp, ANY_V6),
    (Protocol::Tcp, ANY_V4),
    (Protocol::Tcp, ANY_V6),
];

fn allocator(ports: &str) -> Allocator {
    Allocator::builder()
        .ports(ports.parse().expect(ports))
        .build()
        .expect("an allocator")
}

#[track_caller]
fn assert_nothing_leased(allocator: &Allocator) {
    let stats = allocator.stats();
    assert_eq!((stats.leased, stats.leases), (0, 0), "{stats:?}");
}

fn descriptors() -> usize {
    let own = std::fs::read_dir("/proc/self/fd");
    own.expect("the process sees itself").count()
}

#[test]
fn a_set_has_one_number_for_all_its_sockets() {
    in_namespace("a_set_has_one_number_for_all_its_sockets", || {
        let allocator = allocator("auto");
        let set = allocator.set(RPC).lease().expect("a set");
        assert_eq!(set.len(), 4);
        for (lease, wanted) in set.iter().zip(RPC) {
            assert_eq!(lease.port(), set.port());
            let space = lease.space();
            assert_eq!((space.protocol(), space.local().ip()), wanted);
            let found = set.get(wanted.into()).expect("it was asked for");
            assert_eq!(found.space(), space);
        }
        for local in ["127.0.0.1", "[::1]"] {
            let address = address(&format!("{local}:{}", set.port()));
            TcpStream::connect(address).expect("somebody listens");
        }
        assert_eq!(allocator.stats().leased, 4);
        drop(set);
        assert_nothing_leased(&allocator);
    });
}

#[test]
fn a_set_avoids_a_number_that_is_taken_for_one_of_its_sockets() {
    in_namespace(
        "a_set_avoids_a_number_that_is_taken_for_one_of_its_sockets",
        || {
            let allocator = allocator("61000-61003");
            let _udp = stranger((V4, 61_000)).expect("free");
            let _tcp = bind::tcp(address("[::1]:61001"), &TcpOptions::default()).expect("free");
            let _leased = allocator
                .tcp_listener(ANY_V4)
                .port(61_002)
                .lease()
                .expect("free");
            for _ in 0..8 {
                let set = allocator.set(RPC).lease().expect("one number is free");
                assert_eq!(set.port(), 61_003);
            }
        },
    );
}

#[test]
fn a_set_that_fails_leaves_no_socket_and_no_lease_behind() {
    in_namespace(
        "a_set_that_fails_leaves_no_socket_and_no_lease_behind",
        || {
            let allocator = allocator("61000-61002");
            // The last socket of the set fails on every number.
            let held: Vec<_> = (61_000..=61_002)
                .map(|port| {
                    let address = address(&format!("[::1]:{port}"));
                    bind::tcp(address, &TcpOptions::default()).expect("free")
                })
                .collect();
            let before = descriptors();
            let error = allocator.set(RPC).lease().expect_err("no number is free");
            assert!(
                matches!(error, LeaseError::Exhausted { in_use: 3.., .. }),
                "{error:?}"
            );
            assert_eq!(descriptors(), before);
            assert_nothing_leased(&allocator);
            let udp = Space::udp(ANY_V4);
            assert_eq!(allocator.counts(udp).free, 3, "nothing was wrong with UDP");
            drop(held);
            let set = allocator.set(RPC).lease().expect("tried again early");
            assert!((61_000..=61_002).contains(&set.port()));
        },
    );
}

#[test]
fn wherever_descriptors_run_out_nothing_is_left_behind() {
    in_namespace(
        "wherever_descriptors_run_out_nothing_is_left_behind",
        || {
            sh("prlimit --pid $PPID --nofile=64:");
            let sharing = WhenFull::FAIL.share(Sharing::last_ports(100));
            let policy = PortPolicy::default;
            for policy in [policy(), policy().when_full(sharing)] {
                let built = Allocator::builder()
                    .ports("61000-61099".parse().expect("a range"))
                    .policy(policy)
                    .build();
                let Ok(allocator) = built else { continue };
                let peer = address("127.0.0.1:9");
                let requests: [(&str, usize, &dyn Fn() -> bool); 4] = [
                    ("set", 4, &|| outcome(allocator.set(RPC).lease())),
                    ("pair", 2, &|| outcome(allocator.pair(V4))),
                    ("socket", 1, &|| {
                        outcome(allocator.udp(V4).peer(peer).lease())
                    }),
                    ("listener", 1, &|| {
                        outcome(allocator.tcp_listener(V4).lease())
                    }),
                ];
                for (name, needed, request) in requests {
                    for left in 0..=needed {
                        let before = descriptors();
                        let taken = leave_descriptors(left);
                        let leased = request();
                        drop(taken);
                        assert_eq!(leased, left == needed, "{name} with {left} descriptors");
                        assert_eq!(descriptors(), before, "{name} with {left} descriptors");
                        assert_nothing_leased(&allocator);
                    }
                }
                let stats = allocator.stats();
                assert_eq!((stats.foreign, stats.no_descriptors), (0, 4 + 2 + 1 + 1));
            }
        },
    );
}

/// Whether there was a lease; if not, it was for want of descriptors.
fn outcome<T>(lease: Result<T, LeaseError>) -> bool {
    match lease {
        Ok(_) => true,
        Err(LeaseError::NoDescriptors { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Uses up all descriptors but so many.
fn leave_descriptors(left: usize) -> Vec<UdpSocket> {
    let mut taken: Vec<UdpSocket> = std::iter::from_fn(|| stranger((V4, 0)).ok()).collect();
    taken.truncate(taken.len() - left);
    taken
}

#[test]
fn a_set_that_cannot_work_is_refused_before_anything_is_bound() {
    in_namespace(
        "a_set_that_cannot_work_is_refused_before_anything_is_bound",
        || {
            let allocator = allocator("auto");
            let twice = allocator.set([(Protocol::Udp, ANY_V4), (Protocol::Udp, V4)]);
            let error = twice.lease().expect_err("they collide");
            assert!(matches!(error, LeaseError::SetOverlaps { .. }), "{error:?}");
            let none: [Space; 0] = [];
            assert!(matches!(
                allocator.set(none).lease(),
                Err(LeaseError::EmptySet)
            ));
            let elsewhere: IpAddr = "192.0.2.1".parse().expect("an address");
            let error = allocator
                .set([(Protocol::Udp, V4), (Protocol::Tcp, elsewhere)])
                .lease()
                .expect_err("not ours");
            assert!(matches!(error, LeaseError::NotLocal { .. }), "{error:?}");
            assert_nothing_leased(&allocator);
        },
    );
}

#[test]
fn a_set_may_be_taken_apart() {
    in_namespace("a_set_may_be_taken_apart", || {
        let allocator = allocator("auto");
        let set = allocator
            .set([(Protocol::Udp, V4), (Protocol::Tcp, V4)])
            .port(61_234)
            .lease()
            .expect("free");
        let mut leases = set.into_iter();
        let udp: Lease<UdpSocket> = leases
            .next()
            .expect("two leases")
            .try_map(|socket| match socket {
                AnySocket::Udp(socket) => Ok(socket),
                other => Err(other),
            })
            .expect("the first is UDP");
        drop(leases);
        let peer = stranger((V4, 0)).expect("a free port");
        peer.send_to(b"hello", udp.local_addr()).expect("sent");
        udp.set_nonblocking(false).expect("a flag");
        assert_eq!(received(&udp).expect("received"), b"hello");
        let stats = allocator.stats();
        assert_eq!((stats.leased, stats.leases), (1, 1));
    });
}

#[test]
fn a_pair_is_an_even_port_and_the_odd_one_after_it() {
    in_namespace("a_pair_is_an_even_port_and_the_odd_one_after_it", || {
        let allocator = allocator("61001-61007");
        let _stranger = stranger((V4, 61_005)).expect("free");
        // 61002 and 61006; the third pair has a stranger in it.
        let pairs = [(); 2].map(|()| allocator.pair(V4).expect("two pairs are free"));
        let ports: HashSet<(u16, u16)> = pairs
            .iter()
            .map(|(even, odd)| (even.port(), odd.port()))
            .collect();
        assert_eq!(ports, HashSet::from([(61_002, 61_003), (61_006, 61_007)]));
        let before = descriptors();
        let error = allocator.pair(V4).expect_err("no pair is free");
        assert!(
            error.to_string().contains("do not suit the whole request"),
            "{error}"
        );
        assert_eq!(descriptors(), before);
        assert_eq!(allocator.stats().leases, 4);
    });
}

#[test]
fn a_given_port_is_leased_or_the_reason_is_given() {
    in_namespace("a_given_port_is_leased_or_the_reason_is_given", || {
        let allocator = Allocator::builder()
            .ports("61000-61009".parse().expect("a range"))
            .exclude(&"61003".parse().expect("a port"))
            .build()
            .expect("an allocator");
        let ask = |port| allocator.udp(V4).port(port).lease();
        let state = |port| match ask(port).expect_err("not to be had") {
            LeaseError::PortUnavailable {
                port: named, state, ..
            } if named == port => state,
            other => panic!("{other:?}"),
        };
        let lease = ask(61_001).expect("free");
        assert_eq!(lease.port(), 61_001);
        assert!(matches!(state(61_001), PortState::Leased { .. }));
        assert!(matches!(state(61_003), PortState::Reserved(_)));
        assert_eq!(state(60_999), PortState::NotInRange);
        let held = stranger((V4, 61_002)).expect("free");
        assert!(matches!(
            state(61_002),
            PortState::Foreign { refusals: 1, .. }
        ));
        let _wildcard = allocator.udp(ANY_V4).port(61_004).lease().expect("free");
        assert!(matches!(state(61_004), PortState::Overlapped(_)));

        // Neither a rest nor what was foreign a moment ago stands in the way.
        drop((held, lease));
        assert_eq!(ask(61_002).expect("the stranger has left").port(), 61_002);
        assert_eq!(ask(61_001).expect("it rests").port(), 61_001);
        assert_eq!(allocator.stats().quarantine_broken, 0);
    });
}

#[test]
fn a_socket_from_elsewhere_is_taken_over_with_its_port() {
    in_namespace(
        "a_socket_from_elsewhere_is_taken_over_with_its_port",
        || {
            let allocator = allocator("61000-61009");
            let peer = stranger((V4, 0)).expect("a free port");
            let peer_address = peer.local_addr().expect("bound");
            let connected = stranger((V4, 61_000)).expect("free");
            connected.connect(peer_address).expect("loopback");
            let lease = allocator.adopt(connected).expect("ours from now on");
            assert_eq!((lease.port(), lease.peer()), (61_000, Some(peer_address)));
            lease.send(b"still connected").expect("sent");
            assert_eq!(received(&peer).expect("received"), b"still connected");

            let only_v6 = UdpOptions::default().only_v6(true);
            let dual_stack =
                bind::udp(address("[::]:61001"), &UdpOptions::default()).expect("free");
            let only_v6 = bind::udp(address("[::]:61002"), &only_v6).expect("free");
            let (dual_stack, only_v6) = (
                allocator.adopt(dual_stack).expect("in the range"),
                allocator.adopt(only_v6).expect("in the range"),
            );
            assert!(!dual_stack.space().local().is_only_v6());
            assert!(only_v6.space().local().is_only_v6());

            let tcp = bind::tcp(address("127.0.0.1:61000"), &TcpOptions::default()).expect("free");
            let tcp: Lease<TcpListener> = allocator.adopt(tcp).expect("another protocol");
            let stats = allocator.stats();
            assert_eq!((stats.leased, stats.adopted), (4, 4));
            drop((lease, dual_stack, only_v6, tcp));
            assert_nothing_leased(&allocator);
        },
    );
}

#[test]
fn a_socket_that_cannot_be_taken_over_comes_back() {
    in_namespace("a_socket_that_cannot_be_taken_over_comes_back", || {
        let allocator = allocator("61000-61009");
        let outside = stranger((V4, 0)).expect("a free port");
        let port = outside.local_addr().expect("bound").port();
        let rejected = allocator.adopt(outside).expect_err("not in the range");
        assert!(matches!(
            rejected.reason,
            LeaseError::PortUnavailable {
                state: PortState::NotInRange,
                ..
            }
        ));
        assert_eq!(rejected.socket.local_addr().expect("bound").port(), port);

        let lease = allocator.udp(V4).lease().expect("free");
        let again = lease.try_clone().expect("a descriptor");
        let rejected = allocator.adopt(again).expect_err("it is leased");
        let error = rejected.reason.to_string();
        assert!(error.contains("leased"), "{error}");
        assert_eq!(allocator.stats().leases, 1);
    });
}

#[test]
fn a_tcp_listener_has_a_port_of_its_own_and_listens() {
    in_namespace("a_tcp_listener_has_a_port_of_its_own_and_listens", || {
        let allocator = allocator("61000-61001");
        let (first, second) = (
            allocator.tcp_listener(V4).lease().expect("free"),
            allocator.tcp_listener(ANY_V6).lease().expect("free"),
        );
        assert_ne!(first.port(), second.port());
        for listener in [&first, &second] {
            let stream = TcpStream::connect((V4, listener.port())).expect("it listens");
            let (_, client) = accepted(listener);
            assert_eq!(client.port(), stream.local_addr().expect("bound").port());
        }
        // UDP ports of the same numbers are other ports.
        let udp = [(); 2].map(|()| allocator.udp(V4).lease());
        assert!(udp.iter().all(Result::is_ok));
        let error = allocator.tcp_listener(V4).lease().expect_err("full");
        assert!(matches!(error, LeaseError::Exhausted { .. }), "{error:?}");
    });
}

/// A listener does not block, but the connection is there when `connect` has returned.
fn accepted(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    let (stream, client) = listener.accept().expect("a connection");
    let client = std::net::SocketAddr::new(client.ip().to_canonical(), client.port());
    (stream, client)
}

#[test]
fn a_given_tcp_port_is_free_again_at_once_and_never_shared() {
    in_namespace(
        "a_given_tcp_port_is_free_again_at_once_and_never_shared",
        || {
            let port = address("127.0.0.1:111");
            let options = TcpOptions::default();
            let listener = bind::tcp(port, &options).expect("free");
            let error = bind::tcp(port, &options).expect_err("held");
            assert!(error.to_string().contains("in use"), "{error}");
            let error = bind::tcp(address("0.0.0.0:111"), &options).expect_err("held");
            assert!(error.to_string().contains("in use"), "{error}");
            // Our side of the connection closes first and stays in TIME_WAIT.
            let client = TcpStream::connect(port).expect("it listens");
            drop((accepted(&listener), listener));
            drop(client);
            bind::tcp(port, &options).expect("a service can start again at once");
        },
    );
}

#[test]
fn sctp_is_there_or_its_absence_is_said() {
    in_namespace("sctp_is_there_or_its_absence_is_said", || {
        let allocator = allocator("61000-61009");
        match allocator.sctp_listener(V4).lease() {
            Ok(listener) => {
                let bound = bind::SctpListener::local_addr(&listener).expect("bound");
                assert_eq!(bound, listener.local_addr());
            }
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        LeaseError::ProtocolNotSupported {
                            protocol: Protocol::Sctp,
                            ..
                        }
                    ),
                    "{error:?}"
                );
                assert!(error.to_string().contains("no sctp sockets"), "{error}");
                assert_nothing_leased(&allocator);
            }
        }
        assert_eq!(allocator.stats().foreign, 0);
    });
}

#[test]
fn what_is_kept_free_is_for_those_who_ask_for_it() {
    in_namespace("what_is_kept_free_is_for_those_who_ask_for_it", || {
        let allocator = Allocator::builder()
            .ports("61000-61009".parse().expect("a range"))
            .policy(PortPolicy::default().keep_free(2))
            .build()
            .expect("an allocator");
        let leases: Vec<_> = (0..8).map(|_| allocator.udp(V4).lease()).collect();
        assert!(leases.iter().all(Result::is_ok));
        let error = allocator.udp(V4).lease().expect_err("the rest is kept");
        assert!(error.to_string().contains("kept in reserve"), "{error}");
        let _own = allocator
            .udp(V4)
            .from_reserve()
            .lease()
            .expect("kept for it");
        let set = allocator.set([(Protocol::Udp, V4), (Protocol::Tcp, V4)]);
        assert!(matches!(
            set.clone().lease(),
            Err(LeaseError::Exhausted { .. })
        ));
        let _set = set.from_reserve().lease().expect("kept for it");
        let full = allocator.udp(V4).from_reserve().lease();
        assert!(matches!(full, Err(LeaseError::Exhausted { .. })));
    });
}
