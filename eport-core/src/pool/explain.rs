//! The state of a port, with its reason.

use std::time::Instant;

use super::cell::{Cell, CellState};
use super::space::SpacePorts;
use super::{Pool, PortState};
use crate::address::Space;
use crate::ports::Source;

impl Pool {
    /// Returns the state of `port` in `space`, with its reason.
    pub fn explain(&self, space: Space, port: u16, now: Instant) -> PortState {
        let Some(slot) = self.slots.slot(port) else {
            let sources: Vec<Source> = self.left_out.sources(port).collect();
            return if sources.is_empty() {
                PortState::NotInRange
            } else {
                PortState::Reserved(sources)
            };
        };
        let is_leased = |ports: &SpacePorts| ports.record(slot).is_some();
        let ports = self
            .find(space)
            .and_then(|index| self.spaces.get(usize::from(index)));
        let withheld: Vec<Source> = self.withheld.sources(port).collect();
        if !withheld.is_empty() && !ports.is_some_and(is_leased) {
            return PortState::Reserved(withheld);
        }
        let known = ports.and_then(|ports| self.explain_known(ports, slot, now));
        known.unwrap_or_else(|| {
            let holders: Vec<Space> = self.holders(space, slot).collect();
            if holders.is_empty() {
                PortState::Free
            } else {
                PortState::Overlapped(holders)
            }
        })
    }

    /// Returns the state of a port in a space that was used before; `None` if only other spaces
    /// determine it.
    fn explain_known(&self, ports: &SpacePorts, slot: u16, now: Instant) -> Option<PortState> {
        let cell = ports.cell(slot)?;
        match cell.state() {
            CellState::Leased => self.explain_lease(ports, slot),
            CellState::Foreign => Some(PortState::Foreign {
                cause: cell.foreign?,
                refusals: cell.refusals,
                until: self.instant(ports.foreign_until(slot)),
            }),
            CellState::Resting => Some(PortState::Resting {
                until: self.instant(ports.rests_until(slot)),
            }),
            CellState::Free => self.explain_rest(cell, now),
            CellState::Overlapped | CellState::Reserved => None,
        }
    }

    fn explain_lease(&self, ports: &SpacePorts, slot: u16) -> Option<PortState> {
        let record = ports.record(slot)?;
        let since = self.instant(record.since);
        Some(match &record.group {
            Some(group) => PortState::Shared {
                peers: group.peers(),
                since,
            },
            None => PortState::Leased {
                peer: record.peer,
                since,
            },
        })
    }

    fn explain_rest(&self, cell: &Cell, now: Instant) -> Option<PortState> {
        let until = self.instant(self.recent_peers.rests_until(cell.released()?)?);
        (now < until).then_some(PortState::RestingForPeer { until })
    }
}
