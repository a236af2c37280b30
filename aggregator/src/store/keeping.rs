//! How applied entries get into the archive, and old ones out of it.
//!
//! Only applying tells an entry's rows; they wait in memory until the archive takes them. Nothing here
//! waits for the query index's room: it is what makes that room.

use std::sync::atomic::Ordering;

use super::archive::{Retention, Retired};
use super::{AppliedBatch, CommandLog, Rows, Store, StoreError};

impl Store {
    /// Archives entries through `index` and makes the index last as far: a snapshot will stand for
    /// them, so that they are not applied again, and only applying tells which batches were taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep(&self, index: u64) -> Result<(), StoreError> {
        if let Some(log) = self.log.get() {
            self.archive_up_to(index, &**log)?;
        }
        self.flush();
        Ok(())
    }

    /// Hands over an applied entry's rows: every entry's, in order, also one without batches. Does not
    /// block, unless as many rows wait as memory may hold; entries that were committed before are
    /// passed over.
    pub fn commit(&self, index: u64, batches: Vec<AppliedBatch>) {
        let rows = Rows::from(batches);
        if self.archive.archived_through() < Some(index) {
            if !self.pending.has_room_for(&rows) {
                self.make_room(index);
            }
            self.pending.put(index, &rows);
        }
        self.index.commit(index, rows);
    }

    /// Archives what is applied below `index`, so that no rows are lost: a start applies the log
    /// quicker than anybody archives beside, and would lose the same rows each time.
    fn make_room(&self, index: u64) {
        let (Some(log), Some(last)) = (self.log.get(), index.checked_sub(1)) else { return };
        if let Err(cause) = self.archive_up_to(last, &**log) {
            *self.failure.lock() = Some(cause);
        }
    }

    /// Whether so many rows wait for the archive that it should be written now.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.pending.is_crowded()
    }

    /// What went wrong while an entry was applied, which cannot fail; told once.
    pub fn take_failure(&self) -> Option<StoreError> {
        self.failure.lock().take()
    }

    /// Bytes that are written to the archive before a snapshot can be, about.
    #[must_use]
    pub fn unarchived_bytes(&self) -> u64 {
        let (Some(log), Some(last)) = (self.log.get(), self.pending.last()) else { return 0 };
        self.archive.lacks_bytes(last, &**log)
    }

    /// Copies applied entries through `index` into the archive and makes them last: before the
    /// log is purged, which it may be through the index that comes back.
    ///
    /// # Errors
    /// [`StoreError`]; the log must then not be purged further than
    /// [`archived_through`](Self::archived_through).
    pub fn archive_up_to(
        &self,
        index: u64,
        log: &dyn CommandLog,
    ) -> Result<Option<u64>, StoreError> {
        let rows = |index| self.pending.of(index)?.ok_or(StoreError::Overtaken(index));
        // What comes before the first that is lost is not lost with it.
        let lost = self.pending.lost().filter(|lost| *lost <= index);
        let through = lost.map_or(index, |lost| lost.saturating_sub(1));
        let appended = self.archive.append(through, log, &rows);
        self.pending.forget(self.archive.archived_through().unwrap_or(0));
        let archived = appended?;
        lost.map_or(Ok(archived), |lost| Err(StoreError::RowsLost(lost)))
    }

    /// Removes the oldest archive files past a retention, and their rows in the background. Waits for
    /// nothing; to be repeated.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn retain(&self, retention: &Retention) -> Result<Retired, StoreError> {
        let retired = self.archive.retain(retention)?;
        if let Some(below) = self.archive.history_from().filter(|_| retired.files > 0) {
            self.forgotten.fetch_max(below, Ordering::AcqRel);
        }
        // The index may be waiting for the very room that was made here.
        let below = self.forgotten.load(Ordering::Acquire);
        if below > 0 && self.index.try_forget(below) {
            self.forgotten.store(0, Ordering::Release);
        }
        Ok(retired)
    }
}
