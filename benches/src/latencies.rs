//! Many durations and the values that parts of them stay below.

use std::time::Duration;

/// Durations of one kind.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn push(&mut self, one: Duration) {
        self.0.push(one);
    }

    /// Adds all of another.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milliseconds that so many per mille of them do not exceed; zero where there are none.
    #[must_use]
    pub fn millis(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * per_mille).div_ceil(1_000).saturating_sub(1);
        sorted.get(at).map_or(0.0, |one| one.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_below() {
        let mut all = Latencies::default();
        assert_eq!(all.millis(990), 0.0);
        (1..=200).rev().for_each(|millis| all.push(Duration::from_millis(millis)));
        for (per_mille, millis) in [(0, 1.0), (500, 100.0), (990, 198.0), (1_000, 200.0)] {
            assert!((all.millis(per_mille) - millis).abs() < 1e-9, "{per_mille}");
        }
    }
}
