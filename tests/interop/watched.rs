//! Checks of captured transfers: the port and the address that answered.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tests::capture::Transfer;

use crate::lab::PORTS;

/// Asserts that each transfer was answered from the requested address and a single port of the range.
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

/// Asserts that each transfer has a port of its own draw: repetitions are rare among a thousand ports.
#[track_caller]
pub(crate) fn check_ports_differ(seen: &[Transfer]) {
    let ports: BTreeSet<_> = seen
        .iter()
        .map(|transfer| answered_from(transfer).port())
        .collect();
    assert!(
        ports.len() > seen.len() / 2,
        "too many repeated ports: {ports:?}"
    );
}

/// Asserts that the log has a line for each transfer with its client, file and port.
#[track_caller]
pub(crate) fn check_log(log: &str, seen: &[Transfer]) {
    for transfer in seen {
        let words = [
            transfer.client.to_string(),
            transfer.name.clone(),
            answered_from(transfer).port().to_string(),
        ];
        let matches = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(log.lines().any(matches), "no line has {words:?}:\n{log}");
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
