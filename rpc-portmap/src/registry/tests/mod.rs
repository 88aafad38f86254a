mod model;

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::IpAddr;

use super::*;
use crate::rpcbind::{Mapping, UniversalAddress};

const ROOT: Authority = Authority::Uid(0);
const ALICE: Authority = Authority::Uid(1000);
const BOB: Authority = Authority::Uid(1001);

/// A machine with the addresses 192.0.2.1 and `2001:db8::1`, on which some ports are held.
#[derive(Default)]
struct Machine {
    held: RefCell<HashSet<u16>>,
    blind: bool,
}

impl Machine {
    fn holding(ports: impl IntoIterator<Item = u16>) -> Self {
        Self {
            held: RefCell::new(ports.into_iter().collect()),
            blind: false,
        }
    }

    fn release(&self, port: u16) {
        self.held.borrow_mut().remove(&port);
    }
}

impl Host for Machine {
    fn liveness(&self, _: Netid, address: &UniversalAddress) -> Liveness {
        match address.port() {
            Some(port) if !self.blind && self.held.borrow().contains(&port) => Liveness::Live,
            Some(_) if !self.blind => Liveness::Dead,
            _ => Liveness::Unknown,
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        ["192.0.2.1", "2001:db8::1"].contains(&address.to_string().as_str())
    }
}

#[test]
fn what_is_registered_is_found_under_its_version_and_transport_alone() {
    let host = Machine::holding([4000, 4001]);
    let mut registry = Registry::new(RegistryPolicy::default());
    assert_eq!(
        registry.set(udp(7, 1, 4000), ALICE, &host),
        Ok(Accepted::Added)
    );
    assert_eq!(
        registry.set(udp(7, 2, 4001), ALICE, &host),
        Ok(Accepted::Added)
    );
    assert_eq!(
        port(registry.exact(7.into(), 1.into(), Netid::Udp, &host)),
        Some(4000)
    );
    assert_eq!(
        port(registry.exact(7.into(), 3.into(), Netid::Udp, &host)),
        None
    );
    assert_eq!(
        port(registry.find(7.into(), 1.into(), Netid::Udp, &host)),
        Some(4000)
    );
    assert_eq!(
        port(registry.find(7.into(), 1.into(), Netid::Tcp, &host)),
        None
    );
    assert_eq!(
        port(registry.find(8.into(), 1.into(), Netid::Udp, &host)),
        None
    );
}

#[test]
fn a_version_that_is_not_there_gives_the_one_registered_last() {
    let host = Machine::holding([4000, 4001, 4002]);
    let mut registry = Registry::new(RegistryPolicy::default());
    for (version, port) in [(2, 4002), (9, 4001), (5, 4000)] {
        registry
            .set(udp(7, version, port), ALICE, &host)
            .expect("free");
    }
    assert_eq!(
        port(registry.find(7.into(), 0.into(), Netid::Udp, &host)),
        Some(4000)
    );
    host.release(4000);
    assert_eq!(
        port(registry.find(7.into(), 0.into(), Netid::Udp, &host)),
        Some(4001)
    );
    assert_eq!(registry.len(), 2);
}

#[test]
fn the_same_again_is_accepted_and_another_address_only_from_owner_and_root() {
    let host = Machine::holding([4000, 4001, 4002]);
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    assert_eq!(
        registry.set(udp(7, 1, 4000), BOB, &host),
        Ok(Accepted::Unchanged)
    );
    let held = Err(RegistryError::Held(Owner::Uid(1000)));
    assert_eq!(registry.set(udp(7, 1, 4001), BOB, &host), held);
    assert_eq!(
        port(registry.exact(7.into(), 1.into(), Netid::Udp, &host)),
        Some(4000)
    );
    for (by, port) in [(ALICE, 4001), (ROOT, 4002)] {
        let replaced = registry.set(udp(7, 1, port), by, &host);
        assert!(
            matches!(replaced, Ok(Accepted::Replaced(_))),
            "{replaced:?}"
        );
    }
    assert_eq!(
        registry.set(udp(7, 1, 4000), ALICE, &host),
        Err(RegistryError::Held(Owner::Uid(0)))
    );
}

#[test]
fn a_registration_with_a_free_port_is_replaced_and_one_with_a_held_port_stays() {
    let host = Machine::holding([4000, 4001]);
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    host.release(4000);
    let replaced = registry.set(udp(7, 1, 4001), BOB, &host);
    assert!(matches!(replaced, Ok(Accepted::Replaced(old)) if old.owner == Owner::Uid(1000)));
    assert_eq!(registry.sweep(&host), 0);
    host.release(4001);
    assert_eq!(registry.sweep(&host), 1);
    assert!(registry.is_empty());
}

#[test]
fn a_port_that_was_free_at_registration_is_never_checked() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    assert_eq!(registry.sweep(&host), 0);
    assert_eq!(
        port(registry.exact(7.into(), 1.into(), Netid::Udp, &host)),
        Some(4000)
    );
    let held = Err(RegistryError::Held(Owner::Uid(1000)));
    assert_eq!(registry.set(udp(7, 1, 4001), BOB, &host), held);
}

