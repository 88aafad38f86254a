//! The counters of an allocator.

use crate::address::Space;
use crate::pool::Counts;

/// The state of an allocator and its counters since it was made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Ports of the plan.
    pub range: usize,
    /// The fewest free ports of any space in use: what is left where it is tightest.
    pub free: usize,
    /// Ports that are leased, in all spaces together; a shared one counts once.
    pub leased: usize,
    /// Leases, those of shared ports and those being bound included.
    pub leases: usize,
    /// The most leases there were at the same time, those being bound included.
    pub peak_leased: usize,
    /// Ports that are shared.
    pub shared: usize,
    /// Ports that rest for all peers, in all spaces together.
    pub resting: usize,
    /// Ports that the system refused, or lists as held by other programs, and that rest, in all spaces
    /// together.
    pub foreign: usize,
    /// Ports that were reserved after the plan was made, in all spaces together.
    pub reserved: usize,
    /// Requests that wait for a port.
    pub waiting: usize,
    /// The spaces in use.
    pub spaces: Vec<SpaceStats>,
    /// Ports drawn; a set or a pair counts as one.
    pub draws: u64,
    /// Of these, drawn because the one before was refused.
    pub redraws: u64,
    /// Of these, foreign ports tried before their time because nothing was free.
    pub early_rechecks: u64,
    /// Sockets that were bound already and taken over; they count as draws too.
    pub adopted: u64,
    /// Ports found in use by another socket (`EADDRINUSE`).
    pub in_use: u64,
    /// Ports that must not be bound (`EACCES`, `EPERM`).
    pub denied: u64,
    /// Leases that failed because the local address is not of this machine.
    pub not_local: u64,
    /// Leases that failed because no descriptor was left (`EMFILE`, `ENFILE`).
    pub no_descriptors: u64,
    /// Leases that failed because the kernel had no memory (`ENOBUFS`, `ENOMEM`).
    pub no_memory: u64,
    /// Leases that failed because the peer cannot be reached.
    pub connect_failed: u64,
    /// Leases that failed for any other reason the system gave.
    pub other_failures: u64,
    /// Leases that failed because no port was left.
    pub exhausted: u64,
    /// Leases that failed because the client had as many as it may have.
    pub quota_reached: u64,
    /// Requests that had to wait.
    pub waits: u64,
    /// Of these, those that timed out.
    pub timed_out: u64,
    /// Leases that failed because the queue of waiting requests was full.
    pub queue_full: u64,
    /// Ports that were drawn before their rest had ended, because too few others were left.
    pub quarantine_broken: u64,
    /// Times that pairs of port and peer were dropped before their rest had ended, because there were
    /// more of them than fit into the filters.
    pub quarantine_shortened: u64,
    /// Local addresses that were evicted for others while ports rested there.
    pub spaces_evicted: u64,
}

/// The ports of one protocol on one local address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SpaceStats {
    /// The protocol and the address.
    pub space: Space,
    /// The number of ports in each state.
    pub counts: Counts,
}

/// The reason why a lease failed although a port was free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FailureKind {
    NotLocal,
    NoDescriptors,
    NoMemory,
    Connect,
    Other,
}

impl Stats {
    pub(super) fn count(&mut self, failure: FailureKind) {
        let counter = match failure {
            FailureKind::NotLocal => &mut self.not_local,
            FailureKind::NoDescriptors => &mut self.no_descriptors,
            FailureKind::NoMemory => &mut self.no_memory,
            FailureKind::Connect => &mut self.connect_failed,
            FailureKind::Other => &mut self.other_failures,
        };
        *counter += 1;
    }

    /// Returns the counters of `self` together with the current counts of the spaces.
    pub(super) fn with_spaces(
        &self,
        range: usize,
        spaces: impl Iterator<Item = (Space, Counts)>,
    ) -> Self {
        let spaces: Vec<SpaceStats> = spaces
            .map(|(space, counts)| SpaceStats { space, counts })
            .collect();
        let each =
            |number: fn(&Counts) -> usize| spaces.iter().map(move |space| number(&space.counts));
        Self {
            range,
            free: each(|counts| counts.free).min().unwrap_or(range),
            leased: each(|counts| counts.leased).sum(),
            resting: each(|counts| counts.resting).sum(),
            foreign: each(|counts| counts.foreign).sum(),
            reserved: each(|counts| counts.reserved).sum(),
            spaces,
            ..self.clone()
        }
    }
}
