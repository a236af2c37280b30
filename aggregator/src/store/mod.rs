//! What a node keeps beside the Raft log: the archive of applied commands and the query index.
//!
//! Blocking throughout, except [`Store::commit`]; the index is derived and may be rebuilt at any
//! time, the archive is the only copy of what was purged from the log.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use wardmesh_common::id::{ClusterId, TenantId};
use wardmesh_common::space::Space;

use crate::state::effects::AppliedBatch;

pub mod archive;
mod error;
mod events;
mod fields;
#[cfg(test)]
mod fixture;
pub mod index;
mod keeping;
mod key;
mod pending;
mod query;
mod row;

pub use error::StoreError;
pub use query::{
    DeviceResolver, EVENTS_PER_PAGE_MAX, EventPage, EventQuery, EventRef, NotAnEventRef,
    StoredEvent,
};

use self::archive::Archive;
use self::events::Sources;
use self::index::{Expected, Index, Missing, Progress, Rebuild};
use self::pending::Pending;

/// How often a writer of the query index that is behind is asked again.
const REFEED_POLL: Duration = Duration::from_millis(5);

/// Old entries on their way to the query index: what is applied meanwhile finds room beside them.
const FED_BELOW_MAX: usize = 256;

/// The rows of one entry's applied batches, shared by index and archive.
pub(crate) type Rows = Arc<[AppliedBatch]>;

/// Where committed commands can be read back by log index: the Raft log.
pub trait CommandLog: Send + Sync {
    /// The bytes of `Command::encode` at a log index; `None` for an entry of Raft's own.
    ///
    /// # Errors
    /// `NotFound` where the log has no such entry, purged or not yet written: the archive must
    /// never take that for an entry without a command. Others where the log cannot be read.
    fn read(&self, index: u64) -> io::Result<Option<Bytes>>;

    /// The first log index that is not purged.
    fn first(&self) -> u64;

    /// Bytes of the entries from an index on, about.
    fn bytes_from(&self, index: u64) -> u64;
}

/// What the node knows when it opens its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The cluster, once the restored state knows it.
    pub cluster: Option<ClusterId>,
    /// The first entry that apply will deliver: the one after the restored snapshot, which is no
    /// newer than what is archived unless it came from another node.
    pub next: u64,
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskBytes {
    /// Of archive files.
    pub archive: u64,
    /// Of the query index.
    pub index: u64,
}

