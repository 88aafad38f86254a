//! Local addresses and peers in the allocator, without sockets.
#![cfg(feature = "net")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eport_core::{Allocator, Lease, LeaseError, LocalAddress, PortPolicy, Reserved, Space, plan};

fn loopback() -> Space {
    Space::udp(Ipv4Addr::LOCALHOST)
}

fn allocator(ports: &str, policy: PortPolicy) -> Allocator {
    let plan = plan(&ports.parse().expect(ports), None, &Reserved::default()).expect("ports");
    Allocator::new(plan, policy).expect("a seed")
}

fn seeded(ports: &str) -> Allocator {
    allocator(ports, PortPolicy::seeded([7; 32]))
}

/// Leases a number without a socket.
fn claim(allocator: &Allocator, space: Space) -> Result<Lease<()>, LeaseError> {
    allocator.claim(space, None, |_| Ok(()))
}

#[test]
fn a_wildcard_lease_and_a_specific_one_never_have_the_same_port() {
    let allocator = seeded("50000-50003");
    let any = Space::udp(Ipv6Addr::UNSPECIFIED);
    let wildcard = [
        claim(&allocator, any).expect("free"),
        claim(&allocator, any).expect("free"),
    ];
    let specific = [
        claim(&allocator, loopback()).expect("free"),
        claim(&allocator, loopback()).expect("free"),
    ];
    let ports: HashSet<u16> = wildcard.iter().chain(&specific).map(Lease::port).collect();
    assert_eq!(ports.len(), 4);
    let full = claim(&allocator, loopback())
        .expect_err("all four are taken")
        .to_string();
    assert!(
        full.contains("2 leased, 2 leased for overlapping addresses"),
        "{full}"
    );
    let other = claim(&allocator, Space::udp(Ipv4Addr::new(127, 0, 0, 2)))
        .expect("specific ones are apart");
    assert!(specific.iter().any(|lease| lease.port() == other.port()));
    let state = allocator.explain(loopback(), wildcard[0].port());
    assert_eq!(state.to_string(), "leased as udp on ::");
}

#[test]
fn an_address_and_its_peer_are_normalised_to_the_form_of_the_kernel() {
    let allocator = seeded("50000-50009");
    let lease = |local: LocalAddress, peer: &str| {
        let peer = Some(peer.parse().expect(peer));
        allocator.claim(Space::udp(local), peer, |_| Ok(()))
    };
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
    let listener = lease(mapped.into(), "[::ffff:192.0.2.1]:2000").expect("an IPv4-mapped address");
    assert_eq!(listener.local_addr().ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(listener.peer(), "192.0.2.1:2000".parse().ok());

    let link_local: IpAddr = "fe80::1".parse().expect("an address");
    let scoped =
        lease(link_local.into(), "[fe80::2%3]:2000").expect("the peer names the interface");
    assert_eq!(scoped.space().local().scope_id(), 3);
    let bare = lease(link_local.into(), "[2001:db8::1]:2000");
    assert!(matches!(bare, Err(LeaseError::NoInterface { .. })));

    let any = LocalAddress::from(Ipv6Addr::UNSPECIFIED);
    assert!(lease(any, "192.0.2.1:2000").is_ok(), "dual-stack");
    for (local, peer) in [
        (any.only_v6(), "192.0.2.1:2000"),
        (Ipv6Addr::LOCALHOST.into(), "192.0.2.1:2000"),
        (Ipv4Addr::LOCALHOST.into(), "[::1]:2000"),
    ] {
        assert!(
            matches!(lease(local, peer), Err(LeaseError::FamilyMismatch { .. })),
            "{local}, {peer}"
        );
    }
}

#[test]
fn addresses_are_kept_up_to_a_limit() {
    let allocator = allocator("50000-50009", PortPolicy::seeded([0; 32]).max_spaces(3));
    let address = |last| Space::udp(Ipv4Addr::new(127, 0, 0, last));
    let leases: Vec<_> = (1..=3)
        .map(|last| claim(&allocator, address(last)).expect("room"))
        .collect();
    assert!(matches!(
        claim(&allocator, address(4)),
        Err(LeaseError::TooManyAddresses { limit: 3, .. })
    ));
    drop(leases);
    assert!((4..=200).all(|last| claim(&allocator, address(last)).is_ok()));
    assert_eq!(allocator.stats().spaces.len(), 3);
}
