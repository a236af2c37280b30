//! One number for the whole state at an index, so that replicas can be compared at little cost.
//!
//! It is computed where the commands say so, the same on all replicas: after each command but batches,
//! and after so many events of those.

use std::collections::VecDeque;

use wardmesh_common::map::HashKey;

use super::record::record;

/// Digests kept: at rest a quarter hour of them.
pub const DIGESTS_MAX: usize = 1_024;

/// The digest of the state after the entry at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The Raft log index.
    pub index: u64,
    /// The wrapping sum of the keyed hashes of all that is replicated.
    pub value: u64,
}

record!(Digest { index, value });

/// A row's part of the digest: eight bytes times eight bytes to sixteen, folded to eight (the way of
/// wyhash), under the replicated key. Several times as quick as SipHash, which was a fifth of `apply`;
/// it has to tell replicas apart that came apart by a fault, not to withstand who chooses the rows.
pub(super) fn keyed(HashKey(key): HashKey, bytes: &[u8]) -> u64 {
    let halves = |bytes: [u8; 16]| {
        let wide = u128::from_le_bytes(bytes);
        (wide as u64, (wide >> 64) as u64)
    };
    let fold = |one: u64, other: u64| {
        let (low, high) = halves((u128::from(one) * u128::from(other)).to_le_bytes());
        low ^ high
    };
    let (low, high) = halves(key);
    let (low, high) = (low ^ 0x9e37_79b9_7f4a_7c15, high ^ 0xc2b2_ae3d_27d4_eb4f);
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut last = [0; 16];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let mut sum = low;
    for chunk in chunks.iter().chain([&last]) {
        let (one, other) = halves(*chunk);
        sum = fold(one ^ sum, other ^ high);
    }
    fold(sum ^ low, high ^ bytes.len() as u64)
}

/// The digests at the latest indices.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests(VecDeque<Digest>);

impl Digests {
    pub(super) fn push(&mut self, digest: Digest) {
        while self.last().is_some_and(|last| last.index >= digest.index) {
            self.0.pop_back();
        }
        if self.0.len() >= DIGESTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(digest);
    }

    /// The latest at or before an index.
    pub(super) fn at(&self, index: u64) -> Option<Digest> {
        let later = self.0.partition_point(|digest| digest.index <= index);
        self.0.get(later.checked_sub(1)?).copied()
    }

    pub(super) fn last(&self) -> Option<Digest> {
        self.0.back().copied()
    }

    pub(super) fn to_vec(&self) -> Vec<Digest> {
        self.0.iter().copied().collect()
    }

    pub(super) fn from_vec(digests: Vec<Digest>) -> Option<Self> {
        let ordered = digests.is_sorted_by(|one, next| one.index < next.index);
        (ordered && digests.len() <= DIGESTS_MAX).then(|| Self(digests.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bit_and_every_length_counts() {
        let key = HashKey([7; 16]);
        let mut seen = BTreeSet::new();
        for length in 0..100 {
            let mut bytes = vec![0_u8; length];
            assert!(seen.insert(keyed(key, &bytes)), "{length} zeros");
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(seen.insert(keyed(key, &bytes)), "bit {bit} of {length} bytes");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert_ne!(keyed(key, b"a row"), keyed(HashKey([8; 16]), b"a row"));
    }
}