/// A node's store.
pub struct Store {
    archive: Archive,
    index: Index,
    pending: Pending,
    /// The last entry that a peer asked to have archived.
    wanted: AtomicU64,
    /// Where entries come from, once it is open.
    log: OnceLock<Box<dyn CommandLog>>,
    /// What went wrong where nobody could be told; see [`Store::take_failure`].
    failure: Mutex<Option<StoreError>>,
    /// Rows of entries below it are to be forgotten by the index.
    forgotten: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("archive", &self.archive).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens `archive` and `index` in a folder, and says which rows have to be fed again.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Misplaced`] for archive files that need an
    /// operator, [`StoreError::Locked`], [`StoreError::Io`].
    pub fn open(folder: &Path, opening: &Opening) -> Result<(Self, Rebuild), StoreError> {
        let archive = Archive::open(&folder.join("archive"))?;
        Self::with_archive(folder, archive, opening)
    }

    fn with_archive(
        folder: &Path,
        archive: Archive,
        opening: &Opening,
    ) -> Result<(Self, Rebuild), StoreError> {
        let Opening { cluster, next } = *opening;
        // A snapshot of this node's own is never ahead of its archive: this one is from another.
        let brought = next > 1 && archive.archived_through() < Some(next - 1);
        let history_from = match archive.history_from() {
            _ if brought => next,
            Some(from) => from,
            None => 0,
        };
        if brought {
            archive.go_on_from(next);
        }
        let expected = Expected { cluster, next, history_from };
        let (index, rebuild) = Index::open(&folder.join("index"), &expected)?;
        // What retention removed before a crash.
        index.forget(archive.history_from().unwrap_or(0).min(history_from));
        let (pending, wanted, log, failure, forgotten) = Default::default();
        Ok((Self { archive, index, pending, wanted, log, failure, forgotten }, rebuild))
    }

    /// Told the log before the first entry of it is committed; the first one stays.
    pub fn attach(&self, log: Box<dyn CommandLog>) {
        // A node has one log.
        let _ = self.log.set(log);
    }

    /// A snapshot of entry `index` was restored. Where it came from another node, the entries up to
    /// it were never applied here: history begins after it, until peers' files are adopted.
    pub fn restored(&self, index: u64) {
        if self.archive.archived_through() >= Some(index) {
            return;
        }
        let next = index.saturating_add(1);
        // An archiving that is under way meets this and gives up.
        self.pending.forget(index);
        self.archive.go_on_from(next);
        self.index.begin_at(next);
        self.index.flush();
    }

    /// Has the query index wait while its volume is full: sled is of no use any more after a write that
    /// found no room. The archive begins no file that does not fit.
    pub fn watch(&self, space: Arc<Space>) {
        self.archive.watch(Arc::clone(&space));
        self.index.watch(space);
    }

    /// The node stops: nobody waits for room any more. What the index has not had by then it lacks at
    /// the next start.
    pub fn stopping(&self) {
        self.index.stopping();
    }

    /// Feeds the index the entries of [`missing`](Self::missing), until `stop` says so.
    ///
    /// # Errors
    /// [`StoreError`] where the archive cannot be read.
    pub fn refeed(&self, missing: Missing, stop: &dyn Fn() -> bool) -> Result<(), StoreError> {
        for index in missing.from..=missing.through {
            if stop() {
                // Those that were passed over had none: the next turn begins behind them.
                let looked_through = index.checked_sub(1).filter(|last| *last >= missing.from);
                looked_through.map(|last| self.index.try_refeed(last, &Rows::default()));
                return Ok(());
            }
            let rows = self.rows(index)?;
            if !rows.is_empty() || index == missing.through {
                // The writer may be waiting for room.
                while !self.index.try_refeed(index, &rows) {
                    if stop() {
                        return Ok(());
                    }
                    std::thread::sleep(REFEED_POLL);
                }
            }
        }
        Ok(())
    }

    /// The rows of an applied entry: apply's own, from memory or from the archive.
    fn rows(&self, index: u64) -> Result<Rows, StoreError> {
        // The very first entry founds the cluster: a membership, which has none.
        if index > 0
            && self.archive.archived_through() < Some(index)
            && let Some(rows) = self.pending.of(index)?
        {
            return Ok(rows);
        }
        Ok(self.archive.rows(index)?.unwrap_or_default())
    }

    /// Feeds the index the newest archive file that lies before where it begins, so that history
    /// begins earlier; whether there was one. Blocking.
    ///
    /// # Errors
    /// [`StoreError`] where the archive cannot be read.
    pub fn extend_index(&self, stop: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        let from = self.index.progress().from;
        let Some(last) = from.checked_sub(1) else { return Ok(false) };
        let files = self.archive.files();
        let Some(file) = files.iter().find(|file| (file.first..=file.through).contains(&last))
        else {
            return Ok(false);
        };
        let mut fed = 0;
        for index in (file.first..=last).rev() {
            if stop() {
                return Ok(false);
            }
            let rows = self.archive.rows(index)?.unwrap_or_default();
            if !rows.is_empty() {
                self.index.feed_below(index, rows);
                fed += 1;
            }
            if fed == FED_BELOW_MAX {
                self.index.flush();
                fed = 0;
            }
        }
        self.index.extend_to(file.first);
        self.index.flush();
        // An index that has failed comes no further.
        Ok(self.index.progress().from < from)
    }

    /// Entries whose rows are to be fed again: after opening, after a snapshot from another node,
    /// and where the index could not keep up.
    #[must_use]
    pub fn missing(&self, log: &dyn CommandLog) -> Option<Missing> {
        self.index.progress().missing?.since(self.history_from(log))
    }

    /// How far the query index is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.index.progress()
    }

    /// Entries that the query index could not take in time, since the start.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.index.passed_over()
    }

    /// Waits until all rows that were handed over can be found.
    pub fn flush(&self) {
        self.index.flush();
    }

    /// Waits until the rows of an entry can be found.
    ///
    /// # Errors
    /// [`StoreError::Behind`], [`StoreError::Index`].
    pub fn wait_for(&self, index: u64, within: Duration) -> Result<(), StoreError> {
        self.index.wait_for(index, within)
    }

    /// One page of events, in log order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events(
        &self,
        query: &EventQuery,
        log: &dyn CommandLog,
        devices: &dyn DeviceResolver,
    ) -> Result<EventPage, StoreError> {
        events::page(self.sources(log, devices), query)
    }

    /// A command's bytes, from the log or the archive; `None` for an entry of Raft's own.
    ///
    /// # Errors
    /// [`StoreError`] where neither has the entry any more, or it cannot be read.
    pub fn command(&self, index: u64, log: &dyn CommandLog) -> Result<Option<Bytes>, StoreError> {
        events::command(&self.archive, log, index)
    }

    /// The event at a place; `None` where the tenant has none there, or no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event(
        &self,
        tenant: &TenantId,
        reference: EventRef,
        log: &dyn CommandLog,
        devices: &dyn DeviceResolver,
    ) -> Result<Option<StoredEvent>, StoreError> {
        events::one(self.sources(log, devices), tenant, reference)
    }

    fn sources<'a>(
        &'a self,
        log: &'a dyn CommandLog,
        devices: &'a dyn DeviceResolver,
    ) -> Sources<'a> {
        let (index, archive) = (&self.index, &self.archive);
        // At one moment: a snapshot that is restored meanwhile moves both.
        let progress = index.progress();
        let history_from = history_from(archive, log.first()).max(progress.from);
        Sources { index, archive, log, devices, history_from, progress }
    }

    /// A peer wants to fetch entries through `index`, which are to be archived soon.
    pub fn want_archived(&self, index: u64) {
        self.wanted.fetch_max(index, Ordering::AcqRel);
    }

    /// The last entry that a peer asked to have archived; 0 for none.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::Acquire)
    }

    /// The last log index that is archived.
    #[must_use]
    pub fn archived_through(&self) -> Option<u64> {
        self.archive.archived_through()
    }

    /// The first log index from which on every event is still here.
    #[must_use]
    pub fn history_from(&self, log: &dyn CommandLog) -> u64 {
        history_from(&self.archive, log.first()).max(self.index.progress().from)
    }

    /// The archive: its files are what peers fetch and adopt.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Keeps in mind over a restart what was found damaged, so that the next start looks at it before
    /// the node serves again.
    pub fn note_damage(&self, cause: &StoreError) {
        if let StoreError::Corrupt { path, .. } = cause {
            self.archive.suspect(path);
        }
    }

    /// What lies on disk.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn disk_bytes(&self) -> Result<DiskBytes, StoreError> {
        Ok(DiskBytes { archive: self.archive.bytes(), index: self.index.bytes()? })
    }
}

/// The archive's history where the log goes on from it without a gap, else the log's.
fn history_from(archive: &Archive, log_first: u64) -> u64 {
    let joined =
        archive.archived_through().filter(|through| through.saturating_add(1) >= log_first);
    joined.and_then(|_| archive.history_from()).map_or(log_first, |from| from.min(log_first))
}

#[cfg(test)]
mod tests;
