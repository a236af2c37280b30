//! One kind of entity: its rows, their order for paging, and the sum of their hashes.
//!
//! A row that changes is hashed at the next [`Table::settle`], however many commands change it before;
//! nothing else costs the digest.

use std::ops::Bound;
use std::sync::Arc;

use wardmesh_common::map::HashKey;

use super::digest;
use super::order::Order;
use super::pages::{Pages, Slot};
use super::record::Record;

/// What a table holds.
pub(super) trait Entity: Record + Clone {
    /// What names one among the others.
    type Key: Clone + Ord;

    /// The kind's number in the digest and in snapshots; never used again for another kind.
    const KIND: u8;

    /// This one's key; never changes.
    fn key(&self) -> Self::Key;
}

/// The entity is shared until it is written to: copying a page copies references.
#[derive(Clone, Debug)]
struct Row<E> {
    entity: Arc<E>,
    hash: u64,
    /// The latest command that changed it, by the table's count.
    command: u64,
}

/// Rows of one kind. Cheap to clone: pages and order are shared until they are written to.
#[derive(Clone, Debug)]
pub(super) struct Table<E: Entity> {
    key: HashKey,
    rows: Pages<Row<E>>,
    order: Order<E::Key>,
    /// Counts the commands; no part of what is agreed.
    command: u64,
    /// The command up to which all is hashed.
    settled: u64,
    /// What this command changed.
    changed: Vec<Slot>,
    /// What changed since it was hashed.
    stale: Vec<Slot>,
    sum: u64,
}

impl<E: Entity> Table<E> {
    pub(super) fn new(key: HashKey) -> Self {
        let (rows, order) = (Pages::default(), Order::default());
        let (changed, stale) = (Vec::new(), Vec::new());
        Self { key, rows, order, command: 1, settled: 0, changed, stale, sum: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, key: &E::Key) -> Option<&E> {
        self.at(self.order.get(key)?)
    }

    /// The entity at a slot, where it stays: none is ever removed.
    pub(super) fn at(&self, slot: Slot) -> Option<&E> {
        self.rows.at(slot).map(|row| row.entity.as_ref())
    }

    /// The keyed hash of a settled entity.
    pub(super) fn hash_of(&self, key: &E::Key) -> Option<u64> {
        self.rows.at(self.order.get(key)?).map(|row| row.hash)
    }

    /// The entity, to change: it will be hashed again.
    pub(super) fn get_mut(&mut self, key: &E::Key) -> Option<&mut E> {
        let slot = self.order.get(key)?;
        self.at_mut(slot)
    }

    /// The entity at a slot, to change: it will be hashed again.
    pub(super) fn at_mut(&mut self, slot: Slot) -> Option<&mut E> {
        let row = self.rows.at_mut(slot)?;
        if row.command != self.command {
            self.changed.push(slot);
            if row.command <= self.settled {
                self.stale.push(slot);
            }
            row.command = self.command;
        }
        Some(Arc::make_mut(&mut row.entity))
    }

    /// Adds an entity whose key is not there yet; one that is there is replaced. Returns its slot.
    pub(super) fn insert(&mut self, entity: E) -> Slot {
        let key = entity.key();
        if let Some(slot) = self.order.get(&key) {
            if let Some(row) = self.at_mut(slot) {
                *row = entity;
            }
            return slot;
        }
        let slot = self.rows.push(Row { entity: Arc::new(entity), hash: 0, command: self.command });
        self.order.insert(key, slot);
        self.changed.push(slot);
        self.stale.push(slot);
        slot
    }

    /// All keys in order.
    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = &E::Key> {
        self.order.iter().map(|(key, _)| key)
    }

    /// Entities in the order of their keys, within bounds.
    pub(super) fn range(
        &self,
        bounds: (Bound<E::Key>, Bound<E::Key>),
    ) -> impl DoubleEndedIterator<Item = &E> {
        self.order.range(bounds).filter_map(|(_, slot)| self.at(*slot))
    }

    /// What this command changed, in the order of the changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = &E> {
        self.changed.iter().filter_map(|slot| self.at(*slot))
    }

    /// A command is over.
    pub(super) fn close_command(&mut self) {
        self.changed.clear();
        self.command = self.command.saturating_add(1);
    }

    /// How many changed since they were hashed.
    pub(super) fn stale(&self) -> usize {
        self.stale.len()
    }

    /// Those, by their places: when the next digest is due follows from how many they are, so that a
    /// snapshot has to keep them.
    pub(super) fn stale_slots(&self) -> &[Slot] {
        &self.stale
    }

    /// Has rows hashed again that a snapshot says were not; `false` where there is no such row.
    pub(super) fn mark_stale(&mut self, slots: &[Slot]) -> bool {
        slots.iter().all(|slot| self.at_mut(*slot).is_some())
    }

    /// Hashes what changed.
    pub(super) fn settle(&mut self, scratch: &mut Vec<u8>) {
        let mut stale = std::mem::take(&mut self.stale);
        for slot in stale.drain(..) {
            let Some(row) = self.rows.at_mut(slot) else { continue };
            let hash = hash(self.key, row.entity.as_ref(), scratch);
            self.sum = self.sum.wrapping_sub(row.hash).wrapping_add(hash);
            row.hash = hash;
        }
        (self.stale, self.settled) = (stale, self.command);
        self.command = self.command.saturating_add(1);
    }

    /// The wrapping sum of all rows' hashes; what changed since they were settled is hashed for it.
    pub(super) fn sum(&self) -> u64 {
        let mut scratch = Vec::new();
        let rows = self.stale.iter().filter_map(|slot| self.rows.at(*slot));
        rows.fold(self.sum, |sum, row| {
            let hash = hash(self.key, row.entity.as_ref(), &mut scratch);
            sum.wrapping_sub(row.hash).wrapping_add(hash)
        })
    }

    /// The same sum, computed from nothing but the rows.
    #[cfg(test)]
    pub(super) fn sum_from_scratch(&self) -> u64 {
        self.rows.iter().fold(0, |sum, (_, row)| {
            sum.wrapping_add(hash(self.key, row.entity.as_ref(), &mut Vec::new()))
        })
    }

    /// All entities with their slots.
    pub(super) fn in_slots(&self) -> impl Iterator<Item = (Slot, &E)> {
        self.rows.iter().map(|(slot, row)| (slot, row.entity.as_ref()))
    }

    /// All entities in the rows' own order, which [`insert`](Self::insert) in that order restores.
    pub(super) fn in_row_order(&self) -> impl Iterator<Item = &E> {
        self.rows.iter().map(|(_, row)| row.entity.as_ref())
    }
}

/// The keyed hash of an entity and its kind.
fn hash<E: Entity>(key: HashKey, entity: &E, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    scratch.push(E::KIND);
    entity.write(scratch);
    digest::keyed(key, scratch)
}
