//! The retransmission timer, adapted to the measured round trip.

use std::time::Duration;

/// The retransmission timer of one transfer ([RFC 6298](https://www.rfc-editor.org/rfc/rfc6298);
/// RFC 1123 §4.2.3.2 asks TFTP for no less).
///
/// Until a round trip was measured it waits one second. Each silence doubles the wait, up to a
/// ceiling. A little jitter keeps the clients of one power cut from resending in step.
///
/// The floor is 20 ms where RFC 6298 §2.4 suggests a second: that rule protects a congested path
/// from a sender with a full congestion window, while here at most one small window is in flight
/// and each loss stops the transfer until the timer ends it. In return the margin above the
/// smoothed round trip never falls below that round trip itself, however calm the path was.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetransmitTimer {
    /// Smoothed round trip in microseconds; 0 until one is measured.
    srtt: u32,
    /// Mean deviation of the round trip, likewise.
    rttvar: u32,
    /// The shortest round trip, likewise.
    shortest: u32,
    /// The number of times the wait has been doubled.
    backoff: u8,
    jitter: u32,
    ceiling: Duration,
}

/// The shortest wait.
const FLOOR: Duration = Duration::from_millis(20);
/// The wait before the first round trip is measured (RFC 6298 §2.1).
const INITIAL: Duration = Duration::from_secs(1);

impl RetransmitTimer {
    /// Returns a timer that never waits longer than `ceiling`; `seed` spreads the jitter.
    pub(super) const fn new(ceiling: Duration, seed: u32) -> Self {
        Self {
            srtt: 0,
            rttvar: 0,
            shortest: 0,
            backoff: 0,
            jitter: seed | 1,
            ceiling,
        }
    }

    /// Adds a sample: a packet was sent once and answered after `rtt` (the caller applies Karn's
    /// rule: never for a packet that was repeated). Resets the back-off.
    pub(super) fn sample(&mut self, rtt: Duration) {
        let rtt = micros(rtt);
        if self.srtt == 0 {
            self.srtt = rtt;
            self.rttvar = rtt / 2;
        } else {
            self.rttvar = (3 * (self.rttvar / 4)).saturating_add(self.srtt.abs_diff(rtt) / 4);
            self.srtt = (self.srtt / 8)
                .saturating_mul(7)
                .saturating_add(rtt / 8)
                .max(1);
        }
        self.backoff = 0;
    }

    /// Records a round trip that can only have begun with the first transmission of the packet.
    pub(super) fn shortest(&mut self, rtt: Duration) {
        let rtt = micros(rtt);
        self.shortest = match self.shortest {
            0 => rtt,
            known => known.min(rtt),
        };
    }

    /// Doubles the wait (RFC 6298 §5.5).
    pub(super) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1).min(16);
    }

    /// Discards the shortest round trip: an ACK that was held to be too soon was genuine.
    pub(super) fn forget_shortest(&mut self) {
        self.shortest = 0;
    }

    /// Returns the smoothed round trip, once one was measured.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_micros(self.srtt.into()))
    }

    /// Returns the shortest time in which an answer can follow a packet, once a round trip was
    /// measured: an eighth less than the shortest one.
    pub(super) fn soonest(&self) -> Option<Duration> {
        (self.shortest > 0).then(|| Duration::from_micros(self.shortest.into()) * 7 / 8)
    }

    /// Returns the wait for the answer to a packet sent now: up to an eighth more than computed.
    pub(super) fn wait(&mut self) -> Duration {
        let base = match self.round_trip() {
            None => INITIAL,
            Some(srtt) => {
                let margin = Duration::from_micros(self.rttvar.into()) * 4;
                (srtt + margin.max(srtt)).max(FLOOR)
            }
        };
        let wait = base.saturating_mul(1 << self.backoff).min(self.ceiling);
        wait + wait.mul_f32(self.next_jitter() / 8.0)
    }

    /// Returns a number in 0..1 (xorshift, which is predictable: it only spreads load).
    fn next_jitter(&mut self) -> f32 {
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 17;
        self.jitter ^= self.jitter << 5;
        f32::from(u16::try_from(self.jitter >> 16).unwrap_or(0)) / 65_536.0
    }
}

/// Returns `rtt` in microseconds, at least 1 and small enough not to overflow the calculations.
fn micros(rtt: Duration) -> u32 {
    u32::try_from(rtt.as_micros())
        .unwrap_or(u32::MAX / 8)
        .clamp(1, u32::MAX / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn timer() -> RetransmitTimer {
        RetransmitTimer::new(ms(4000), 7)
    }

    #[track_caller]
    fn assert_waits(timer: &mut RetransmitTimer, at_least: Duration) {
        let wait = timer.wait();
        assert!(
            wait >= at_least && wait <= at_least.mul_f32(1.126),
            "{wait:?} is not {at_least:?} and a little"
        );
    }

    #[test]
    fn a_second_at_first_then_doubled_up_to_the_ceiling() {
        let mut timer = timer();
        for expected in [1000, 2000, 4000, 4000] {
            assert_waits(&mut timer, ms(expected));
            timer.back_off();
        }
    }

    #[test]
    fn a_negotiated_timeout_below_a_second_of_waiting_wins() {
        assert_waits(&mut RetransmitTimer::new(ms(500), 1), ms(500));
    }

    #[test]
    fn the_first_round_trip_counts_three_times() {
        let mut timer = timer();
        timer.sample(ms(100));
        assert_waits(&mut timer, ms(300));
    }

    #[test]
    fn a_steady_path_brings_the_wait_down_to_the_floor() {
        let mut timer = timer();
        for _ in 0..200 {
            timer.sample(Duration::from_micros(150));
        }
        assert_waits(&mut timer, FLOOR);
    }

    #[test]
    fn a_calm_path_leaves_room_for_twice_its_round_trip() {
        let mut timer = timer();
        for _ in 0..200 {
            timer.sample(ms(20));
        }
        assert_waits(&mut timer, ms(39));
    }

    #[test]
    fn a_path_that_jitters_by_half_is_never_taken_for_a_loss() {
        for middle in [20, 200, 1000] {
            let mut timer = RetransmitTimer::new(ms(10_000), 3);
            let mut late = 0;
            for round in 0..500_u64 {
                let rtt = ms(middle / 2 + (round * 7919 % (middle + 1)));
                late += u32::from(round > 0 && rtt > timer.wait());
                timer.sample(rtt);
            }
            assert_eq!(late, 0, "{middle} ms");
        }
    }

    #[test]
    fn no_answer_is_expected_much_sooner_than_the_shortest_round_trip() {
        let mut timer = timer();
        assert_eq!(timer.soonest(), None);
        for rtt in [30, 16, 40] {
            timer.shortest(ms(rtt));
        }
        assert_eq!(timer.soonest(), Some(ms(14)));
        timer.forget_shortest();
        assert_eq!(timer.soonest(), None);
    }

    #[test]
    fn a_fresh_measurement_ends_the_doubling() {
        let mut timer = timer();
        timer.back_off();
        timer.back_off();
        timer.sample(ms(10));
        assert_waits(&mut timer, ms(30));
    }
}
