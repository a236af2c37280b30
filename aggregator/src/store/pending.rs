//! Rows of applied entries that are not archived yet: what the archive takes beside the log's bytes.
//!
//! Only apply knows which batches it took and what they were about. After a restart the entries
//! since the snapshot are applied again, and no snapshot is older than the archive's end.

use std::collections::BTreeMap;
use std::ops::Range;

use parking_lot::Mutex;

use super::{Rows, StoreError};

/// Batches whose rows are kept, some 300 bytes each: as many as several gigabytes of log hold. More
/// wait only where the archive cannot be written.
const BATCHES_MAX: usize = 262_144;

/// The rows of entries that are not archived.
#[derive(Debug)]
pub(super) struct Pending {
    kept: Mutex<Kept>,
    batches_max: usize,
}

impl Default for Pending {
    fn default() -> Self {
        Self::of_at_most(BATCHES_MAX)
    }
}

#[derive(Debug, Default)]
struct Kept {
    rows: BTreeMap<u64, Rows>,
    batches: usize,
    /// The entries that are answered for, those without rows too.
    told: Range<u64>,
    /// The first entry for which there was no room.
    lost: Option<u64>,
}

impl Pending {
    /// Keeps the rows of so many batches.
    pub(super) fn of_at_most(batches_max: usize) -> Self {
        Self { kept: Mutex::default(), batches_max }
    }

    /// Whether an entry's rows can be kept, or need not be: nothing is kept any more once some are
    /// lost.
    pub(super) fn has_room_for(&self, rows: &Rows) -> bool {
        let kept = self.kept.lock();
        rows.is_empty() || kept.lost.is_some() || kept.batches + rows.len() <= self.batches_max
    }

    /// Whether half of what can be kept is: time to archive, before applying has to.
    pub(super) fn is_crowded(&self) -> bool {
        self.kept.lock().batches > self.batches_max / 2
    }

    /// The first entry whose rows are lost.
    pub(super) fn lost(&self) -> Option<u64> {
        self.kept.lock().lost
    }

    /// The last entry that was told.
    pub(super) fn last(&self) -> Option<u64> {
        self.kept.lock().told.end.checked_sub(1)
    }

    /// Keeps an entry's rows, where there is room.
    pub(super) fn put(&self, index: u64, rows: &Rows) {
        let mut kept = self.kept.lock();
        if index < kept.told.end {
            return;
        }
        if kept.told.is_empty() {
            kept.told.start = index;
        }
        kept.told.end = index.saturating_add(1);
        if rows.is_empty() || kept.lost.is_some_and(|lost| index >= lost) {
            return;
        }
        if kept.batches + rows.len() > self.batches_max {
            tracing::error!(index, "the archive lags too far behind: rows are not kept any more");
            kept.lost = Some(index);
            return;
        }
        kept.batches += rows.len();
        kept.rows.insert(index, Rows::clone(rows));
    }

    /// An entry's rows; `None` where it is archived, or came with a snapshot.
    ///
    /// # Errors
    /// [`StoreError::NotApplied`], [`StoreError::RowsLost`]: nobody may take that for "it has none".
    pub(super) fn of(&self, index: u64) -> Result<Option<Rows>, StoreError> {
        let kept = self.kept.lock();
        if index >= kept.told.end {
            return Err(StoreError::NotApplied(index));
        }
        if index < kept.told.start {
            return Ok(None);
        }
        match kept.lost {
            Some(lost) if index >= lost => Err(StoreError::RowsLost(lost)),
            _ => Ok(Some(kept.rows.get(&index).cloned().unwrap_or_default())),
        }
    }

    /// Lets go of entries through `through`: they are archived, or came with a snapshot.
    pub(super) fn forget(&self, through: u64) {
        let mut kept = self.kept.lock();
        let next = through.saturating_add(1);
        kept.told = kept.told.start.max(next)..kept.told.end.max(next);
        let rest = kept.rows.split_off(&through.saturating_add(1));
        let gone = std::mem::replace(&mut kept.rows, rest);
        kept.batches -= gone.values().map(|rows| rows.len()).sum::<usize>();
        // What was lost below is history of others now.
        kept.lost = kept.lost.filter(|lost| *lost > through);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::store::fixture::Fleet;

    #[test]
    fn keeps_what_fits_and_says_what_did_not() {
        let fleet = Fleet::after(40);
        let most = fleet.rows.range(..20).map(|(_, rows)| rows.len()).sum();
        let pending = Pending::of_at_most(most);
        let rows = |index| Rows::from(fleet.rows(index));
        assert!(matches!(pending.of(0), Err(StoreError::NotApplied(0))));
        (0..40).for_each(|index| pending.put(index, &rows(index)));
        for index in 0..20 {
            assert_eq!(pending.of(index).unwrap(), Some(rows(index)));
        }
        let lost = (20..40).find(|index| !rows(*index).is_empty()).unwrap();
        for index in lost..40 {
            assert!(matches!(pending.of(index), Err(StoreError::RowsLost(first)) if first == lost));
        }
        pending.forget(19);
        assert!(pending.kept.lock().rows.is_empty() && pending.kept.lock().batches == 0);
        assert!(pending.of(lost).is_err());
        pending.forget(39);
        assert_eq!(pending.of(lost).unwrap(), None);
        assert!(matches!(pending.of(40), Err(StoreError::NotApplied(40))));
        // Told anew after a snapshot from elsewhere.
        pending.forget(99);
        pending.put(100, &rows(3));
        assert_eq!((pending.of(99).unwrap(), pending.of(100).unwrap()), (None, Some(rows(3))));
    }
}
