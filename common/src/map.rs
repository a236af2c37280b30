//! The maps of replicated state: in insertion order, or only ever asked for a key; keyed hashing.
//!
//! The standard map's order differs by process, so replicas would diverge; an unkeyed hash could be
//! flooded by whoever names devices. The key is an argument, in `State` it is replicated.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use indexmap::IndexMap;
use siphasher::sip::SipHasher13;

/// The key of every hash in a state, drawn once and replicated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// A small map in insertion order.
pub type Map<K, V> = IndexMap<K, V, HashKey>;

/// For keys that are keyed hashes already: hashing them once more would only cost time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prehashed;

impl BuildHasher for Prehashed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded::default()
    }
}

/// Folds what is written by exclusive or.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 ^= value as u64 ^ (value >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A large map that is only ever asked for a key: its order, which differs between processes, is never
/// seen, so that it may stand in replicated state.
#[derive(Clone, Debug)]
pub struct Lookup<K, V, S = HashKey>(HashMap<K, V, S>);

impl<K: Hash + Eq, V, S: BuildHasher> Lookup<K, V, S> {
    /// An empty one.
    #[must_use]
    pub fn new(key: S) -> Self {
        Self(HashMap::with_hasher(key))
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// Puts a value in place of what was there.
    pub fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }
}
