//! Ports as consecutive numbers, so that scattered sets need no more memory than dense ones.

use crate::ports::PortSet;

/// Numbers the ports of a set from 0, lowest port first.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// Runs of ports, each with the number of its first port; lowest first.
    runs: Vec<Run>,
    len: u16,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    port: u16,
    last: u16,
    slot: u16,
}

impl Slots {
    pub(super) fn new(ports: &PortSet) -> Self {
        let mut len = 0;
        let runs = ports.runs().map(|run| {
            let slot = len;
            // At most 65535 ports exist, so the sum fits.
            len += run.len();
            Run {
                port: run.first(),
                last: run.last(),
                slot,
            }
        });
        Self {
            runs: runs.collect(),
            len,
        }
    }

    /// Returns the number of ports.
    pub(super) const fn len(&self) -> u16 {
        self.len
    }

    /// Returns the number of `port`, if it is in the set.
    pub(super) fn slot(&self, port: u16) -> Option<u16> {
        let after = self.runs.partition_point(|run| run.port <= port);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (port <= run.last).then(|| run.slot + (port - run.port))
    }

    /// Returns the port with the number `slot`.
    pub(super) fn port(&self, slot: u16) -> Option<u16> {
        let after = self.runs.partition_point(|run| run.slot <= slot);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (slot < self.len).then(|| run.port + (slot - run.slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbering_is_dense_and_can_be_undone() {
        for text in ["1-65535", "1,3-5,65535", "61000-65535", "7"] {
            let ports: PortSet = text.parse().expect(text);
            let slots = Slots::new(&ports);
            assert_eq!(usize::from(slots.len()), ports.len());
            for (slot, port) in (0..=u16::MAX).zip(ports.iter()) {
                assert_eq!(slots.slot(port), Some(slot));
                assert_eq!(slots.port(slot), Some(port));
            }
            assert_eq!(slots.port(slots.len()), None);
            assert!((0..=u16::MAX).all(|port| slots.slot(port).is_some() == ports.contains(port)));
        }
    }
}
