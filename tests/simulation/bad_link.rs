//! Reads by the project's own client over links that lose, repeat, delay and reorder.

use tftpd::proto::Outcome;

use crate::{
    bounds::assert_duplicates_add_little,
    own_client::OwnClient,
    scenario::{Scenario, anything, around_boundaries, with_every_defect},
    server::Ports,
    world::{World, fetch},
};

#[test]
fn every_size_around_a_boundary_arrives_over_every_link() {
    for scenario in around_boundaries() {
        assert_arrives(&scenario);
    }
}

#[test]
fn with_a_twentieth_lost_each_way_every_transfer_completes() {
    for seed in 0..3000 {
        assert_arrives(&anything(seed).losing(50));
    }
}

#[test]
fn with_every_defect_every_transfer_completes() {
    for seed in 10_000..11_500 {
        assert_arrives(&with_every_defect(seed));
    }
}

#[test]
fn with_a_fifth_lost_each_way_both_sides_end_and_success_is_never_false() {
    let mut complete = 0;
    for seed in 20_000..20_800 {
        let scenario = anything(seed).losing(200);
        let fetched = fetch(&scenario);
        fetched.report.assert_bounded(&scenario);
        let completed = Outcome::Completed { last_ack: true };
        let acknowledged = fetched.report.outcomes().contains(&completed);
        assert!(fetched.complete || !acknowledged, "{scenario:?}");
        complete += u32::from(fetched.complete);
    }
    assert!(complete > 790, "only {complete} of 800 completed");
}

#[test]
fn duplicates_made_by_the_network_add_few_packets() {
    assert_duplicates_add_little(|scenario| {
        let fetched = fetch(scenario);
        assert!(fetched.complete, "{scenario:#?}");
        fetched.report.tally
    });
}

#[test]
fn a_link_that_carries_nothing_back_ends_both_sides() {
    for seed in 0..20 {
        let mut scenario = Scenario::new(seed, 4, 100);
        scenario.down.loss = 1000;
        let fetched = fetch(&scenario);
        assert!(!fetched.complete);
        // Eight requests; each meets the transfer of the one before or opens another.
        assert_eq!(fetched.report.tally.requests, 8);
        assert!(fetched.report.tally.oacks <= 8 * 3, "{:?}", fetched.report);
        assert_eq!(fetched.report.tally.data, 0);
    }
}

#[test]
fn a_server_that_cannot_lease_a_port_does_not_answer_until_it_can() {
    let scenario = Scenario::new(1, 4, 20);
    let ports = Ports::new();
    let mut refusals = 3;
    let lease = || {
        refusals -= 1;
        (refusals < 0).then(|| ports.take()).flatten()
    };
    let mut world = World::new(&scenario, lease, |now| {
        OwnClient::get(scenario.options(), 1, now)
    });
    let report = world.run();
    assert!(world.client.outcome().is_some_and(Outcome::is_complete));
    assert_eq!((report.tally.requests, report.tally.errors), (4, 0));
    assert_eq!((ports.taken(), ports.held()), (1, 0));
}

#[track_caller]
fn assert_arrives(scenario: &Scenario) {
    let fetched = fetch(scenario);
    assert!(fetched.complete, "{scenario:#?}: {:?}", fetched.report);
    fetched.report.assert_bounded(scenario);
}
