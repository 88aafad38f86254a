//! Any set of ports, as a bitmap of 8 KiB.

use std::fmt;
use std::str::FromStr;

use super::range::{ParsePortsError, PortRange, bounds};
use super::shard::Shard;

/// 64-bit words that hold one bit for each of the 65,536 numbers.
const WORDS: usize = 1024;

/// A set of ports; port 0 is never in it.
///
/// It reads lists such as `61000-65535,69` and what the kernel prints in
/// `ip_local_reserved_ports`, and prints as the fewest runs.
///
/// ```
/// # use eport_core::PortSet;
/// let set: PortSet = "1,2-4,10-10\n".parse()?;
/// assert_eq!(set.to_string(), "1-4,10");
/// assert_eq!(set.len(), 5);
/// # Ok::<(), eport_core::ParsePortsError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct PortSet {
    words: Box<[u64; WORDS]>,
}

impl PortSet {
    /// Makes the set without a port.
    pub fn empty() -> Self {
        Self {
            words: Box::new([0; WORDS]),
        }
    }

    /// Reads a list as the kernel prints it: like [`FromStr`], but port 0, which an administrator can
    /// reserve and no socket can bind, is ignored.
    ///
    /// # Errors
    /// [`ParsePortsError`] when an item is neither a port nor a range of ports.
    pub fn from_kernel_list(text: &str) -> Result<Self, ParsePortsError> {
        Self::parse(text, 1)
    }

    fn parse(text: &str, lowest: u16) -> Result<Self, ParsePortsError> {
        let mut set = Self::empty();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for item in text.split(',') {
            let (first, last) = bounds(item)?;
            if last >= lowest {
                set.insert(PortRange::new(first.max(lowest), last)?);
            }
        }
        Ok(set)
    }

    /// Adds the ports of a range.
    pub fn insert(&mut self, range: PortRange) {
        let (first, last) = (range.first(), range.last());
        for index in usize::from(first / 64)..=usize::from(last / 64) {
            if let Some(word) = self.words.get_mut(index) {
                *word |= mask(index, first, last);
            }
        }
    }

    /// Returns true if `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let word = self.words.get(usize::from(port / 64)).copied().unwrap_or(0);
        word >> (port % 64) & 1 == 1
    }

    /// Returns the number of ports: at most 65535.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Returns true if there is no port.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Returns the ports that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |own, other| own | other)
    }

    /// Returns the ports of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.combine(other, |own, other| own & !other)
    }

    /// Returns the ports that are in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        self.combine(other, |own, other| own & other)
    }

    fn combine(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let mut result = self.clone();
        for (own, other) in result.words.iter_mut().zip(other.words.iter()) {
            *own = with(*own, *other);
        }
        result
    }

    /// Returns the ports of one shard: the set cut into contiguous slices, lowest ports first, whose sizes
    /// differ by one at most.
    #[must_use]
    pub fn shard(&self, shard: Shard) -> Self {
        let (skipped, taken) = shard.slice(self.len());
        let ports = self.iter().skip(skipped).take(taken);
        // Port by port: neighbours become one run by themselves.
        ports
            .filter_map(|port| PortRange::new(port, port).ok())
            .collect()
    }

    /// Returns the ports as maximal ranges, lowest first: no two of them touch.
    pub fn runs(&self) -> PortRuns<'_> {
        PortRuns {
            set: self,
            next: Some(1),
        }
    }

    /// Returns the ports, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.runs().flatten()
    }

    /// Returns the first port at or after `from` that is in the set (`present`) or not in it.
    fn seek(&self, from: u16, present: bool) -> Option<u16> {
        let mut index = usize::from(from / 64);
        let mut ignored = !(u64::MAX << (from % 64));
        while let Some(word) = self.words.get(index) {
            let hits = if present { *word } else { !*word } & !ignored;
            if hits != 0 {
                let bit = index * 64 + hits.trailing_zeros() as usize;
                return u16::try_from(bit).ok();
            }
            ignored = 0;
            index += 1;
        }
        None
    }
}

/// The bits of word `index` that stand for the ports `first` to `last`.
fn mask(index: usize, first: u16, last: u16) -> u64 {
    let low = if usize::from(first / 64) == index {
        u64::MAX << (first % 64)
    } else {
        u64::MAX
    };
    let high = if usize::from(last / 64) == index {
        u64::MAX >> (63 - last % 64)
    } else {
        u64::MAX
    };
    low & high
}

/// The maximal ranges of a [`PortSet`]; see [`PortSet::runs`].
#[derive(Clone, Debug)]
pub struct PortRuns<'a> {
    set: &'a PortSet,
    next: Option<u16>,
}

