//! Random choices that a seed repeats.

use wardmesh_common::random::SplitMix64;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Draw(SplitMix64);

impl Draw {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// A stream of its own for each name under a seed.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Self {
        let mut mixed = Self::new(seed);
        for byte in name.bytes() {
            mixed = Self::new(mixed.number() ^ u64::from(byte));
        }
        mixed
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.roll(end.max(1) as u64) as usize
    }

    /// A number from `low` up to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.roll(high - low + 1)
    }

    /// Puts items in an order of its own.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_begins_anywhere_under_some_seed() {
        for name in ["N4", "N15", "N18", "N21"] {
            let begins: std::collections::BTreeSet<usize> =
                (1..=40).map(|seed| Draw::of(seed, name).below(60) % 5).collect();
            assert_eq!(begins.len(), 5, "{name}: {begins:?}");
        }
        assert_ne!(Draw::of(7, "N4").number(), Draw::of(7, "N5").number());
        assert_eq!(Draw::of(7, "N4").number(), Draw::of(7, "N4").number());
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            Draw::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let mut sorted = order(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert!((0..100).all(|seed| (3..=5).contains(&Draw::new(seed).within(3, 5))));
    }
}
