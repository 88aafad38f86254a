//! Detection of stalled transfers.

use std::time::{Duration, Instant};

use super::TransferError;
use crate::proto::Blksize;

/// A timer that expires if a transfer makes no progress, and the error for that case. Packets
/// without progress do not restart it: a server may repeat its packets without end.
#[derive(Debug)]
pub(super) struct StallTimer {
    /// The time of the next progress at the latest.
    deadline: Instant,
    limits: StallLimits,
    blksize: Blksize,
    /// Bytes transferred.
    transferred: u64,
    /// Packets of the server since the last progress.
    repeats: u32,
}

/// The longest times without progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct StallLimits {
    /// After the server's answer to the request: on a path that drops every block, waiting longer
    /// does not help.
    pub(super) first: Duration,
    /// After a later block.
    pub(super) later: Duration,
}

impl StallTimer {
    /// Starts the timer for a transfer in blocks of `blksize`, just accepted by the server.
    pub(super) fn new(blksize: Blksize, now: Instant, limits: StallLimits) -> Self {
        Self {
            deadline: now + limits.first,
            limits,
            blksize,
            transferred: 0,
            repeats: 0,
        }
    }

    /// Restarts the timer with the first limit: DATA 1 as the answer to the request does not prove
    /// that later blocks arrive.
    pub(super) fn restart(&mut self, now: Instant) {
        self.deadline = now + self.limits.first;
    }

    /// Records a packet of the server after which `transferred` bytes have arrived. Returns true on
    /// progress.
    pub(super) fn on_packet(&mut self, transferred: u64, now: Instant) -> bool {
        let moved = transferred > self.transferred;
        if moved {
            (self.transferred, self.repeats) = (transferred, 0);
            self.deadline = now + self.limits.later;
        } else {
            self.repeats = self.repeats.saturating_add(1);
        }
        moved
    }

    /// Returns the earlier of `until` and the deadline.
    pub(super) fn limit(&self, until: Instant) -> Instant {
        until.min(self.deadline)
    }

    /// Returns true once the deadline has passed.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// Returns the bytes transferred.
    pub(super) const fn transferred(&self) -> u64 {
        self.transferred
    }

    /// Returns the error for a transfer that stalled.
    pub(super) fn error(&self) -> TransferError {
        let transferred = self.transferred;
        match (self.repeats, transferred) {
            // A single packet may be a late copy.
            (2.., _) => TransferError::OneWay { transferred },
            (_, 0) => TransferError::NoBlock {
                blksize: self.blksize,
            },
            _ => TransferError::Silence { transferred },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stall_timer() -> (StallTimer, Instant) {
        let now = crate::net::now();
        let limits = StallLimits {
            first: Duration::from_secs(15),
            later: Duration::from_secs(40),
        };
        (StallTimer::new(Blksize::DEFAULT, now, limits), now)
    }

    #[test]
    fn repeated_packets_without_progress_are_a_one_way_path() {
        let (mut stall, now) = stall_timer();
        assert!(stall.on_packet(512, now));
        assert!(matches!(
            stall.error(),
            TransferError::Silence { transferred: 512 }
        ));
        assert!(!stall.on_packet(512, now) && !stall.on_packet(512, now));
        assert!(matches!(
            stall.error(),
            TransferError::OneWay { transferred: 512 }
        ));
        assert!(stall.on_packet(1024, now));
        assert!(matches!(
            stall.error(),
            TransferError::Silence { transferred: 1024 }
        ));
    }

    #[test]
    fn repeated_packets_do_not_restart_the_timer() {
        let (mut stall, start) = stall_timer();
        let late = start + Duration::from_secs(15);
        stall.on_packet(0, start + Duration::from_secs(14));
        assert!(stall.has_expired(late));
        stall.on_packet(512, late);
        stall.on_packet(512, late + Duration::from_secs(39));
        assert!(stall.has_expired(late + Duration::from_secs(40)));
    }

    #[test]
    fn a_path_without_one_block_is_given_up_early_and_others_are_not() {
        let (mut stall, start) = stall_timer();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(stall.limit(at(99)), at(15));
        assert!(stall.has_expired(at(15)) && !stall.has_expired(at(14)));
        assert!(matches!(stall.error(), TransferError::NoBlock { .. }));
        stall.on_packet(512, at(14));
        assert_eq!(stall.limit(at(99)), at(54));
    }
}
