//! One of several equal parts of a range.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// The i-th of n parts, counted from 1.
///
/// Processes or machines that do not communicate divide a range this way. The parts are
/// contiguous, so that a firewall or a stateless load balancer needs one rule for each.
///
/// ```
/// # use eport_core::{PortSet, Shard};
/// let range: PortSet = "61000-61009".parse()?;
/// let second_of_three: Shard = "2/3".parse()?;
/// assert_eq!(range.shard(second_of_three).to_string(), "61004-61006");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Shard {
    index: NonZeroU16,
    count: NonZeroU16,
}

impl Shard {
    /// Makes the part `index` of `count`.
    ///
    /// # Errors
    /// [`ParseShardError`] when a number is 0 or `index` is larger than `count`.
    pub fn new(index: u16, count: u16) -> Result<Self, ParseShardError> {
        match (NonZeroU16::new(index), NonZeroU16::new(count)) {
            (Some(index), Some(count)) if index <= count => Ok(Self { index, count }),
            _ => Err(ParseShardError {
                text: format!("{index}/{count}"),
            }),
        }
    }

    /// Returns the number of the part, from 1 on.
    pub const fn index(self) -> u16 {
        self.index.get()
    }

    /// Returns the number of parts.
    pub const fn count(self) -> u16 {
        self.count.get()
    }

    /// Returns the number of items, of `len`, before the part and in it. The first parts take
    /// what is left over.
    pub(crate) fn slice(self, len: usize) -> (usize, usize) {
        let (index, count) = (usize::from(self.index()) - 1, usize::from(self.count()));
        let (each, left_over) = (len / count, len % count);
        let before = index * each + index.min(left_over);
        (before, each + usize::from(index < left_over))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Reads `2/4`.
impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mistake = || ParseShardError {
            text: text.chars().take(24).collect(),
        };
        let number = |digits: &str| {
            // `u16::from_str` would accept a plus sign.
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_plain)
        };
        let (index, count) = text.trim().split_once('/').ok_or_else(mistake)?;
        match (number(index), number(count)) {
            (Some(index), Some(count)) => Self::new(index, count).map_err(|_| mistake()),
            _ => Err(mistake()),
        }
    }
}

/// A text that names no part.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a shard; write which of how many, such as 2/4 for the second of four")]
pub struct ParseShardError {
    /// The beginning of the text.
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_does_not_exist_is_refused() {
        for text in [
            "", "2", "0/4", "5/4", "1/0", "1/2/3", "+1/2", "1/-2", "a/b", "1/70000",
        ] {
            let error = text.parse::<Shard>().expect_err(text).to_string();
            assert!(error.contains("2/4"), "{error}");
        }
        let shard: Shard = " 2/4 ".trim().parse().expect("a shard");
        assert_eq!(
            (shard.index(), shard.count(), shard.to_string()),
            (2, 4, "2/4".into())
        );
    }
}
