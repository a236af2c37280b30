//! What a node keeps beside the Raft log: the archive of applied commands and the query index.
//!
//! Blocking throughout, except [`Store::commit`]; the index is derived and may be rebuilt at any
//! time, the archive is the only copy of what was purged from the log.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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
mod key;
mod query;
mod row;

pub use error::StoreError;
pub use query::{
    DeviceResolver, EVENTS_PER_PAGE_MAX, EventPage, EventQuery, EventRef, NotAnEventRef,
    StoredEvent,
};

use self::archive::{Archive, Retention, Retired};
use self::events::Sources;
use self::index::{Expected, Index, Missing, Progress, Rebuild};

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
}

/// What the node knows when it opens its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The cluster, once the restored state knows it.
    pub cluster: Option<ClusterId>,
    /// The first entry that apply will deliver: the one after the restored snapshot.
    pub next: u64,
    /// The first log index that is not purged.
    pub log_first: u64,
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
#[derive(Debug)]
pub struct Store {
    archive: Archive,
    index: Index,
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
        let Opening { cluster, next, log_first } = *opening;
        let history_from = history_from(&archive, log_first);
        let expected = Expected { cluster, next, history_from };
        let (index, rebuild) = Index::open(&folder.join("index"), &expected)?;
        // What retention removed before a crash.
        index.forget(history_from);
        Ok((Self { archive, index }, rebuild))
    }

    /// Has the query index wait while its volume is full: sled is of no use any more after a write that
    /// found no room.
    pub fn watch(&self, space: Arc<Space>) {
        self.index.watch(space);
    }

    /// Hands over an applied entry's rows: every entry's, in order, also one without batches.
    /// Never blocks; entries that were committed before are passed over.
    pub fn commit(&self, index: u64, batches: Vec<AppliedBatch>) {
        self.index.commit(index, batches);
    }

    /// Feeds an entry of [`missing`](Self::missing), in rising order; entries without batches may
    /// be left out, but the last one is fed in any case.
    pub fn refeed(&self, index: u64, batches: Vec<AppliedBatch>) {
        self.index.refeed(index, batches);
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
        Sources { index, archive, log, devices, history_from: self.history_from(log) }
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
        self.archive.append(index, log)
    }

    /// The last log index that is archived.
    #[must_use]
    pub fn archived_through(&self) -> Option<u64> {
        self.archive.archived_through()
    }

    /// The first log index from which on every event is still here.
    #[must_use]
    pub fn history_from(&self, log: &dyn CommandLog) -> u64 {
        history_from(&self.archive, log.first())
    }

    /// Removes the oldest archive files past a retention, and their rows in the background.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn retain(&self, retention: &Retention) -> Result<Retired, StoreError> {
        let retired = self.archive.retain(retention)?;
        if retired.files > 0
            && let Some(below) = self.archive.history_from()
        {
            self.index.forget(below);
        }
        Ok(retired)
    }

    /// The archive: its files are what peers fetch and adopt.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
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