#[test]
fn a_machine_without_liveness_evicts_nothing() {
    let mut host = Machine::holding([4000]);
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    host.release(4000);
    host.blind = true;
    assert_eq!(registry.sweep(&host), 0);
    assert_eq!(
        port(registry.exact(7.into(), 1.into(), Netid::Udp, &host)),
        Some(4000)
    );
}

#[test]
fn only_the_owner_and_root_take_back_while_the_holder_lives() {
    let host = Machine::holding([4000, 4001]);
    let mut registry = Registry::new(RegistryPolicy::default());
    let unset =
        |registry: &mut Registry, by| registry.unset(7.into(), 1.into(), &Netid::ALL, by, &host);
    for owner in [ALICE, ROOT] {
        registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
        registry.set(tcp(7, 1, 4001), ALICE, &host).expect("free");
        let refused = Removed {
            removed: 0,
            refused: 2,
        };
        assert_eq!(unset(&mut registry, BOB), Ok(refused));
        let removed = Removed {
            removed: 2,
            refused: 0,
        };
        assert_eq!(unset(&mut registry, owner), Ok(removed));
        assert_eq!(unset(&mut registry, BOB), Ok(Removed::default()));
    }
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    host.release(4000);
    assert_eq!(
        unset(&mut registry, BOB).map(|outcome| outcome.removed),
        Ok(1)
    );
}

#[test]
fn the_portmapper_itself_cannot_be_registered_or_taken_back() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.insert_portmapper(udp(PROGRAM.get(), 2, 111));
    assert_eq!(
        registry.set(udp(PROGRAM.get(), 2, 112), ROOT, &host),
        Err(RegistryError::Portmapper)
    );
    let unset = registry.unset(PROGRAM, 2.into(), &Netid::ALL, ROOT, &host);
    assert_eq!(unset, Err(RegistryError::Portmapper));
    assert_eq!(
        port(registry.find(PROGRAM, 7.into(), Netid::Udp, &host)),
        Some(111)
    );
    assert_eq!(registry.take_changes(), []);
}

#[test]
fn what_a_user_may_not_register_root_may() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    for (claim, error) in [
        (
            udp(100_003, 3, 2049),
            RegistryError::Protected(Program::new(100_003)),
        ),
        (udp(7, 1, 1023), RegistryError::SystemPort(1023)),
    ] {
        assert_eq!(registry.set(claim.clone(), ALICE, &host), Err(error));
        assert_eq!(registry.set(claim, ROOT, &host), Ok(Accepted::Added));
    }
}

#[test]
fn other_machines_change_nothing_and_other_ports_of_loopback_only_if_allowed() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    for (by, error) in [
        (Authority::Remote, RegistryError::NotLocal),
        (Authority::Loopback, RegistryError::Unprivileged),
    ] {
        assert_eq!(registry.set(udp(7, 1, 4000), by, &host), Err(error));
        assert_eq!(
            registry.unset(7.into(), 1.into(), &Netid::ALL, by, &host),
            Err(error)
        );
    }
    let mut registry = Registry::new(RegistryPolicy {
        unprivileged_loopback: true,
        ..RegistryPolicy::default()
    });
    registry
        .set(udp(7, 1, 4000), Authority::Loopback, &host)
        .expect("allowed");
    let entry = registry.iter().next().expect("one");
    let shown = entry.to_rpcb();
    let mut bytes = Vec::new();
    entry.put_rpcb(&mut bytes);
    assert_eq!(bytes, crate::xdr::to_bytes(&shown));
    assert_eq!(&*shown.owner, "unknown");
    assert_eq!(
        registry.set(udp(7, 1, 4001), Authority::Remote, &host),
        Err(RegistryError::NotLocal)
    );
}

#[test]
fn an_address_is_the_machines_own_or_all_of_them() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    for (ip, outcome) in [
        ("0.0.0.0", Ok(Accepted::Added)),
        ("127.0.0.1", Ok(Accepted::Added)),
        ("192.0.2.1", Ok(Accepted::Added)),
        ("192.0.2.2", Err(RegistryError::ForeignAddress)),
    ] {
        let ip: IpAddr = ip.parse().expect("an address");
        let claim = Claim {
            address: UniversalAddress::Ip(ip, 4000),
            ..udp(7, 1, 1)
        };
        assert_eq!(registry.set(claim, ALICE, &host), outcome, "{ip}");
        registry
            .unset(7.into(), 1.into(), &Netid::ALL, ROOT, &host)
            .expect("root");
    }
}

