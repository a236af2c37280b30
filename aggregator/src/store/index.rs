//! The query index in sled: for each applied batch a row, found by sensor, site and device.
//!
//! Derived from the log, so it may lose anything: it knows which entries it lacks, is verified at
//! start, and never holds apply up. No transactions, no `flush_async`; all calls here may block
//! except [`Index::commit`].

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use sled::{Db, IVec};
use wardmesh_common::id::{ClusterId, TenantId};
use wardmesh_common::space::{Level, Space};
use wardmesh_common::time::Timestamp;

use self::meta::Meta;
use self::writer::{Message, Writer};
use super::key::{self, Place, Subject};
use super::{Rows, StoreError, row};
use crate::state::effects::AppliedBatch;

mod cover;
mod meta;
mod opening;
mod writer;

/// Entries that wait for the writer: at 5,000 entries a second it may stall for some 200 ms, which
/// a sled garbage collection takes. What finds no place is fed again later.
const QUEUE_ENTRIES_MAX: usize = 1_024;

/// What the node knows when it opens its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The cluster, once the state knows it: another's index is thrown away.
    pub cluster: Option<ClusterId>,
    /// The first entry that apply will deliver: the one after the restored snapshot.
    pub next: u64,
    /// The first entry that log or archive can still give.
    pub history_from: u64,
}

/// Entries whose rows the index lacks; both ends are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The first one.
    pub from: u64,
    /// The last one.
    pub through: u64,
}

impl Missing {
    /// What of it can still be had where history begins at `history_from`.
    #[must_use]
    pub fn since(self, history_from: u64) -> Option<Self> {
        let from = self.from.max(history_from);
        (from <= self.through).then_some(Self { from, ..self })
    }
}

/// What the caller has to feed again after opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// Nothing.
    None,
    /// The rows of these entries, in rising order, by [`Index::try_refeed`].
    From(Missing),
}

/// How far the index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first entry whose rows are not written yet.
    pub next: u64,
    /// Entries below it whose rows are missing: answers are incomplete there.
    pub missing: Option<Missing>,
    /// Rows of entries below it are not here and not waited for: history has begun there, or what
    /// was before is still being fetched from peers.
    pub from: u64,
    /// The most by which an event's time was ever ahead of the leader's when it was applied.
    pub ahead: Duration,
    /// Why nothing more is written, if so.
    pub failed: Option<String>,
}

impl Progress {
    fn follow(&mut self, meta: &Meta) {
        (self.next, self.missing, self.from) = (meta.next, meta.missing, meta.from);
        self.ahead = Duration::from_nanos(meta.ahead);
    }
}

