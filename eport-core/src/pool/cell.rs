//! What is known of one port.

use std::fmt;

/// Seconds since the pool began. Four bytes instead of sixteen, in a table with a row for each port.
pub(super) type Seconds = u32;

/// What is known of one port, 12 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    /// When the last lease for a peer ended, counted from 1; 0 if there was none.
    released: Seconds,
    /// Where the lease is in the list of records; or, while there is none, how many leases of
    /// overlapping spaces hold the port. There cannot be both.
    owner: u16,
    leased: bool,
    /// Whether it is set aside as foreign; then it has one entry in the queue of those.
    pub(super) foreign: Option<ForeignCause>,
    /// Refusals since the port was last bound.
    pub(super) refusals: u8,
    /// Whether it rests for everybody; then it has one entry in the line of those.
    pub(super) rests: bool,
    /// Whether somebody reserved it after the pool was made.
    pub(super) reserved: bool,
}

/// Of all that may be the case with a port, what counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CellState {
    Free,
    Leased,
    Reserved,
    Foreign,
    Overlapped,
    Resting,
}

/// Why the system refused a port that we do not hold.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ForeignCause {
    /// Another socket of this machine has it (`EADDRINUSE`).
    InUse,
    /// A rule forbids it (`EACCES`, `EPERM`): a security policy, or a port that needs privilege.
    Denied,
}

impl fmt::Display for ForeignCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "in use by another socket",
            Self::Denied => "binding it is not permitted",
        })
    }
}

impl Cell {
    pub(super) const fn state(&self) -> CellState {
        match self {
            Self { leased: true, .. } => CellState::Leased,
            Self { reserved: true, .. } => CellState::Reserved,
            Self {
                foreign: Some(_), ..
            } => CellState::Foreign,
            Self { owner: 1.., .. } => CellState::Overlapped,
            Self { rests: true, .. } => CellState::Resting,
            _ => CellState::Free,
        }
    }

    /// Whether nobody of us holds the port.
    pub(super) const fn is_unheld(&self) -> bool {
        !self.leased && self.owner == 0
    }

    /// Whether a caller who names the port may have it.
    pub(super) const fn is_available(&self) -> bool {
        self.is_unheld() && !self.reserved
    }

    /// Where the lease is in the list of records.
    pub(super) fn record(&self) -> Option<usize> {
        self.leased.then_some(usize::from(self.owner))
    }

    pub(super) fn lease(&mut self, record: u16) {
        self.leased = true;
        self.owner = record;
    }

    pub(super) fn end_lease(&mut self) {
        self.leased = false;
        self.owner = 0;
    }

    /// A lease of an overlapping space holds the port from now on.
    pub(super) fn hold(&mut self) {
        self.owner = self.owner.saturating_add(1);
    }

    /// A lease of an overlapping space no longer holds the port.
    pub(super) fn unhold(&mut self) {
        self.owner = self.owner.saturating_sub(1);
    }

    /// Remembers that a lease for a peer ended at `now`.
    pub(super) fn record_release(&mut self, now: Seconds) {
        self.released = now.saturating_add(1);
    }

    /// When the last lease for a peer ended, if there was one.
    pub(super) fn released(&self) -> Option<Seconds> {
        self.released.checked_sub(1)
    }
}