#[test]
fn no_user_fills_the_table() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy {
        max_registrations: 4,
        max_per_owner: 2,
        ..RegistryPolicy::default()
    });
    for (by, outcome) in [
        (ALICE, Ok(Accepted::Added)),
        (ALICE, Ok(Accepted::Added)),
        (ALICE, Err(RegistryError::Full)),
        (BOB, Ok(Accepted::Added)),
        (ROOT, Ok(Accepted::Added)),
        (ROOT, Err(RegistryError::Full)),
    ] {
        let number = u32::try_from(registry.len()).expect("small");
        assert_eq!(registry.set(udp(number, 1, 4000), by, &host), outcome);
    }
    registry
        .unset(0.into(), 1.into(), &Netid::ALL, ALICE, &host)
        .expect("its own");
    assert_eq!(
        registry.set(udp(9, 1, 4000), ALICE, &host),
        Ok(Accepted::Added)
    );
}

#[test]
fn malformed_requests_are_no_claims() {
    let mapping = |protocol, port| Mapping {
        program: 7.into(),
        version: 1.into(),
        protocol,
        port,
    };
    assert_eq!(
        Claim::from_mapping(&mapping(132, 4000)),
        Err(ClaimError::Protocol(132))
    );
    assert_eq!(
        Claim::from_mapping(&mapping(17, 0)),
        Err(ClaimError::Port(0))
    );
    assert_eq!(
        Claim::from_mapping(&mapping(17, 65543)),
        Err(ClaimError::Port(65543))
    );
    let mut request = rpcb();
    assert!(Claim::from_rpcb(&request).is_ok());
    request.netid = "".parse().expect("short");
    assert!(matches!(
        Claim::from_rpcb(&request),
        Err(ClaimError::Netid(_))
    ));
    let mut request = rpcb();
    request.address = "".parse().expect("short");
    assert!(matches!(
        Claim::from_rpcb(&request),
        Err(ClaimError::Address(_))
    ));
}

#[test]
fn a_restart_restores_what_is_still_valid() {
    let host = Machine::holding([4000, 4001]);
    let mut before = Registry::new(RegistryPolicy::default());
    before.set(udp(1, 1, 4000), ALICE, &host).expect("free");
    before.set(udp(2, 1, 4001), ALICE, &host).expect("free");
    before.set(udp(3, 1, 4002), ROOT, &host).expect("free");
    before
        .unset(1.into(), 1.into(), &Netid::ALL, ALICE, &host)
        .expect("its own");
    before.set(udp(1, 1, 4000), BOB, &host).expect("free");
    let mut file = Vec::new();
    for change in before.take_changes() {
        change.encode(&mut file);
    }
    let unfinished = file.len() - 3;
    let replay = Replay::read(&file[..unfinished]);
    assert_eq!(replay.records, 4);
    assert!(replay.good < unfinished);

    let replay = Replay::read(&file);
    assert_eq!((replay.good, replay.records), (file.len(), 5));
    let expected: Vec<_> = before.iter().cloned().collect();
    assert_eq!(replay.registrations, expected);

    host.release(4001);
    let mut after = Registry::new(RegistryPolicy {
        protected: vec![Program::new(3)],
        ..RegistryPolicy::default()
    });
    assert_eq!(after.restore(replay.registrations, &host), 2);
    let programs: Vec<_> = after
        .iter()
        .map(|entry| entry.claim.program.get())
        .collect();
    assert_eq!(programs, [3, 1]);
    assert_eq!(after.take_changes(), []);
}

#[test]
fn damage_ends_what_is_read_back() {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    for program in 0..3 {
        registry
            .set(udp(program, 1, 4000), ALICE, &host)
            .expect("free");
    }
    let mut file = Vec::new();
    for change in registry.take_changes() {
        change.encode(&mut file);
    }
    let one = file.len() / 3;
    file[one + 9] ^= 1;
    let replay = Replay::read(&file);
    assert_eq!((replay.records, replay.good), (1, one));
}

fn udp(program: u32, version: u32, port: u16) -> Claim {
    claim(program, version, 17, port)
}

fn tcp(program: u32, version: u32, port: u16) -> Claim {
    claim(program, version, 6, port)
}

#[track_caller]
fn claim(program: u32, version: u32, protocol: u32, port: u16) -> Claim {
    let mapping = Mapping {
        program: program.into(),
        version: version.into(),
        protocol,
        port: port.into(),
    };
    Claim::from_mapping(&mapping).expect("a good claim")
}

fn rpcb() -> crate::rpcbind::Rpcb {
    let host = Machine::default();
    let mut registry = Registry::new(RegistryPolicy::default());
    registry.set(udp(7, 1, 4000), ALICE, &host).expect("free");
    registry.iter().next().expect("one").to_rpcb()
}

fn port(found: Option<&Registration>) -> Option<u16> {
    found.and_then(|entry| entry.claim.address.port())
}
