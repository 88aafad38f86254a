//! A range of ports: never empty, never port 0.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A non-empty, inclusive range of ports that can be bound; it never contains port 0.
///
/// ```
/// # use eport_core::PortRange;
/// let range: PortRange = "61000-65535".parse()?;
/// assert_eq!((range.first(), range.last(), range.len()), (61_000, 65_535, 4_536));
/// assert_eq!("69".parse::<PortRange>()?.to_string(), "69");
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    first: NonZeroU16,
    last: NonZeroU16,
}

impl PortRange {
    /// The dynamic ports 49152–65535, which IANA never assigns
    /// ([RFC 6335 §6](https://www.rfc-editor.org/rfc/rfc6335#section-6)).
    pub const DYNAMIC: Self = Self::constant(49_152, u16::MAX);
    /// The system ports 1–1023 ([RFC 6335 §6](https://www.rfc-editor.org/rfc/rfc6335#section-6)),
    /// without port 0, which cannot be bound.
    pub const SYSTEM: Self = Self::constant(1, 1023);

    /// The ports that Kubernetes takes on every node for services of type `NodePort`
    /// (`--service-node-port-range`).
    pub const NODE_PORTS: Self = Self::constant(30_000, 32_767);

    /// Makes a range of the ports from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`ParsePortsError::Zero`] when `first` is 0 and [`ParsePortsError::Backwards`] when `last`
    /// lies before it.
    pub fn new(first: u16, last: u16) -> Result<Self, ParsePortsError> {
        if first > last {
            return Err(ParsePortsError::Backwards { first, last });
        }
        match (NonZeroU16::new(first), NonZeroU16::new(last)) {
            (Some(first), Some(last)) => Ok(Self { first, last }),
            _ => Err(ParsePortsError::Zero),
        }
    }

    /// Makes a range known when the crate is compiled; a wrong one does not compile.
    pub(crate) const fn constant(first: u16, last: u16) -> Self {
        match (NonZeroU16::new(first), NonZeroU16::new(last)) {
            (Some(low), Some(high)) if first <= last => Self {
                first: low,
                last: high,
            },
            _ => panic!("a range is not empty and has no port 0"),
        }
    }

    /// Returns the lowest port.
    pub const fn first(self) -> u16 {
        self.first.get()
    }

    /// Returns the highest port.
    pub const fn last(self) -> u16 {
        self.last.get()
    }

    /// Returns the number of ports: 1 to 65535.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(self) -> u16 {
        // At most 65535 - 1 + 1, because no range begins at 0.
        self.last.get() - self.first.get() + 1
    }

    /// Returns true if `port` lies in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first.get() <= port && port <= self.last.get()
    }

    /// Returns the ports, lowest first.
    pub fn iter(self) -> std::ops::RangeInclusive<u16> {
        self.first()..=self.last()
    }
}

impl IntoIterator for PortRange {
    type Item = u16;
    type IntoIter = std::ops::RangeInclusive<u16>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Reads `A-B` or a single port `A`; blanks around the numbers are ignored.
impl FromStr for PortRange {
    type Err = ParsePortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = bounds(text)?;
        Self::new(first, last)
    }
}

/// Reads the two numbers of `A-B` (or `A` twice) without judging them.
pub(crate) fn bounds(text: &str) -> Result<(u16, u16), ParsePortsError> {
    match text.split_once('-') {
        Some((first, last)) => Ok((port(first)?, port(last)?)),
        None => port(text).map(|only| (only, only)),
    }
}

fn port(text: &str) -> Result<u16, ParsePortsError> {
    let digits = text.trim();
    // `u16::from_str` would accept a plus sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParsePortsError::NotAPort {
            text: excerpt(digits),
        });
    }
    digits.parse().map_err(|_| ParsePortsError::TooLarge {
        text: excerpt(digits),
    })
}

/// The beginning of a text that may be of any length, for a message.
fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}

/// The reason why a text or a pair of numbers names no ports.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePortsError {
    /// Something that is not a decimal number stands where a port should be.
    #[error(
        "{text:?} is not a port; write a number from 1 to 65535, or a range such as 61000-65535"
    )]
    NotAPort {
        /// The beginning of what was found.
        text: String,
    },
    /// The number does not fit 16 bits.
    #[error("{text} is larger than 65535, the last port")]
    TooLarge {
        /// The beginning of the number.
        text: String,
    },
    /// Port 0 means "any port" to the system and cannot be bound itself.
    #[error("port 0 cannot be bound; the first port is 1")]
    Zero,
    /// The range ends before it begins.
    #[error("range {first}-{last} ends before it begins; write {last}-{first}")]
    Backwards {
        /// The number in front of the hyphen.
        first: u16,
        /// The number behind it.
        last: u16,
    },
    /// Nothing was named where at least one port is needed.
    #[error("no port is named; write \"auto\", a port, or ranges such as 61000-65535")]
    Nothing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_that_cannot_be_bound_is_refused_with_its_reason() {
        let reason = |text: &str| text.parse::<PortRange>().expect_err(text);
        assert_eq!(reason("0"), ParsePortsError::Zero);
        assert_eq!(reason("0-10"), ParsePortsError::Zero);
        assert_eq!(
            reason("20-10"),
            ParsePortsError::Backwards {
                first: 20,
                last: 10
            }
        );
        assert_eq!(
            reason("65536"),
            ParsePortsError::TooLarge {
                text: "65536".into()
            }
        );
        for text in ["", "-", "1-", "-1", "+1", "1-2-3", "http", "1 2", "１"] {
            assert!(
                matches!(reason(text), ParsePortsError::NotAPort { .. }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_long_mistake_is_not_repeated_in_full() {
        let error = "9"
            .repeat(10_000)
            .parse::<PortRange>()
            .expect_err("too large");
        assert!(error.to_string().len() < 100, "{error}");
    }

    #[test]
    fn the_whole_space_has_every_port_but_zero() {
        let all = PortRange::new(1, u16::MAX).expect("a range");
        assert_eq!(all.len(), u16::MAX);
        assert_eq!(all.iter().count(), 65_535);
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(a in 1u16.., b in 1u16..) {
            let range = PortRange::new(a.min(b), a.max(b)).expect("ordered");
            prop_assert_eq!(range.to_string().parse::<PortRange>(), Ok(range));
            prop_assert!(range.contains(a) && range.contains(b));
            prop_assert_eq!(usize::from(range.len()), range.iter().count());
        }
    }
}
