//! The free slots as a tree of bits, which finds the next one in a few steps.

/// A set of slots below `u16::MAX` with 64 branches at each of its three levels.
///
/// A bit of the upper levels is set while the word below it is not empty, so the next slot is found
/// with three look-ups up and down, whether nearly all slots are there or nearly none.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// The levels from the slots up to the root, which is a single word.
    levels: [Box<[u64]>; 3],
}

impl Index {
    pub(super) fn empty(len: u16) -> Self {
        let leaves = usize::from(len).div_ceil(64).max(1);
        let words = |count: usize| vec![0; count].into_boxed_slice();
        Self {
            levels: [words(leaves), words(leaves.div_ceil(64)), words(1)],
        }
    }

    pub(super) fn insert(&mut self, slot: u16) {
        let mut at = usize::from(slot);
        for level in &mut self.levels {
            if let Some(word) = level.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            at /= 64;
        }
    }

    pub(super) fn remove(&mut self, slot: u16) {
        let mut at = usize::from(slot);
        for level in &mut self.levels {
            let Some(word) = level.get_mut(at / 64) else {
                return;
            };
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// Returns the lowest slot that is not below `from`.
    pub(super) fn next(&self, from: u16) -> Option<u16> {
        let mut at = usize::from(from);
        for height in 0..self.levels.len() {
            if let Some(found) = self.in_word(height, at) {
                return self.lowest_under(height, found);
            }
            at = at / 64 + 1;
        }
        None
    }

    /// Returns the lowest set bit, not below `at`, of the word that holds `at`.
    fn in_word(&self, height: usize, at: usize) -> Option<usize> {
        let word = self.levels.get(height)?.get(at / 64)?;
        let rest = word & (u64::MAX << (at % 64));
        (rest != 0).then(|| at / 64 * 64 + rest.trailing_zeros() as usize)
    }

    /// Returns the lowest slot below a bit that is set.
    fn lowest_under(&self, height: usize, found: usize) -> Option<u16> {
        let mut at = found;
        for height in (0..height).rev() {
            at = self.in_word(height, at * 64)?;
        }
        u16::try_from(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn slot() -> impl Strategy<Value = u16> {
        prop_oneof![0u16..200, 4000u16..4200, 65_400u16..65_535]
    }

    proptest! {
        #[test]
        fn the_next_slot_is_the_one_a_tree_of_numbers_gives(
            operations in vec((any::<bool>(), slot()), 0..100),
            starts in vec(0u16..=u16::MAX, 20),
        ) {
            let (mut index, mut model) = (Index::empty(u16::MAX), BTreeSet::new());
            for (insert, slot) in operations {
                if insert {
                    index.insert(slot);
                    model.insert(slot);
                } else {
                    index.remove(slot);
                    model.remove(&slot);
                }
                for start in starts.iter().copied().chain([0, slot, slot + 1]) {
                    prop_assert_eq!(index.next(start), model.range(start..).next().copied());
                }
            }
        }
    }

    #[test]
    fn a_set_of_any_size_finds_its_first_and_last_slot() {
        for len in [1, 2, 63, 64, 65, 4096, 4097, u16::MAX] {
            let mut index = Index::empty(len);
            assert_eq!(index.next(0), None);
            index.insert(len - 1);
            assert_eq!(index.next(0), Some(len - 1));
            index.insert(0);
            assert_eq!((index.next(0), index.next(len)), (Some(0), None));
        }
    }
}
