//! The set of free ports: exact uniform draws at any occupancy, each operation in constant time.

use std::num::NonZeroU16;

use rand_core::Rng;

use super::index::Index;
use crate::strategy::below;

/// Tries to draw a slot that suits before all that do are counted.
const TRIES: usize = 8;

/// The free slots among 0 to n - 1.
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
    /// The free slots in their order, for searches of the next one.
    index: Option<Index>,
}

impl FreeSet {
    /// All slots below `len`, free.
    pub(super) fn full(len: u16) -> Self {
        let order: Box<[u16]> = (0..len).collect();
        Self {
            position: order.clone(),
            order,
            free: len,
            index: None,
        }
    }

    /// The slots below `len`, none of them free.
    pub(super) fn empty(len: u16) -> Self {
        Self {
            free: 0,
            ..Self::full(len)
        }
    }

    /// The same set, which can also find the next free slot.
    pub(super) fn ordered(mut self) -> Self {
        let mut index = Index::empty(u16::try_from(self.order.len()).unwrap_or(u16::MAX));
        self.iter().for_each(|slot| index.insert(slot));
        self.index = Some(index);
        self
    }

    /// Returns the number of free slots.
    pub(super) const fn len(&self) -> u16 {
        self.free
    }

    /// Returns true if `slot` is free.
    pub(super) fn contains(&self, slot: u16) -> bool {
        self.position
            .get(usize::from(slot))
            .is_some_and(|position| *position < self.free)
    }

    /// Returns one of the free slots, each equally likely; it stays free.
    pub(super) fn pick<R: Rng + ?Sized>(&self, rng: &mut R) -> Option<u16> {
        let free = NonZeroU16::new(self.free)?;
        self.order.get(usize::from(below(rng, free))).copied()
    }

    /// Returns one of the free slots that suit, each equally likely.
    ///
    /// At first by trying, which is quick while many suit; then by counting those that do.
    pub(super) fn pick_where<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        suits: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        for _ in 0..TRIES {
            let slot = self.pick(rng)?;
            if suits(slot) {
                return Some(slot);
            }
        }
        let suiting = || self.iter().filter(|slot| suits(*slot));
        let count = NonZeroU16::new(u16::try_from(suiting().count()).ok()?)?;
        suiting().nth(usize::from(below(rng, count)))
    }

    /// Returns the first free slot that suits, from `start` on and around the end; none if the set is not
    /// [`ordered`](Self::ordered).
    pub(super) fn next_where(&self, start: u16, suits: impl Fn(u16) -> bool) -> Option<u16> {
        let index = self.index.as_ref()?;
        let mut from = start;
        for _ in 0..self.free {
            let slot = index.next(from).or_else(|| index.next(0))?;
            if suits(slot) {
                return Some(slot);
            }
            from = slot + 1;
        }
        None
    }

    /// Returns the free slots, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.order.iter().copied().take(usize::from(self.free))
    }

    /// Makes `slot` free; `false` when it is already.
    pub(super) fn insert(&mut self, slot: u16) -> bool {
        if self.contains(slot) {
            return false;
        }
        let moved = self.move_to(slot, self.free);
        self.free += u16::from(moved);
        if let Some(index) = self.index.as_mut().filter(|_| moved) {
            index.insert(slot);
        }
        moved
    }

    /// Takes `slot` away; `false` when it is not free.
    pub(super) fn remove(&mut self, slot: u16) -> bool {
        if !self.contains(slot) {
            return false;
        }
        self.free -= 1;
        if let Some(index) = &mut self.index {
            index.remove(slot);
        }
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

    #[test]
    fn a_draw_among_those_that_suit_is_fair_however_few_they_are() {
        let set = FreeSet::full(1000);
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let mut counts = [0u32; 4];
        for _ in 0..4000 {
            let slot = set.pick_where(&mut rng, |slot| slot % 250 == 7);
            counts[usize::from(slot.expect("four suit") / 250)] += 1;
        }
        // 4.5 standard deviations of a quarter of 4000.
        assert!(
            counts.iter().all(|count| count.abs_diff(1000) < 124),
            "{counts:?}"
        );
        assert_eq!(set.pick_where(&mut rng, |_| false), None);
    }

    #[test]
    fn the_next_that_suits_is_found_around_the_end() {
        let mut set = FreeSet::full(100).ordered();
        assert!(
            (0..100)
                .filter(|slot| slot % 10 != 3)
                .all(|slot| set.remove(slot))
        );
        assert_eq!(set.next_where(13, |_| true), Some(13));
        assert_eq!(set.next_where(14, |slot| slot < 13), Some(3));
        assert_eq!(set.next_where(99, |_| true), Some(3));
        assert_eq!(set.next_where(0, |slot| slot == 4), None);
        assert_eq!(FreeSet::empty(5).ordered().next_where(0, |_| true), None);
        assert_eq!(FreeSet::empty(5).iter().count(), 0);
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
