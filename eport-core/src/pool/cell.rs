//! The state of one port.

use std::fmt;

/// Seconds since the pool began. Four bytes instead of sixteen, in a table with a row for each port.
pub(super) type Seconds = u32;

/// The state of one port, 12 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    /// The second in which the last lease for a peer ended, counted from 1; 0 if there was none.
    released: Seconds,
    /// The index of the lease in the list of records; or, while there is none, the number of leases of
    /// overlapping spaces that hold the port. There cannot be both.
    owner: u16,
    leased: bool,
    /// Set while the port is foreign; then it has one entry in the heap of foreign ports.
    pub(super) foreign: Option<ForeignCause>,
    /// Refusals since the port was last bound.
    pub(super) refusals: u8,
    /// Set while the port rests for all peers; then it has one entry in the queue of resting ports.
    pub(super) rests: bool,
    /// Set when the port was reserved after the pool was made.
    pub(super) reserved: bool,
}

/// The state of a port that takes precedence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CellState {
    Free,
    Leased,
    Reserved,
    Foreign,
    Overlapped,
    Resting,
}

/// The reason why the system refused a port that is not leased.
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

    /// Returns true if no lease holds the port.
    pub(super) const fn is_unheld(&self) -> bool {
        !self.leased && self.owner == 0
    }

    /// Returns true if a request that names the port may have it.
    pub(super) const fn is_available(&self) -> bool {
        self.is_unheld() && !self.reserved
    }

    /// Returns the index of the lease in the list of records.
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

    /// Counts a lease of an overlapping space that holds the port.
    pub(super) fn hold(&mut self) {
        self.owner = self.owner.saturating_add(1);
    }

    /// Uncounts a lease of an overlapping space that held the port.
    pub(super) fn unhold(&mut self) {
        self.owner = self.owner.saturating_sub(1);
    }

    /// Records that a lease for a peer ended at `now`.
    pub(super) fn record_release(&mut self, now: Seconds) {
        self.released = now.saturating_add(1);
    }

    /// Returns the second in which the last lease for a peer ended, if there was one.
    pub(super) fn released(&self) -> Option<Seconds> {
        self.released.checked_sub(1)
    }
}
