//! Sets of sockets, given ports and adopted sockets, each test in a network namespace of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "tests use files and sockets directly"
)]
#![cfg(all(feature = "net", target_os = "linux"))]

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

use common::{address, foreign_socket, in_namespace, received, sh};
use eport_core::bind::{self, TcpOptions, UdpOptions};
use eport_core::{
    Allocator, AnySocket, Lease, LeaseError, PortPolicy, PortState, Protocol, Sharing, Space,
    WhenFull,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The sockets of an RPC service: both protocols over both families.
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
    own.expect("procfs").count()
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
            let found = set.get(wanted.into()).expect("a socket of the set");
            assert_eq!(found.space(), space);
        }
        for local in ["127.0.0.1", "[::1]"] {
            let address = address(&format!("{local}:{}", set.port()));
            TcpStream::connect(address).expect("a listener");
        }
        assert_eq!(allocator.stats().leased, 4);
        drop(set);
        assert_nothing_leased(&allocator);
    });
}

#[test]
fn a_set_skips_a_number_in_use_for_one_of_its_sockets() {
    in_namespace("a_set_skips_a_number_in_use_for_one_of_its_sockets", || {
        let allocator = allocator("61000-61003");
        let _udp = foreign_socket((V4, 61_000)).expect("free");
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
    });
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
            assert_eq!(allocator.counts(udp).free, 3, "UDP ports are not foreign");
            drop(held);
            let set = allocator.set(RPC).lease().expect("an early recheck");
            assert!((61_000..=61_002).contains(&set.port()));
        },
    );
}

#[test]
fn a_lack_of_descriptors_at_any_step_leaks_nothing() {
    in_namespace("a_lack_of_descriptors_at_any_step_leaks_nothing", || {
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
    });
}

/// Returns true for a lease; asserts that the error is the lack of descriptors.
fn outcome<T>(lease: Result<T, LeaseError>) -> bool {
    match lease {
        Ok(_) => true,
        Err(LeaseError::NoDescriptors { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Opens sockets until `left` descriptors are left.
fn leave_descriptors(left: usize) -> Vec<UdpSocket> {
    let mut taken: Vec<UdpSocket> = std::iter::from_fn(|| foreign_socket((V4, 0)).ok()).collect();
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
                .expect_err("not a local address");
            assert!(matches!(error, LeaseError::NotLocal { .. }), "{error:?}");
            assert_nothing_leased(&allocator);
        },
    );
}

#[test]
fn a_set_can_be_split_into_leases() {
    in_namespace("a_set_can_be_split_into_leases", || {
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
        let peer = foreign_socket((V4, 0)).expect("a free port");
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
        let _foreign = foreign_socket((V4, 61_005)).expect("free");
        // 61002 and 61006; a port of the third pair is foreign.
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
        let state = |port| match ask(port).expect_err("unavailable") {
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
        let held = foreign_socket((V4, 61_002)).expect("free");
        assert!(matches!(
            state(61_002),
            PortState::Foreign { refusals: 1, .. }
        ));
        let _wildcard = allocator.udp(ANY_V4).port(61_004).lease().expect("free");
        assert!(matches!(state(61_004), PortState::Overlapped(_)));

        // A given port ignores its rest and an expired foreign socket.
        drop((held, lease));
        assert_eq!(ask(61_002).expect("the port is free again").port(), 61_002);
        assert_eq!(ask(61_001).expect("it rests").port(), 61_001);
        assert_eq!(allocator.stats().quarantine_broken, 0);
    });
}

#[test]
fn an_existing_socket_is_adopted_with_its_port() {
    in_namespace("an_existing_socket_is_adopted_with_its_port", || {
        let allocator = allocator("61000-61009");
        let peer = foreign_socket((V4, 0)).expect("a free port");
        let peer_address = peer.local_addr().expect("bound");
        let connected = foreign_socket((V4, 61_000)).expect("free");
        connected.connect(peer_address).expect("loopback");
        let lease = allocator.adopt(connected).expect("adopted");
        assert_eq!((lease.port(), lease.peer()), (61_000, Some(peer_address)));
        lease.send(b"still connected").expect("sent");
        assert_eq!(received(&peer).expect("received"), b"still connected");

        let only_v6 = UdpOptions::default().only_v6(true);
        let dual_stack = bind::udp(address("[::]:61001"), &UdpOptions::default()).expect("free");
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
    });
}

#[test]
fn a_socket_that_cannot_be_adopted_is_returned() {
    in_namespace("a_socket_that_cannot_be_adopted_is_returned", || {
        let allocator = allocator("61000-61009");
        let outside = foreign_socket((V4, 0)).expect("a free port");
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
            let stream = TcpStream::connect((V4, listener.port())).expect("a listener");
            let (_, client) = accepted(listener);
            assert_eq!(client.port(), stream.local_addr().expect("bound").port());
        }
        // UDP ports are independent of TCP ports.
        let udp = [(); 2].map(|()| allocator.udp(V4).lease());
        assert!(udp.iter().all(Result::is_ok));
        let error = allocator.tcp_listener(V4).lease().expect_err("full");
        assert!(matches!(error, LeaseError::Exhausted { .. }), "{error:?}");
    });
}

/// Accepts a connection: the listener does not block, but `connect` has returned.
fn accepted(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    let (stream, client) = listener.accept().expect("a connection");
    let client = std::net::SocketAddr::new(client.ip().to_canonical(), client.port());
    (stream, client)
}

#[test]
fn a_given_tcp_port_can_be_bound_again_immediately_and_is_never_shared() {
    in_namespace(
        "a_given_tcp_port_can_be_bound_again_immediately_and_is_never_shared",
        || {
            let port = address("127.0.0.1:111");
            let options = TcpOptions::default();
            let listener = bind::tcp(port, &options).expect("free");
            let error = bind::tcp(port, &options).expect_err("held");
            assert!(error.to_string().contains("in use"), "{error}");
            let error = bind::tcp(address("0.0.0.0:111"), &options).expect_err("held");
            assert!(error.to_string().contains("in use"), "{error}");
            // The listener's side closes first and stays in TIME_WAIT.
            let client = TcpStream::connect(port).expect("a listener");
            drop((accepted(&listener), listener));
            drop(client);
            bind::tcp(port, &options).expect("a service can restart immediately");
        },
    );
}

#[test]
fn sctp_works_or_is_reported_as_unsupported() {
    in_namespace("sctp_works_or_is_reported_as_unsupported", || {
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
fn the_reserve_is_leased_on_request_only() {
    in_namespace("the_reserve_is_leased_on_request_only", || {
        let allocator = Allocator::builder()
            .ports("61000-61009".parse().expect("a range"))
            .policy(PortPolicy::default().keep_free(2))
            .build()
            .expect("an allocator");
        let leases: Vec<_> = (0..8).map(|_| allocator.udp(V4).lease()).collect();
        assert!(leases.iter().all(Result::is_ok));
        let error = allocator.udp(V4).lease().expect_err("the rest is reserved");
        assert!(error.to_string().contains("kept in reserve"), "{error}");
        let _own = allocator
            .udp(V4)
            .from_reserve()
            .lease()
            .expect("a port of the reserve");
        let set = allocator.set([(Protocol::Udp, V4), (Protocol::Tcp, V4)]);
        assert!(matches!(
            set.clone().lease(),
            Err(LeaseError::Exhausted { .. })
        ));
        let _set = set.from_reserve().lease().expect("a port of the reserve");
        let full = allocator.udp(V4).from_reserve().lease();
        assert!(matches!(full, Err(LeaseError::Exhausted { .. })));
    });
}
