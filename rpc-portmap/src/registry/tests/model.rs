//! The registry against a model: a list that is searched from its start.

use std::collections::HashSet;

use proptest::prelude::*;

use super::super::*;
use super::{Machine, port, tcp, udp};

/// The table as a list, searched from its start as rpcbind does it.
#[derive(Default)]
struct Model(Vec<Registration>);

impl Model {
    fn set(&mut self, new: Claim, by: u32, held: &HashSet<u16>) -> bool {
        let live = held.contains(&new.address.port().expect("a port"));
        if let Some(index) = self.position(new.program, new.version, new.netid) {
            let old = &self.0[index];
            if old.claim.address == new.address {
                return true;
            }
            let owner = old.owner == Owner::Uid(by) || by == 0;
            if !owner && !self.is_dead(index, held) {
                return false;
            }
            self.0.remove(index);
        }
        self.0.push(Registration {
            claim: new,
            owner: Owner::Uid(by),
            witnessed: live,
        });
        true
    }

    fn unset(&mut self, program: Program, version: Version, by: u32, held: &HashSet<u16>) -> usize {
        let mut removed = 0;
        for netid in Netid::ALL {
            if let Some(index) = self.position(program, version, netid)
                && (by == 0 || self.0[index].owner == Owner::Uid(by) || self.is_dead(index, held))
            {
                self.0.remove(index);
                removed += 1;
            }
        }
        removed
    }

    fn find(
        &mut self,
        program: Program,
        version: Version,
        netid: Netid,
        held: &HashSet<u16>,
    ) -> Option<u16> {
        loop {
            let index = self.position(program, version, netid).or_else(|| {
                self.0
                    .iter()
                    .rposition(|entry| (entry.claim.program, entry.claim.netid) == (program, netid))
            })?;
            if !self.is_dead(index, held) {
                return self.0[index].claim.address.port();
            }
            self.0.remove(index);
        }
    }

    fn position(&self, program: Program, version: Version, netid: Netid) -> Option<usize> {
        let key = Key {
            program,
            version,
            netid,
        };
        self.0.iter().position(|entry| entry.claim.key() == key)
    }

    fn is_dead(&self, index: usize, held: &HashSet<u16>) -> bool {
        self.0[index].witnessed
            && !held.contains(&self.0[index].claim.address.port().expect("a port"))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u32, u32, bool, u16, u32),
    Unset(u32, u32, u32),
    Find(u32, u32, bool),
    Release(u16),
    Take(u16),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let (program, version, uid, port) = (0_u32..3, 0_u32..3, 0_u32..3, 4000_u16..4004);
    prop_oneof![
        4 => (program.clone(), version.clone(), any::<bool>(), port.clone(), uid.clone())
            .prop_map(|(program, version, udp, port, uid)| Step::Set(program, version, udp, port, uid)),
        2 => (program.clone(), version.clone(), uid).prop_map(|(p, v, u)| Step::Unset(p, v, u)),
        4 => (program, version, any::<bool>()).prop_map(|(p, v, udp)| Step::Find(p, v, udp)),
        2 => port.clone().prop_map(Step::Release),
        2 => port.prop_map(Step::Take),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #[test]
    fn the_table_answers_as_a_list_would(steps in prop::collection::vec(step(), 0..120)) {
        let host = Machine::default();
        let mut registry = Registry::new(RegistryPolicy::default());
        let mut model = Model::default();
        let mut file = Vec::new();
        for step in steps {
            let held = host.held.borrow().clone();
            match step {
                Step::Set(program, version, is_udp, port, uid) => {
                    let claim = if is_udp { udp(program, version, port) } else { tcp(program, version, port) };
                    let accepted = registry.set(claim.clone(), Authority::Uid(uid), &host).is_ok();
                    prop_assert_eq!(accepted, model.set(claim, uid, &held));
                }
                Step::Unset(program, version, uid) => {
                    let outcome = registry.unset(program.into(), version.into(), &Netid::ALL, Authority::Uid(uid), &host);
                    let removed = outcome.expect("local").removed;
                    prop_assert_eq!(removed, model.unset(program.into(), version.into(), uid, &held));
                }
                Step::Find(program, version, is_udp) => {
                    let netid = if is_udp { Netid::Udp } else { Netid::Tcp };
                    let found = port(registry.find(program.into(), version.into(), netid, &host));
                    prop_assert_eq!(found, model.find(program.into(), version.into(), netid, &held));
                }
                Step::Release(port) => host.release(port),
                Step::Take(port) => drop(host.held.borrow_mut().insert(port)),
                Step::Sweep => {
                    registry.sweep(&host);
                    let dead: Vec<_> = (0..model.0.len()).map(|index| model.is_dead(index, &held)).collect();
                    let mut dead = dead.into_iter();
                    model.0.retain(|_| !dead.next().expect("as many"));
                }
            }
            for change in registry.take_changes() {
                change.encode(&mut file);
            }
            let entries: Vec<_> = registry.iter().cloned().collect();
            prop_assert_eq!(&entries, &model.0);
            prop_assert_eq!(Replay::read(&file).registrations, entries);
        }
    }
}
