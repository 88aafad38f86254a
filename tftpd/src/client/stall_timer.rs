//! What silence means.

use std::time::{Duration, Instant};

use super::TransferError;
use crate::proto::Blksize;

/// Watches whether a transfer moves, to end it and say why if it does not. Packets that bring
/// nothing new do not count: a server may repeat itself for ever.
#[derive(Debug)]
pub(super) struct StallTimer {
    /// When something more must have got through.
    by: Instant,
    limits: StallLimits,
    blksize: Blksize,
    /// Bytes that have got through.
    transferred: u64,
    /// Packets of the server since that number last grew.
    heard: u32,
}

/// How long nothing may get through.
#[derive(Clone, Copy, Debug)]
pub(super) struct StallLimits {
    /// After the server's answer to the request. A path on which nothing else arrives does not
    /// become better by waiting.
    pub(super) first: Duration,
    /// After that.
    pub(super) later: Duration,
}

impl StallTimer {
    /// A watch over a transfer in blocks of `blksize` that the server has just agreed to.
    pub(super) fn new(blksize: Blksize, now: Instant, limits: StallLimits) -> Self {
        Self {
            by: now + limits.first,
            limits,
            blksize,
            transferred: 0,
            heard: 0,
        }
    }

    /// What got through so far was the server's answer itself, which says little of what comes
    /// after.
    pub(super) fn restart(&mut self, now: Instant) {
        self.by = now + self.limits.first;
    }

    /// Notes a packet of the server, and that `transferred` bytes have got through now; whether
    /// these are more than before.
    pub(super) fn heard(&mut self, transferred: u64, now: Instant) -> bool {
        let moved = transferred > self.transferred;
        if moved {
            (self.transferred, self.heard) = (transferred, 0);
            self.by = now + self.limits.later;
        } else {
            self.heard = self.heard.saturating_add(1);
        }
        moved
    }

    /// How long to wait, if the protocol would wait until `until`.
    pub(super) fn until(&self, until: Instant) -> Instant {
        until.min(self.by)
    }

    /// Whether it is too late.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.by
    }

    /// Bytes that have got through.
    pub(super) const fn transferred(&self) -> u64 {
        self.transferred
    }

    /// What the silence is.
    pub(super) fn silence(&self) -> TransferError {
        let transferred = self.transferred;
        match (self.heard, transferred) {
            // Once may be a late copy.
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
    fn a_server_that_only_repeats_itself_does_not_hear() {
        let (mut stall, now) = stall_timer();
        assert!(stall.heard(512, now));
        assert!(matches!(
            stall.silence(),
            TransferError::Silence { transferred: 512 }
        ));
        assert!(!stall.heard(512, now) && !stall.heard(512, now));
        assert!(matches!(
            stall.silence(),
            TransferError::OneWay { transferred: 512 }
        ));
        assert!(stall.heard(1024, now));
        assert!(matches!(
            stall.silence(),
            TransferError::Silence { transferred: 1024 }
        ));
    }

    #[test]
    fn repetitions_do_not_put_off_the_end() {
        let (mut stall, start) = stall_timer();
        let late = start + Duration::from_secs(15);
        stall.heard(0, start + Duration::from_secs(14));
        assert!(stall.is_over(late));
        stall.heard(512, late);
        stall.heard(512, late + Duration::from_secs(39));
        assert!(stall.is_over(late + Duration::from_secs(40)));
    }

    #[test]
    fn a_path_without_one_block_is_given_up_early_and_others_are_not() {
        let (mut stall, start) = stall_timer();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(stall.until(at(99)), at(15));
        assert!(stall.is_over(at(15)) && !stall.is_over(at(14)));
        assert!(matches!(stall.silence(), TransferError::NoBlock { .. }));
        stall.heard(512, at(14));
        assert_eq!(stall.until(at(99)), at(54));
    }
}
