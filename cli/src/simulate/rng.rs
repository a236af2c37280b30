//! The generator's only source of chance: streams that are named by keys.
//!
//! The bytes of a capture are a promise: the same seed gives the same file with every release.

use wardmesh_common::random::SplitMix64;
use wardmesh_common::random::split_mix::{STEP, mix};

/// A stream of numbers that its key alone decides.
#[derive(Clone, Debug)]
pub(super) struct Rng(SplitMix64);

impl Rng {
    /// The stream of this key; keys that differ in any part give unrelated streams.
    pub(super) fn keyed(parts: &[u64]) -> Self {
        let fold = |state: u64, part: &u64| mix(state ^ part).wrapping_add(STEP);
        Self(SplitMix64::new(parts.iter().fold(STEP, fold)))
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number under `bound`; zero where the bound is zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// A number from `low` up to, not including, `high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.draw() >> 56) as u8)
    }

    /// `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// A text as part of a key.
pub(super) fn text_key(text: &str) -> u64 {
    fnv(text.as_bytes())
}

/// FNV-1a of 64 bits.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_range() {
        let mut rng = Rng::keyed(&[1, text_key("a")]);
        assert_eq!(rng.below(0), 0);
        assert!((0..1_000).all(|_| (5..9).contains(&rng.between(5, 9))));
        assert_eq!(rng.bytes(13).len(), 13);
    }
}
