//! A bounded list in order of age with removal in O(1).

use std::num::NonZeroU32;

/// At most `capacity` values, oldest first: slots that are linked both ways, and a chain of free ones.
#[derive(Debug)]
pub(super) struct AgeList<T> {
    /// Grows up to `capacity` and never shrinks.
    slots: Vec<Slot<T>>,
    capacity: usize,
    oldest: Option<usize>,
    newest: Option<usize>,
    /// The first free slot; `newer` of a free slot is the next.
    free: Option<usize>,
    len: usize,
}

/// The slot of a value. It is invalid once the value has been removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Handle {
    slot: usize,
    /// The number of values that the slot has held.
    generation: u64,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    generation: u64,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> AgeList<T> {
    pub(super) fn new(capacity: NonZeroU32) -> Self {
        Self {
            slots: Vec::new(),
            capacity: usize::try_from(capacity.get()).unwrap_or(usize::MAX),
            oldest: None,
            newest: None,
            free: None,
            len: 0,
        }
    }

    /// Adds the newest value. The caller has made room.
    pub(super) fn push(&mut self, value: T) -> Handle {
        debug_assert!(!self.is_full(), "room is made before a push");
        let at = self.vacant();
        let older = self.newest.replace(at);
        match older.and_then(|older| self.slots.get_mut(older)) {
            Some(older) => older.newer = Some(at),
            None => self.oldest = Some(at),
        }
        self.len += 1;
        let generation = self.slots.get_mut(at).map_or(0, |slot| {
            slot.value = Some(value);
            (slot.older, slot.newer) = (older, None);
            slot.generation
        });
        Handle {
            slot: at,
            generation,
        }
    }

    /// Removes a value, if it is still there.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<T> {
        let slot = self.slots.get_mut(handle.slot)?;
        if slot.generation != handle.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation += 1;
        let (older, newer) = (slot.older, slot.newer);
        slot.newer = self.free.replace(handle.slot);
        self.len -= 1;
        match older.and_then(|at| self.slots.get_mut(at)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|at| self.slots.get_mut(at)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        Some(value)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<T> {
        let slot = self.oldest?;
        let generation = self.slots.get(slot)?.generation;
        self.remove(Handle { slot, generation })
    }

    pub(super) fn oldest(&self) -> Option<&T> {
        self.slots.get(self.oldest?)?.value.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    fn vacant(&mut self) -> usize {
        let Some(at) = self.free else {
            self.slots.push(Slot {
                value: None,
                generation: 0,
                older: None,
                newer: None,
            });
            return self.slots.len() - 1;
        };
        self.free = self.slots.get(at).and_then(|slot| slot.newer);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        PopOldest,
        /// Removes by a handle that was given some time ago.
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Push),
            1 => Just(Step::PopOldest),
            2 => (0_usize..64).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_list(steps in vec(step(), 0..200), capacity in 1_u32..8) {
            let mut list = AgeList::new(NonZeroU32::new(capacity).expect("not zero"));
            let (mut model, mut handles) = (Vec::new(), Vec::new());
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push if list.is_full() => {}
                    Step::Push => {
                        handles.push((list.push(value), value));
                        model.push(value);
                    }
                    Step::PopOldest => {
                        let oldest = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(list.pop_oldest(), oldest);
                    }
                    Step::Remove(pick) => {
                        let Some(&(handle, value)) = handles.get(pick) else { continue };
                        let there = model.iter().position(|&other| other == value);
                        prop_assert_eq!(list.remove(handle), there.map(|at| model.remove(at)));
                    }
                }
                prop_assert_eq!(list.oldest(), model.first());
                prop_assert_eq!(list.len(), model.len());
                prop_assert!(list.slots.len() <= usize::try_from(capacity).expect("small"));
            }
            while let Some(value) = list.pop_oldest() {
                prop_assert_eq!(value, model.remove(0));
            }
            prop_assert!(model.is_empty());
        }
    }
}
