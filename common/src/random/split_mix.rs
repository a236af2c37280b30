//! SplitMix64 (Steele, Lea and Flood, 2014): numbers that a seed repeats, for simulations and tests.
//!
//! Our own, since recorded files and failing seeds are promises: a seed gives the same numbers with
//! every release of every dependency. Never for secrets: who sees one number knows all that follow.

/// What the state advances by: 2^64 divided by the golden ratio.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers that its seed alone decides.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of what is still to come.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.0
    }

    /// The next number, of all that 64 bits can hold.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number under `bound`, the next one scaled down; zero where the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A number under `sides`, the remainder of the next one; zero where there are none.
    pub const fn roll(&mut self, sides: u64) -> u64 {
        let drawn = self.draw();
        if sides == 0 { 0 } else { drawn % sides }
    }
}

/// Spreads every bit of a value over all of the result; no two values give the same.
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_as_the_reference_implementation() {
        let mut numbers = SplitMix64::new(0);
        assert_eq!(numbers.draw(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(numbers.draw(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(numbers.state(), STEP.wrapping_mul(2));
    }

    #[test]
    fn stays_in_range() {
        let mut numbers = SplitMix64::new(1);
        assert_eq!((numbers.below(0), numbers.roll(0)), (0, 0));
        assert!((0..1_000).all(|_| numbers.below(7) < 7 && numbers.roll(7) < 7));
        // From state 0: the first scaled down by 2^61, the second's remainder.
        let mut numbers = SplitMix64::new(0);
        assert_eq!((numbers.below(8), numbers.roll(10)), (7, 0x6e78_9e6a_a1b9_65f4 % 10));
    }
}
