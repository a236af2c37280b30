//! Keys in order with where their rows stand, in runs that are copied on write: a new key while a
//! snapshot is held copies one run and not all keys.

use std::ops::Bound;
use std::sync::Arc;

use super::pages::Slot;

/// Keys in one run; a full one is halved. Minted ids grow with time, so that runs fill at the end.
const RUN_LENGTH_MAX: usize = 512;

/// Slots in the order of their keys.
#[derive(Clone, Debug)]
pub(super) struct Order<K> {
    runs: Vec<Arc<Vec<(K, Slot)>>>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<K: Ord + Clone> Order<K> {
    /// The run that holds a key, or would: the first that does not end before it.
    fn run_of(&self, key: &K) -> usize {
        self.runs.partition_point(|run| run.last().is_some_and(|(last, _)| last < key))
    }

    /// Where a key's row stands.
    pub(super) fn get(&self, key: &K) -> Option<Slot> {
        let run = self.runs.get(self.run_of(key))?;
        let place = run.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
        run.get(place).map(|(_, slot)| *slot)
    }

    /// Adds a key; one that is there already stays as it is.
    pub(super) fn insert(&mut self, key: K, slot: Slot) {
        let at = self.run_of(&key).min(self.runs.len().saturating_sub(1));
        let Some(run) = self.runs.get_mut(at) else {
            self.runs.push(Arc::new(vec![(key, slot)]));
            return;
        };
        let Err(place) = run.binary_search_by(|(held, _)| held.cmp(&key)) else { return };
        let run = Arc::make_mut(run);
        run.insert(place, (key, slot));
        if run.len() > RUN_LENGTH_MAX {
            let rest = run.split_off(RUN_LENGTH_MAX / 2);
            self.runs.insert(at + 1, Arc::new(rest));
        }
    }

    /// All keys in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &(K, Slot)> {
        self.runs.iter().flat_map(|run| run.iter())
    }

    /// The keys within bounds, in order.
    pub(super) fn range(
        &self,
        (low, high): (Bound<K>, Bound<K>),
    ) -> impl DoubleEndedIterator<Item = &(K, Slot)> {
        let before = move |(key, _): &(K, Slot)| match &low {
            Bound::Included(low) => key < low,
            Bound::Excluded(low) => key <= low,
            Bound::Unbounded => false,
        };
        let within = move |(key, _): &(K, Slot)| match &high {
            Bound::Included(high) => key <= high,
            Bound::Excluded(high) => key < high,
            Bound::Unbounded => true,
        };
        let first = self.runs.partition_point(|run| run.last().is_some_and(&before));
        let runs = self.runs.get(first..).unwrap_or_default();
        let runs = runs.get(..runs.partition_point(|run| run.first().is_some_and(&within)));
        runs.unwrap_or_default().iter().flat_map(move |run| {
            let (from, to) = (run.partition_point(&before), run.partition_point(&within));
            run.get(from..to).unwrap_or_default().iter()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::pages::Pages;
    use super::super::testkit::Dice;
    use super::*;

    #[test]
    fn is_a_map_in_order() {
        let mut dice = Dice::new(1);
        let (mut order, mut map, mut pages) = (Order::default(), BTreeMap::new(), Pages::default());
        assert_eq!(order.range((Bound::Included(1), Bound::Unbounded)).count(), 0);
        for _ in 0..20_000 {
            let key = dice.roll(15_000);
            let slot = pages.push(key);
            order.insert(key, slot);
            map.entry(key).or_insert(slot);
        }
        let pairs = |(key, slot): (&u64, &Slot)| (*key, *slot);
        assert!(order.iter().copied().eq(map.iter().map(pairs)));
        assert!(order.iter().rev().copied().eq(map.iter().rev().map(pairs)));
        (0..15_100).for_each(|key| assert_eq!(order.get(&key), map.get(&key).copied()));
        for _ in 0..500 {
            let (low, high) = (dice.roll(15_100), dice.roll(15_100));
            let (low, high) = (low.min(high), low.max(high));
            let bound = |key, side| match side {
                0 => Bound::Included(key),
                1 => Bound::Excluded(key),
                _ => Bound::Unbounded,
            };
            let bounds = (bound(low, dice.roll(3)), bound(high + 1, dice.roll(3)));
            assert!(order.range(bounds).copied().eq(map.range(bounds).map(pairs)), "{bounds:?}");
            let back = order.range(bounds).rev().copied();
            assert!(back.eq(map.range(bounds).rev().map(pairs)), "{bounds:?}");
        }
    }
}