/// What the writer and its readers share.
#[derive(Debug, Default)]
struct Shared {
    /// Where the index lies.
    folder: PathBuf,
    progress: Mutex<Progress>,
    changed: Condvar,
    /// The room on its volume, where that is watched.
    space: OnceLock<Arc<Space>>,
    /// Whoever waits for room gives up.
    ending: AtomicBool,
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
        self.changed.notify_all();
    }

    fn is_full(&self) -> bool {
        self.space.get().is_some_and(|space| space.level() < Level::Low)
    }

    /// A row cannot be read: where it lies.
    fn damaged(&self) -> StoreError {
        StoreError::Index(format!("a row in {} is damaged", self.folder.display()))
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

/// An open index.
#[derive(Debug)]
pub struct Index {
    db: Db,
    shared: Arc<Shared>,
    messages: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
    passed_over: AtomicU64,
}

impl Index {
    /// Opens the index of a folder; what cannot be trusted is thrown away.
    ///
    /// # Errors
    /// [`StoreError::Locked`]; [`StoreError::Io`] or [`StoreError::Index`] where not even a new one
    /// can be made.
    pub fn open(folder: &Path, expected: &Expected) -> Result<(Self, Rebuild), StoreError> {
        let (opened, rebuild) = opening::open(folder, expected)?;
        let shared = Arc::new(Shared { folder: folder.to_owned(), ..Shared::default() });
        shared.update(|progress| progress.follow(&opened.meta));
        let writer = Writer::new((*opened.db).clone(), opened.meta, Arc::clone(&shared));
        let (messages, queue) = sync_channel(QUEUE_ENTRIES_MAX);
        let writer = std::thread::Builder::new()
            .name("index-writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(StoreError::io("start the writer of", folder))?;
        let index = Self {
            db: opened.db,
            shared,
            messages: Some(messages),
            writer: Some(writer),
            passed_over: AtomicU64::new(0),
        };
        Ok((index, rebuild))
    }

    /// From now on waits while the volume's reserve is used.
    pub fn watch(&self, space: Arc<Space>) {
        // Only the first counts: an index stays on its volume.
        let _ = self.shared.space.set(space);
    }

    /// Hands over the rows of an applied entry; every entry's, in order, also where it has none.
    /// Never blocks: where the writer is too far behind, the entry becomes [`Progress::missing`].
    pub fn commit(&self, index: u64, batches: impl Into<Rows>) {
        let batches = batches.into();
        let sent = self
            .messages
            .as_ref()
            .map(|messages| messages.try_send(Message::Commit { index, batches }));
        if let Some(Err(TrySendError::Full(_))) = sent {
            self.passed_over.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Feeds an entry that is missing, in rising order; those passed over are taken to have no
    /// batches. `false` where the writer is behind: to be repeated.
    pub fn try_refeed(&self, index: u64, rows: &Rows) -> bool {
        let message = Message::Refeed { index, batches: Rows::clone(rows) };
        let sent = self.messages.as_ref().map(|messages| messages.try_send(message));
        !matches!(sent, Some(Err(TrySendError::Full(_))))
    }

    /// Entries below `from` came with a snapshot: their rows are neither here nor missing.
    pub fn begin_at(&self, from: u64) {
        self.send(Message::Begin { from });
    }

    /// Feeds an entry below [`Progress::from`], in any order; it is seen only once
    /// [`extend_to`](Self::extend_to) has come as far. Waits for room.
    pub fn feed_below(&self, index: u64, batches: impl Into<Rows>) {
        self.send(Message::Below { index, batches: batches.into() });
    }

    /// All entries from `from` on have been fed.
    pub fn extend_to(&self, from: u64) {
        self.send(Message::Extend { from });
    }

    /// Removes rows of entries below `below`, in the background.
    pub fn forget(&self, below: u64) {
        self.send(Message::Forget { below });
    }

    /// The same where it need not be waited for; whether it will be done.
    pub fn try_forget(&self, below: u64) -> bool {
        self.messages.as_ref().is_some_and(|m| m.try_send(Message::Forget { below }).is_ok())
    }

    /// The node stops: what finds no room is given up instead of waited for, and fed again after the
    /// next start.
    pub fn stopping(&self) {
        self.shared.ending.store(true, Ordering::Release);
    }

    /// Waits until everything that was handed over is written. Not synced: it need not last.
    pub fn flush(&self) {
        let (answer, answered) = sync_channel(1);
        self.send(Message::Flush(answer));
        // A writer that has gone answers by going.
        answered.recv().unwrap_or_default();
    }

    /// A writer that has gone is in `Progress::failed` already.
    fn send(&self, message: Message) {
        drop(self.messages.as_ref().map(|messages| messages.send(message)));
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.progress.lock().clone()
    }

    /// Entries that found no place in the queue since the start.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Waits until the rows of entry `index` are written.
    ///
    /// # Errors
    /// [`StoreError::Behind`] where that takes longer than `within`, [`StoreError::Index`].
    pub fn wait_for(&self, index: u64, within: Duration) -> Result<(), StoreError> {
        let until = Instant::now() + within;
        let mut hurried = false;
        let mut progress = self.shared.progress.lock();
        loop {
            if progress.next > index {
                return Ok(());
            }
            if let Some(cause) = &progress.failed {
                return Err(StoreError::Index(cause.clone()));
            }
            if !hurried {
                drop(progress);
                let (answer, _) = sync_channel(1);
                // Where the queue is full, the writer is not lingering.
                drop(self.messages.as_ref().map(|m| m.try_send(Message::Flush(answer))));
                hurried = true;
                progress = self.shared.progress.lock();
                continue;
            }
            if self.shared.changed.wait_until(&mut progress, until).timed_out()
                && progress.next <= index
            {
                return Err(StoreError::Behind { wanted: index, next: progress.next });
            }
        }
    }

    /// Bytes that sled holds on disk.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(StoreError::index)
    }

    /// The first log index from which on all of a tenant's batches were applied at `at` or later:
    /// commands' times never go back, so that it is found by halving.
    pub(super) fn applied_from(&self, tenant: &TenantId, at: Timestamp) -> Result<u64, StoreError> {
        let end = key::batch(tenant, Place { index: u64::MAX, ordinal: u32::MAX });
        let (mut low, mut high) = (0, self.progress().next);
        while low < high {
            let middle = low + (high - low) / 2;
            let begin = key::batch(tenant, Place { index: middle, ordinal: 0 });
            let entry = self.db.range(begin..=end.clone()).next();
            match entry.transpose().map_err(StoreError::index)? {
                None => high = middle,
                // All batches of an entry were applied at the same time.
                Some((key, value)) => match self.read(&key, &value)? {
                    (_, row) if row.iter().all(|batch| batch.received_at >= at) => high = middle,
                    (index, _) => low = index.saturating_add(1),
                },
            }
        }
        Ok(low)
    }

    /// Shows a tenant's batches from a place on, in log order; with a subject only blocks in which
    /// it occurs, of which the visitor still sees every batch.
    pub(super) fn visit(
        &self,
        tenant: &TenantId,
        subject: Option<&Subject>,
        from: Place,
        mut visitor: impl FnMut(u64, AppliedBatch) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let end = Place { index: u64::MAX, ordinal: u32::MAX };
        let Some(subject) = subject else {
            return self.visit_range(tenant, from, end, &mut visitor).map(drop);
        };
        let first = key::subject(tenant, subject, key::group(key::block(from.index)));
        let last = key::subject(tenant, subject, u64::MAX);
        let mut next = from;
        for entry in self.db.range(first..=last) {
            let (key, value) = entry.map_err(StoreError::index)?;
            let blocks = cover::blocks(&key, &value).ok_or_else(|| self.shared.damaged())?;
            let place =
                |block: u64| Place { index: block.saturating_mul(key::BLOCK_ENTRIES), ordinal: 0 };
            // Rows may overlap, and the first may end before the place that is asked for.
            let (begin, end) = (place(blocks.start).max(next), place(blocks.end));
            if begin < end && self.visit_range(tenant, begin, end, &mut visitor)?.is_break() {
                break;
            }
            next = next.max(end);
        }
        Ok(())
    }

    /// A row: the entry that it is of, and its batches.
    fn read(&self, key: &IVec, value: &IVec) -> Result<(u64, Vec<AppliedBatch>), StoreError> {
        let read = key::read_batch(key)
            .and_then(|(_, place)| row::read(value).map(|batches| (place.index, batches)));
        read.ok_or_else(|| self.shared.damaged())
    }

    fn visit_range(
        &self,
        tenant: &TenantId,
        from: Place,
        until: Place,
        visitor: &mut impl FnMut(u64, AppliedBatch) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let begin = key::batch(tenant, Place { ordinal: 0, ..from });
        for entry in self.db.range(begin..key::batch(tenant, until)) {
            let (key, value) = entry.map_err(StoreError::index)?;
            let (index, batches) = self.read(&key, &value)?;
            let asked = |batch: &AppliedBatch| Place { index, ordinal: batch.ordinal } >= from;
            for batch in batches.into_iter().filter(asked) {
                if visitor(index, batch)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stopping();
        drop(self.messages.take());
        drop(self.writer.take().map(JoinHandle::join));
    }
}

#[cfg(test)]
mod tests;
