//! The load that a number of ports can carry.

use std::fmt;
use std::time::Duration;

/// The load that a number of ports can carry, and its limit.
///
/// ```
/// # use std::time::Duration;
/// # use eport_core::Capacity;
/// let capacity = Capacity::new(16_384, Duration::from_secs(120), Some(1024));
/// assert_eq!(capacity.at_once(), 1024);
/// assert_eq!(capacity.per_second().map(f64::round), Some(137.0));
/// assert_eq!(capacity.entropy_bits(), 14.0);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    ports: usize,
    rest: Duration,
    descriptors: Option<u64>,
}

impl Capacity {
    /// Makes the capacity of `ports` ports, each of which rests for `rest` after its use, in a process
    /// that may open `descriptors` files (`None` if that is not known or not limited).
    pub const fn new(ports: usize, rest: Duration, descriptors: Option<u64>) -> Self {
        Self {
            ports,
            rest,
            descriptors,
        }
    }

    /// Returns the number of ports.
    pub const fn ports(self) -> usize {
        self.ports
    }

    /// Returns the rest of a port between two uses.
    pub const fn rest(self) -> Duration {
        self.rest
    }

    /// Returns the number of files the process may have open, if that is known and limited.
    pub const fn descriptors(self) -> Option<u64> {
        self.descriptors
    }

    /// Returns the number of leases that can exist at the same time: one port and one descriptor each. Descriptors
    /// that the process needs for other things are not counted.
    pub fn at_once(self) -> u64 {
        let ports = u64::try_from(self.ports).unwrap_or(u64::MAX);
        self.descriptors.map_or(ports, |files| files.min(ports))
    }

    /// Returns true if there are more ports than files may be open.
    pub fn is_limited_by_descriptors(self) -> bool {
        self.at_once() < u64::try_from(self.ports).unwrap_or(u64::MAX)
    }

    /// Returns the highest sustainable rate of transfers per second: each takes a port out of use for at
    /// least its rest. `None` when ports do not rest, so that they set no bound.
    #[expect(clippy::cast_precision_loss, reason = "at most 65535 ports")]
    pub fn per_second(self) -> Option<f64> {
        (!self.rest.is_zero()).then(|| self.ports as f64 / self.rest.as_secs_f64())
    }

    /// Returns the bits an attacker must guess to hit a port drawn uniformly while all are free.
    #[expect(clippy::cast_precision_loss, reason = "at most 65535 ports")]
    pub fn entropy_bits(self) -> f64 {
        match self.ports {
            0 => 0.0,
            ports => (ports as f64).log2(),
        }
    }
}

/// Prints one line.
impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.ports == 1 { "" } else { "s" };
        write!(
            f,
            "{} port{s}, {:.2} bits to guess",
            self.ports,
            self.entropy_bits()
        )?;
        if let Some(rate) = self.per_second() {
            let rest = self.rest.as_secs_f64();
            write!(
                f,
                ", {rate:.1} transfers/s with a rest of {rest} s per port"
            )?;
        }
        match self.descriptors {
            Some(files) if self.is_limited_by_descriptors() => {
                write!(f, "; at most {files} at once, the limit of open files")
            }
            Some(files) => write!(f, "; {files} files may be open"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_limits() {
        let rest = Duration::from_secs(120);
        for (capacity, line) in [
            (
                Capacity::new(16_384, rest, Some(1024)),
                "16384 ports, 14.00 bits to guess, 136.5 transfers/s with a rest of 120 s per port; \
                 at most 1024 at once, the limit of open files",
            ),
            (
                Capacity::new(4536, Duration::ZERO, Some(20_000)),
                "4536 ports, 12.15 bits to guess; 20000 files may be open",
            ),
            (
                Capacity::new(1, Duration::from_millis(500), None),
                "1 port, 0.00 bits to guess, 2.0 transfers/s with a rest of 0.5 s per port",
            ),
        ] {
            assert_eq!(capacity.to_string(), line);
        }
    }

    #[test]
    fn no_port_carries_nothing() {
        let none = Capacity::new(0, Duration::ZERO, Some(10));
        assert_eq!((none.at_once(), none.per_second()), (0, None));
        assert!(none.entropy_bits().abs() < f64::EPSILON);
    }
}
