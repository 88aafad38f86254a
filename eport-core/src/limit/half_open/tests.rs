//! Shares, eviction and expiry, with virtual time.

use std::net::Ipv4Addr;

use super::*;
use crate::limit::testing::start;
use proptest::{collection::vec, prelude::*};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_prefix_has_a_share_of_its_own() {
    let (mut half_open, now) = (budget(2, 100), start());
    let first = granted(half_open.admit(client(1, 1), 1, now));
    granted(half_open.admit(client(1, 2), 2, now));
    let refused = half_open.admit(client(1, 3), 3, now);
    let prefix = "10.0.1.0/24".parse().expect("a prefix");
    assert_eq!(
        refused,
        HalfOpenAdmission::Refused {
            conversation: 3,
            prefix
        }
    );
    granted(half_open.admit(client(2, 1), 4, now));

    assert_eq!(half_open.settle(first), Some(1));
    granted(half_open.admit(client(1, 3), 3, now));
}

#[test]
fn the_oldest_makes_room_for_the_newest() {
    let (mut half_open, now) = (budget(100, 2), start());
    let first = granted(half_open.admit(client(1, 1), 1, now));
    granted(half_open.admit(client(2, 1), 2, now));
    let third = half_open.admit(client(3, 1), 3, now);
    assert!(matches!(
        third,
        HalfOpenAdmission::Granted {
            evicted: Some(1),
            ..
        }
    ));
    assert_eq!(half_open.settle(first), None, "it is gone already");
    assert_eq!(half_open.len(), 2);
}

#[test]
fn a_refusal_evicts_nothing() {
    let (mut half_open, now) = (budget(1, 1), start());
    granted(half_open.admit(client(1, 1), 1, now));
    let refused = half_open.admit(client(1, 2), 2, now);
    assert!(matches!(
        refused,
        HalfOpenAdmission::Refused {
            conversation: 2,
            ..
        }
    ));
    assert_eq!(half_open.len(), 1);
}

#[test]
fn a_conversation_without_an_answer_expires_and_frees_its_share() {
    let (mut half_open, now) = (budget(1, 100), start());
    granted(half_open.admit(client(1, 1), 1, now));
    granted(half_open.admit(client(2, 1), 2, now + SECOND));
    assert_eq!(half_open.next_expiry(), Some(now + 5 * SECOND));
    assert_eq!(half_open.expired(now + Duration::from_millis(4999)), None);
    assert_eq!(half_open.expired(now + 5 * SECOND), Some(1));
    assert_eq!(half_open.expired(now + 5 * SECOND), None);
    granted(half_open.admit(client(1, 2), 3, now + 5 * SECOND));
    assert_eq!(half_open.expired(now + 60 * SECOND), Some(2));
    assert_eq!(half_open.expired(now + 60 * SECOND), Some(3));
    assert!(half_open.is_empty() && half_open.next_expiry().is_none());
}

#[test]
fn an_entry_settles_once_even_when_its_slot_is_used_again() {
    let (mut half_open, now) = (budget(100, 100), start());
    let first = granted(half_open.admit(client(1, 1), 1, now));
    assert_eq!(half_open.settle(first), Some(1));
    granted(half_open.admit(client(1, 1), 2, now));
    assert_eq!(half_open.settle(first), None);
    assert_eq!(half_open.len(), 1);
}

#[test]
fn a_flood_from_all_prefixes_leaves_a_prompt_client_its_conversation() {
    let (mut half_open, now) = (budget(16, 256), start());
    let prompt = granted(half_open.admit(client(200, 1), u32::MAX, now));
    for forged in 0..255 {
        let _ = half_open.admit(Ipv4Addr::from_bits(forged << 8).into(), forged, now);
    }
    assert_eq!(half_open.settle(prompt), Some(u32::MAX));
    for forged in 0..100_000 {
        let _ = half_open.admit(Ipv4Addr::from_bits(forged << 8).into(), forged, now);
    }
    assert_eq!(half_open.len(), 256);
    assert_eq!(half_open.shares.values().len(), 512, "fixed from the start");
}

proptest! {
    #[test]
    fn the_limits_hold_and_every_share_comes_back(
        steps in vec((0_u8..5, any::<u8>(), 0_u64..3, 0_usize..40), 0..200),
    ) {
        let (mut half_open, mut now) = (budget(3, 6), start());
        let (mut entries, mut there) = (Vec::new(), Vec::new());
        for (conversation, (net, host, wait, pick)) in (0..).zip(steps) {
            now += SECOND * u32::try_from(wait).expect("small");
            while let Some(gone) = half_open.expired(now) {
                there.retain(|&(other, _)| other != gone);
            }
            if let HalfOpenAdmission::Granted { entry, evicted } = half_open.admit(client(net, host), conversation, now) {
                entries.push(entry);
                there.retain(|&(other, _)| Some(other) != evicted);
                there.push((conversation, net));
            }
            if let Some(settled) = entries.get(pick).and_then(|&entry| half_open.settle(entry)) {
                there.retain(|&(other, _)| other != settled);
            }
            prop_assert_eq!(half_open.len(), there.len());
            prop_assert!(there.len() <= 6);
            prop_assert!((0..5).all(|net| there.iter().filter(|(_, other)| *other == net).count() <= 3));
        }
        while half_open.expired(now + 10 * SECOND).is_some() {}
        prop_assert!(half_open.shares.values().all(|&count| count == 0));
    }
}

fn budget(per_prefix: u32, total: u32) -> HalfOpen<u32> {
    let limits = HalfOpenLimits {
        per_prefix: NonZeroU32::new(per_prefix).expect("not zero"),
        total: NonZeroU32::new(total).expect("not zero"),
        ..HalfOpenLimits::default()
    };
    HalfOpen::new(limits, [3, 5])
}

fn client(net: u8, host: u8) -> IpAddr {
    IpAddr::from([10, 0, net, host])
}

#[track_caller]
fn granted(admission: HalfOpenAdmission<u32>) -> HalfOpenEntry {
    match admission {
        HalfOpenAdmission::Granted {
            entry,
            evicted: None,
        } => entry,
        other => panic!("there is room: {other:?}"),
    }
}
