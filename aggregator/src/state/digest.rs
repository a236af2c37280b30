//! One number for the whole state at an index, so that replicas can be compared at no cost.

use std::collections::VecDeque;

use super::record::record;

/// Indices whose digest is kept: at a command a millisecond a second back, at rest a quarter hour.
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

    pub(super) fn at(&self, index: u64) -> Option<Digest> {
        let at = self.0.binary_search_by_key(&index, |digest| digest.index).ok()?;
        self.0.get(at).copied()
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
