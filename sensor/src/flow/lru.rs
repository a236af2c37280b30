//! A bounded table's storage: keyed lookup, stable slots, and the least recently used entry.
//!
//! Hashes with SipHash under a key that is passed in, so that crafted addresses cannot pile up in
//! one bucket. Nothing iterates in hash order: the order of use is the only order there is.

use std::hash::Hash;

use wardmesh_common::map::{HashKey, Map};

/// A place in an [`LruMap`], stable while its entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

/// An entry and its neighbours in order of use.
struct Node<K, V> {
    entry: Option<(K, V)>,
    newer: Option<Slot>,
    older: Option<Slot>,
}

/// A map that knows its least recently used entry. The caller keeps it bounded.
pub(crate) struct LruMap<K, V> {
    index: Map<K, Slot>,
    nodes: Vec<Node<K, V>>,
    free: Vec<Slot>,
    newest: Option<Slot>,
    oldest: Option<Slot>,
}

impl<K: Copy + Eq + Hash, V> LruMap<K, V> {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            index: Map::with_hasher(key),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: None,
            oldest: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The least recently used entry.
    pub(crate) fn oldest(&self) -> Option<Slot> {
        self.oldest
    }

    /// Where `key` is, without using it.
    pub(crate) fn find(&self, key: &K) -> Option<Slot> {
        self.index.get(key).copied()
    }

    /// The entry in `slot`, which becomes the most recently used.
    pub(crate) fn touch(&mut self, slot: Slot) -> Option<&mut V> {
        if self.newest != Some(slot) {
            self.unlink(slot);
            self.link_newest(slot);
        }
        self.at(slot)
    }

    /// The entry in `slot`, without using it.
    pub(crate) fn at(&mut self, slot: Slot) -> Option<&mut V> {
        self.node(slot)?.entry.as_mut().map(|(_, value)| value)
    }

    /// Adds an entry that is not there yet, as the most recently used.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Slot {
        let node = Node { entry: Some((key, value)), newer: None, older: None };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.node(slot) {
                    *place = node;
                }
                slot
            }
            None => {
                self.nodes.push(node);
                Slot(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.index.insert(key, slot);
        self.link_newest(slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<V> {
        let (key, value) = self.node(slot)?.entry.take()?;
        self.unlink(slot);
        self.index.swap_remove(&key);
        self.free.push(slot);
        Some(value)
    }

    fn node(&mut self, slot: Slot) -> Option<&mut Node<K, V>> {
        self.nodes.get_mut(slot.0 as usize)
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(node) = self.node(slot) else { return };
        let (newer, older) = (node.newer.take(), node.older.take());
        match newer.and_then(|slot| self.node(slot)) {
            Some(neighbour) => neighbour.older = older,
            None => self.newest = older,
        }
        match older.and_then(|slot| self.node(slot)) {
            Some(neighbour) => neighbour.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, slot: Slot) {
        let older = self.newest.replace(slot);
        if let Some(node) = self.node(slot) {
            node.older = older;
        }
        match older.and_then(|slot| self.node(slot)) {
            Some(neighbour) => neighbour.newer = Some(slot),
            None => self.oldest = Some(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_use() {
        let mut map = LruMap::new(HashKey([7; 16]));
        let slots: Vec<_> = (0..4).map(|key| map.insert(key, key * 10)).collect();
        map.touch(slots[0]);
        map.touch(slots[2]);
        map.remove(slots[3]);
        let reused = map.insert(9, 90);
        assert_eq!(reused, slots[3]);
        let mut order = Vec::new();
        while let Some(slot) = map.oldest() {
            order.extend(map.remove(slot));
        }
        assert_eq!(order, [10, 0, 20, 90]);
        assert_eq!((map.len(), map.find(&9)), (0, None));
    }
}
