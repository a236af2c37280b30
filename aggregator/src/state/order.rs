//! Keys in order, in runs that are copied on write: a new key while a snapshot is held copies one run
//! and not all keys.

use std::ops::Bound;
use std::sync::Arc;

/// Keys in one run; a full one is halved. Minted ids grow with time, so that runs fill at the end.
const RUN_LENGTH_MAX: usize = 512;

/// A set of keys in order.
#[derive(Clone, Debug)]
pub(super) struct Order<K> {
    runs: Vec<Arc<Vec<K>>>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<K: Ord + Clone> Order<K> {
    /// Adds a key; one that is there already changes nothing.
    pub(super) fn insert(&mut self, key: K) {
        let at = self.runs.partition_point(|run| run.last() < Some(&key));
        let at = at.min(self.runs.len().saturating_sub(1));
        let Some(run) = self.runs.get_mut(at) else {
            self.runs.push(Arc::new(vec![key]));
            return;
        };
        let Err(place) = run.binary_search(&key) else { return };
        let run = Arc::make_mut(run);
        run.insert(place, key);
        if run.len() > RUN_LENGTH_MAX {
            let rest = run.split_off(RUN_LENGTH_MAX / 2);
            self.runs.insert(at + 1, Arc::new(rest));
        }
    }

    /// All keys in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.runs.iter().flat_map(|run| run.iter())
    }

    /// The keys within bounds, in order.
    pub(super) fn range(
        &self,
        (low, high): (Bound<K>, Bound<K>),
    ) -> impl DoubleEndedIterator<Item = &K> {
        let before = move |key: &K| match &low {
            Bound::Included(low) => key < low,
            Bound::Excluded(low) => key <= low,
            Bound::Unbounded => false,
        };
        let within = move |key: &K| match &high {
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
    use std::collections::BTreeSet;

    use super::super::testkit::Dice;
    use super::*;

    #[test]
    fn is_a_set_in_order() {
        let mut dice = Dice::new(1);
        let (mut order, mut set) = (Order::default(), BTreeSet::new());
        assert_eq!(order.range((Bound::Included(1), Bound::Unbounded)).count(), 0);
        for _ in 0..20_000 {
            let key = dice.roll(15_000);
            order.insert(key);
            set.insert(key);
        }
        assert!(order.iter().eq(set.iter()) && order.iter().rev().eq(set.iter().rev()));
        for _ in 0..500 {
            let (low, high) = (dice.roll(15_100), dice.roll(15_100));
            let (low, high) = (low.min(high), low.max(high));
            let bound = |key, side| match side {
                0 => Bound::Included(key),
                1 => Bound::Excluded(key),
                _ => Bound::Unbounded,
            };
            let bounds = (bound(low, dice.roll(3)), bound(high + 1, dice.roll(3)));
            assert!(order.range(bounds).eq(set.range(bounds)), "{bounds:?}");
            assert!(order.range(bounds).rev().eq(set.range(bounds).rev()), "{bounds:?}");
        }
    }
}
