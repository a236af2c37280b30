//! Sameness across sensors: what two sensors of one segment saw of one thing counts once.
//!
//! A second, separate step after the dedupe of resends, by `SightingKey` within [`WINDOW`] of event
//! time. A table of fixed size: what is crowded out is counted twice, never lost.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use wardmesh_common::id::SensorId;
use wardmesh_common::map::HashKey;
use wardmesh_common::sighting::SightingKey;
use wardmesh_common::time::Timestamp;

use super::record::record;

/// Event times of one thing seen by two sensors differ by less: their clocks' error and the network's
/// own delay.
pub(super) const WINDOW: Duration = Duration::from_secs(2);

/// Sightings remembered for one site: a thousand different ones a second for four windows. 320 KiB,
/// and only where a site has two sensors.
pub(super) const SLOTS: usize = 8_192;

/// One remembered sighting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    key: u64,
    at: Timestamp,
    sensor: SensorId,
}

record!(Slot { key, at, sensor });

/// What the sensors of one site saw of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    slots: Vec<Option<Slot>>,
    sum: u64,
}

record!(Window { slots, sum });

impl Window {
    /// Whether another sensor of the site has seen the same within the window; remembers it if not.
    ///
    /// Time is cut into pieces of a window's length, so that a batch that comes late still finds what
    /// was seen at its time.
    pub(super) fn merges(
        &mut self,
        hash_key: HashKey,
        key: SightingKey,
        at: Timestamp,
        sensor: SensorId,
    ) -> bool {
        let piece = at.as_nanos() / WINDOW.as_nanos() as u64;
        for piece in [piece, piece.saturating_sub(1), piece.saturating_add(1)] {
            let seen = self.slots.get(slot(key, piece)).copied().flatten();
            if let Some(seen) = seen.filter(|seen| seen.key == key.0 && seen.sensor != sensor)
                && seen.at.since(at).max(at.since(seen.at)) < WINDOW
            {
                return true;
            }
        }
        self.put(hash_key, slot(key, piece), Slot { key: key.0, at, sensor });
        false
    }

    fn put(&mut self, hash_key: HashKey, at: usize, new: Slot) {
        if self.slots.is_empty() {
            self.slots = vec![None; SLOTS];
        }
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.is_some_and(|old| old.key == new.key && old.sensor == new.sensor) {
            return;
        }
        let old = slot.replace(new).map_or(0, |old| hash(hash_key, at, old));
        self.sum = self.sum.wrapping_sub(old).wrapping_add(hash(hash_key, at, new));
    }

    /// The wrapping sum of the slots' hashes.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The same sum from nothing but the slots; `None` where their number is wrong.
    pub(super) fn sum_from_scratch(&self, hash_key: HashKey) -> Option<u64> {
        let sound = self.slots.is_empty() || self.slots.len() == SLOTS;
        let slots = self.slots.iter().enumerate();
        let hashes = slots.filter_map(|(at, slot)| Some(hash(hash_key, at, (*slot)?)));
        sound.then(|| hashes.fold(0, u64::wrapping_add))
    }
}

fn slot(key: SightingKey, piece: u64) -> usize {
    // The key is a hash already; an odd multiplier spreads the pieces of one key over the table.
    (key.0 ^ piece.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as usize % SLOTS
}

fn hash(hash_key: HashKey, at: usize, slot: Slot) -> u64 {
    let mut hasher = hash_key.build_hasher();
    hasher.write_u64(at as u64);
    hasher.write_u64(slot.key);
    hasher.write_u64(slot.at.as_nanos());
    hasher.write(&slot.sensor.0);
    hasher.finish()
}
