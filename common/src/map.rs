//! The one map of replicated state: insertion order, keyed hashing, cheap to copy for a snapshot.
//!
//! The standard map's order differs by process, so replicas would diverge; an unkeyed hash could be
//! flooded by whoever names devices. The key is an argument, in `State` it is replicated.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::raw_entry_v1::RawEntryApiV1;
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

/// Shards of a [`ShardedMap`]: with 100,000 entries a write while a snapshot is held copies about 25 of
/// them, so that a command that writes to 500 is far below the 50 ms that it may take.
const SHARDS: usize = 4_096;

/// The bits of a hash that choose the shard: neither the lowest, which choose the bucket inside it, nor
/// the seven highest, by which buckets are told apart.
const SHARD_SHIFT: u32 = 40;

/// Where an entry of a [`ShardedMap`] stands; it stays there as long as nothing is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    shard: u32,
    place: u32,
}

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

/// A large map in shards that are copied on write: its clone costs 4,096 reference counts.
///
/// The order is shard by shard and by insertion within a shard, as long as nothing is removed; it is
/// the same on every replica that did the same.
#[derive(Clone, Debug)]
pub struct ShardedMap<K, V, S = HashKey> {
    key: S,
    shards: Vec<Arc<IndexMap<K, V, S>>>,
    len: usize,
}

impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone> ShardedMap<K, V, S> {
    /// An empty map.
    #[must_use]
    pub fn new(key: S) -> Self {
        // One for all, until they are written to: most maps stay small.
        let empty = Arc::new(IndexMap::with_hasher(key.clone()));
        let shards = (0..SHARDS).map(|_| Arc::clone(&empty)).collect();
        Self { key, shards, len: 0 }
    }

    /// A key's hash and its shard.
    fn shard(&self, key: &K) -> (u64, usize) {
        let hash = self.key.hash_one(key);
        (hash, (hash >> SHARD_SHIFT) as usize % SHARDS)
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a key stands.
    #[must_use]
    pub fn slot(&self, key: &K) -> Option<Slot> {
        let (hash, shard) = self.shard(key);
        let place = self.shards[shard].raw_entry_v1().index_from_hash(hash, |held| held == key)?;
        Some(Slot { shard: shard as u32, place: place as u32 })
    }

    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let (hash, shard) = self.shard(key);
        let found = self.shards[shard].raw_entry_v1().from_hash(hash, |held| held == key);
        found.map(|(_, value)| value)
    }

    /// The value at a slot.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&V> {
        self.shards.get(slot.shard as usize)?.get_index(slot.place as usize).map(|(_, value)| value)
    }

    /// The value under a key, to change; copies its shard where a clone of the map still holds it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.slot(key)?;
        self.at_mut(slot)
    }

    /// The value at a slot, to change; copies its shard where a clone of the map still holds it.
    pub fn at_mut(&mut self, slot: Slot) -> Option<&mut V> {
        let shard = self.shards.get_mut(slot.shard as usize)?;
        Arc::make_mut(shard).get_index_mut(slot.place as usize).map(|(_, value)| value)
    }

    /// Puts a value, returning the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (_, shard) = self.shard(&key);
        let replaced = Arc::make_mut(&mut self.shards[shard]).insert(key, value);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Removes a key; the last entry of its shard takes its place.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (_, shard) = self.shard(key);
        if !self.shards[shard].contains_key(key) {
            return None;
        }
        let removed = Arc::make_mut(&mut self.shards[shard]).swap_remove(key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// The slots of all entries, shard by shard.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let shards = self.shards.iter().zip(0_u32..);
        shards.flat_map(|(entries, shard)| {
            (0..entries.len() as u32).map(move |place| Slot { shard, place })
        })
    }

    /// All entries, shard by shard.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// All values, shard by shard.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_held() {
        let mut map = ShardedMap::new(HashKey([1; 16]));
        for key in 0..1_000_u32 {
            assert_eq!(map.insert(key, key), None);
        }
        let before = map.clone();
        *map.get_mut(&7).unwrap() = 700;
        assert_eq!(map.insert(8, 800), Some(8));
        assert_eq!(map.remove(&9), Some(9));
        assert_eq!(
            (before.get(&7), before.get(&8), before.get(&9)),
            (Some(&7), Some(&8), Some(&9))
        );
        assert_eq!((map.get(&7), map.get(&8), map.get(&9)), (Some(&700), Some(&800), None));
        assert_eq!((before.len(), map.len()), (1_000, 999));
        assert_eq!(map.remove(&9), None);
        assert_eq!(map.iter().count(), 999);
    }

    /// What bounds a command right after a snapshot was begun.
    #[test]
    fn a_write_beside_a_clone_copies_little() {
        let mut map = ShardedMap::new(HashKey([1; 16]));
        (0..100_000_u32).for_each(|key| assert!(map.insert(key, ()).is_none()));
        let held = map.clone();
        (100_000..100_500_u32).for_each(|key| assert!(map.insert(key, ()).is_none()));
        let pairs = map.shards.iter().zip(&held.shards);
        let copied = pairs.filter(|(now, then)| !Arc::ptr_eq(now, then));
        let entries: usize = copied.map(|(_, then)| then.len()).sum();
        assert!(entries < 15_000, "{entries} of {}", held.len());
    }

    #[test]
    fn the_order_is_a_function_of_the_key_and_the_inserts() {
        let fill = |key| {
            let mut map = ShardedMap::new(HashKey([key; 16]));
            (0..100_u32).for_each(|n| assert!(map.insert(n, ()).is_none()));
            map.iter().map(|(n, ())| *n).collect::<Vec<_>>()
        };
        assert_eq!(fill(1), fill(1));
        assert_ne!(fill(1), fill(2));
    }
}
