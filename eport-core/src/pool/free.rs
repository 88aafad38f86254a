//! The set of free ports: exact uniform draws at any occupancy, each operation in constant time.

use std::num::NonZeroU16;

use rand_core::Rng;

use crate::strategy::below;

/// Which of the slots 0 to n - 1 are free.
///
/// `order` holds every slot once, the free ones first; `position` holds where. Removing swaps a
/// slot behind the free ones, inserting swaps it back, and a draw is one index.
///
/// ```text
///            free = 3
///  order    [ 4  0  2 | 1  3 ]      position[order[i]] = i
/// ```
#[derive(Clone, Debug)]
pub(super) struct FreeSet {
    order: Box<[u16]>,
    position: Box<[u16]>,
    free: u16,
}

impl FreeSet {
    /// All slots below `len`, free.
    pub(super) fn full(len: u16) -> Self {
        let order: Box<[u16]> = (0..len).collect();
        Self {
            position: order.clone(),
            order,
            free: len,
        }
    }

    /// How many slots are free.
    pub(super) const fn len(&self) -> u16 {
        self.free
    }

    /// Whether `slot` is free.
    pub(super) fn contains(&self, slot: u16) -> bool {
        self.position
            .get(usize::from(slot))
            .is_some_and(|position| *position < self.free)
    }

    /// One of the free slots, each equally likely; it stays free.
    pub(super) fn pick<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<u16> {
        let free = NonZeroU16::new(self.free)?;
        self.order.get(usize::from(below(rng, free))).copied()
    }

    /// Makes `slot` free; `false` when it is already.
    pub(super) fn insert(&mut self, slot: u16) -> bool {
        if self.contains(slot) {
            return false;
        }
        let moved = self.move_to(slot, self.free);
        self.free += u16::from(moved);
        moved
    }

    /// Takes `slot` away; `false` when it is not free.
    pub(super) fn remove(&mut self, slot: u16) -> bool {
        if !self.contains(slot) {
            return false;
        }
        self.free -= 1;
        self.move_to(slot, self.free)
    }

    /// Swaps `slot` with the slot at `target`; `false` when one of them does not exist.
    fn move_to(&mut self, slot: u16, target: u16) -> bool {
        let (slot, target) = (usize::from(slot), usize::from(target));
        let (Some(from), Some(other)) = (self.position.get(slot), self.order.get(target)) else {
            return false;
        };
        let (from, other) = (usize::from(*from), usize::from(*other));
        self.order.swap(from, target);
        self.position.swap(slot, other);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chacha20::ChaCha8Rng;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    fn assert_bijection(set: &FreeSet) {
        for (index, slot) in set.order.iter().enumerate() {
            assert_eq!(usize::from(set.position[usize::from(*slot)]), index);
        }
    }

    #[test]
    fn an_empty_set_has_nothing_to_draw() {
        let mut rng = ChaCha8Rng::from_seed([0; 32]);
        assert_eq!(FreeSet::full(0).pick(&mut rng), None);
        let mut one = FreeSet::full(1);
        assert_eq!(one.pick(&mut rng), Some(0));
        assert!(one.remove(0) && !one.remove(0));
        assert_eq!(one.pick(&mut rng), None);
        assert!(one.insert(0) && !one.insert(0) && !one.insert(1));
    }

    #[test]
    fn all_ports_there_are_fit() {
        let mut set = FreeSet::full(u16::MAX);
        assert!((0..u16::MAX).all(|slot| set.remove(slot)));
        assert_eq!(set.len(), 0);
        assert!((0..u16::MAX).rev().all(|slot| set.insert(slot)));
        assert_bijection(&set);
    }

    proptest! {
        #[test]
        fn index_and_order_stay_inverse_and_agree_with_a_tree(
            len in 1u16..40,
            operations in vec((any::<bool>(), 0u16..40), 0..200),
        ) {
            let mut set = FreeSet::full(len);
            let mut model: BTreeSet<u16> = (0..len).collect();
            for (insert, slot) in operations {
                if insert {
                    prop_assert_eq!(set.insert(slot), slot < len && model.insert(slot));
                } else {
                    prop_assert_eq!(set.remove(slot), model.remove(&slot));
                }
                assert_bijection(&set);
                prop_assert_eq!(usize::from(set.len()), model.len());
                prop_assert!((0..40).all(|slot| set.contains(slot) == model.contains(&slot)));
            }
        }
    }
}
