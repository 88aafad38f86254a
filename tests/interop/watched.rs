//! What must hold of every transfer, seen from outside: which port and which address answered.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tests::capture::Transfer;

use crate::lab::PORTS;

/// Every transfer was answered from the address that was asked, from a single port of the range.
#[track_caller]
pub(crate) fn check_ports(seen: &[Transfer], count: usize) {
    assert_eq!(seen.len(), count, "{seen:#?}");
    for transfer in seen {
        let from = answered_from(transfer);
        assert_eq!(from.ip(), transfer.asked.ip(), "{transfer:?}");
        assert!(
            PORTS.contains(&from.port()),
            "not in {PORTS:?}: {transfer:?}"
        );
    }
}

/// A port is drawn anew for each transfer; a thousand to draw from make a repetition rare.
#[track_caller]
pub(crate) fn check_ports_differ(seen: &[Transfer]) {
    let ports: BTreeSet<_> = seen
        .iter()
        .map(|transfer| answered_from(transfer).port())
        .collect();
    assert!(
        ports.len() > seen.len() / 2,
        "the same ports again and again: {ports:?}"
    );
}

/// Each transfer left a line with its client, its file and its port.
#[track_caller]
pub(crate) fn check_log(log: &str, seen: &[Transfer]) {
    for transfer in seen {
        let words = [
            transfer.client.to_string(),
            transfer.name.clone(),
            answered_from(transfer).port().to_string(),
        ];
        let tells = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(log.lines().any(tells), "no line tells of {words:?}:\n{log}");
    }
}

#[track_caller]
fn answered_from(transfer: &Transfer) -> SocketAddr {
    let answered: Vec<_> = transfer.answered.iter().copied().collect();
    let [from] = answered.as_slice() else {
        panic!("not answered from one address: {transfer:?}")
    };
    *from
}
