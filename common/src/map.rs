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

/// Parts of a [`Lookup`]: a table that grows moves all that it holds. In one of 917,504 entries that was
/// 35 ms for one command; the parts come to it one after the other, 7 ms of them for 4,096 new entries.
const PARTS: usize = 64;

/// A large map that is only ever asked for a key: its order, which differs between processes, is never
/// seen, so that it may stand in replicated state.
#[derive(Clone, Debug)]
pub struct Lookup<K, V, S = HashKey> {
    key: S,
    parts: Box<[HashMap<K, V, S>; PARTS]>,
}

impl<K: Hash + Eq, V, S: BuildHasher + Clone> Lookup<K, V, S> {
    /// An empty one.
    #[must_use]
    pub fn new(key: S) -> Self {
        let part = |_| HashMap::with_hasher(key.clone());
        Self { parts: Box::new(std::array::from_fn(part)), key }
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.parts[self.part(key)].get(key)
    }

    /// Puts a value in place of what was there.
    pub fn insert(&mut self, key: K, value: V) {
        let part = self.part(&key);
        self.parts[part].insert(key, value);
    }

    /// By bits that the tables do not use themselves: they take the lowest, and the seven highest.
    fn part(&self, key: &K) -> usize {
        (self.key.hash_one(key) >> 32) as usize % PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_finds_what_was_put_last_and_grows_in_parts() {
        const KEYS: u64 = 64_000;
        let hash = |key: u64| {
            let mut hasher = HashKey([7; 16]).build_hasher();
            hasher.write_u64(key);
            u128::from(hasher.finish()) << 64 | u128::from(key)
        };
        let mut lookup = Lookup::new(Prehashed);
        for round in 0..2 {
            (0..KEYS).for_each(|key| lookup.insert(hash(key), key + round));
        }
        assert!((0..KEYS).all(|key| lookup.get(&hash(key)) == Some(&(key + 1))));
        assert_eq!(lookup.get(&hash(KEYS)), None);
        let held = lookup.parts.iter().map(HashMap::len);
        assert_eq!(held.clone().sum::<usize>(), KEYS as usize);
        let share = KEYS as usize / PARTS;
        assert!(held.clone().all(|held| (share / 2..share * 2).contains(&held)));
    }
}