impl Iterator for PortRuns<'_> {
    type Item = PortRange;

    fn next(&mut self) -> Option<PortRange> {
        let first = self.set.seek(self.next?, true)?;
        let end = self.set.seek(first, false);
        self.next = end;
        let last = end.map_or(u16::MAX, |end| end - 1);
        PortRange::new(first, last).ok()
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<PortRange> for PortSet {
    fn from(range: PortRange) -> Self {
        Self::from_iter([range])
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut set = Self::empty();
        set.extend(ranges);
        set
    }
}

impl Extend<PortRange> for PortSet {
    fn extend<I: IntoIterator<Item = PortRange>>(&mut self, ranges: I) {
        ranges.into_iter().for_each(|range| self.insert(range));
    }
}

/// Prints the fewest runs that name the set, such as `1-4,10`; nothing for the empty set.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.runs().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{run}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortSet({self})")
    }
}

/// Reads ranges separated by commas, in any order, overlapping or not; an empty text or one of
/// blanks is the empty set.
impl FromStr for PortSet {
    type Err = ParsePortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> PortSet {
        text.parse().expect(text)
    }

    #[test]
    fn the_kernels_list_is_read_as_it_is_printed() {
        assert_eq!(set("1,2-4,10-10\n").to_string(), "1-4,10");
        assert_eq!(set("\n"), PortSet::empty());
        assert_eq!(set("").to_string(), "");
        assert_eq!(PortSet::from_kernel_list("0-3,8080\n"), Ok(set("1-3,8080")));
        assert_eq!(PortSet::from_kernel_list("0\n"), Ok(PortSet::empty()));
    }

    #[test]
    fn a_list_with_a_hole_or_port_zero_is_refused() {
        assert_eq!("0-3".parse::<PortSet>(), Err(ParsePortsError::Zero));
        for text in ["1,,2", "1,", ",", "a"] {
            assert!(text.parse::<PortSet>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn runs_reach_both_ends_of_the_space() {
        assert_eq!(set("1-65535").runs().count(), 1);
        assert_eq!(set("1,63-64,65535").to_string(), "1,63-64,65535");
        assert_eq!(set("1-65535").len(), 65_535);
        assert!(!set("1-65535").contains(0));
    }

    fn ranges() -> impl Strategy<Value = Vec<PortRange>> {
        let near_a_word_edge =
            (1u16..400, 0u16..140).prop_map(|(first, extra)| (first, first + extra));
        let anywhere = (1u16.., 1u16..).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let range = prop_oneof![near_a_word_edge, anywhere]
            .prop_map(|(first, last)| PortRange::new(first, last).expect("ordered"));
        vec(range, 0..6)
    }

    fn model(ranges: &[PortRange]) -> BTreeSet<u16> {
        ranges.iter().flat_map(|range| range.iter()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn set_algebra_agrees_with_a_tree_of_ports(left in ranges(), right in ranges()) {
            let (a, b): (PortSet, PortSet) = (left.iter().copied().collect(), right.iter().copied().collect());
            let (x, y) = (model(&left), model(&right));
            prop_assert!(a.union(&b).iter().eq(x.union(&y).copied()));
            prop_assert!(a.minus(&b).iter().eq(x.difference(&y).copied()));
            prop_assert!(a.intersect(&b).iter().eq(x.intersection(&y).copied()));
            prop_assert_eq!(a.len(), x.len());
            prop_assert_eq!(a.is_empty(), x.is_empty());
            prop_assert!((0..=u16::MAX).all(|port| a.contains(port) == x.contains(&port)));
        }

        #[test]
        fn display_and_parse_are_inverse_and_minimal(ranges in ranges()) {
            let set: PortSet = ranges.into_iter().collect();
            prop_assert_eq!(set.to_string().parse::<PortSet>(), Ok(set.clone()));
            let runs: Vec<_> = set.runs().collect();
            prop_assert!(runs.windows(2).all(|pair| u32::from(pair[0].last()) + 1 < u32::from(pair[1].first())));
        }

        #[test]
        fn the_parts_are_contiguous_even_and_together_everything(
            first in 1u16..60_000, len in 1u16..2000, gap in 0u16..100, count in 1u16..40,
        ) {
            let text = format!("{first}-{},{}", first + len - 1, first + len + gap);
            let set: PortSet = text.parse().expect("ports");
            let parts: Vec<PortSet> = (1..=count)
                .map(|index| set.shard(Shard::new(index, count).expect("a shard")))
                .collect();
            let together: Vec<u16> = parts.iter().flat_map(PortSet::iter).collect();
            prop_assert!(together.into_iter().eq(set.iter()));
            let sizes = || parts.iter().map(PortSet::len);
            prop_assert!(sizes().max().expect("a part") - sizes().min().expect("a part") <= 1);
        }
    }
}
