//! The Raft log on disk: raft-log's chunk files in one folder, driven by openraft.
//!
//! Nothing is called durable before its fsync; when that fails the process ends, since what the disk
//! then holds is unknown. Entries are purged only when openraft is told to.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use parking_lot::{Mutex, RwLock};
use raft_log::RaftLog;
use raft_log::api::raft_log_writer::RaftLogWriter;
use wardmesh_common::fault::{Fault, planted};
use wardmesh_common::space::{Level, Space, is_full};

use super::types::{Entry, LogId, TypeConfig, Vote};
use super::{REPLACE, folder};

mod mark;
mod reader;
mod record;
mod tail;
#[cfg(test)]
mod tests;

pub use reader::{READ_BYTES_MAX, Stored};

use mark::Mark;
use record::{Ballot, Flushed, Id, Record, Types, Whom};

/// A chunk file's size, bytes: the open one stays in memory, and a purge frees whole chunks.
const CHUNK_SIZE_MAX: usize = 32 << 20;
/// Read-ahead while the log is replayed at open, bytes (raft-log's default is 64 MiB).
const READ_BUFFER_SIZE: usize = 1 << 20;
/// Payloads kept in memory for followers and for applying, bytes; the open chunk comes on top.
const CACHE_CAPACITY: usize = 32 << 20;
/// Payloads waiting for the disk, bytes: an append beyond that waits.
const FLUSH_QUEUE_MAX: usize = 32 << 20;
/// How long a flush waits for company. Not zero, for then raft-log syncs even what is queued already
/// one by one. Measured with entries of 64 KiB: one after the other 0.42 ms each (0.30 ms with zero,
/// 1.40 ms with the default of 1 ms), pipelined 0.05 ms each (0.21 ms with zero).
const FLUSH_BATCH_WAIT: Duration = Duration::from_micros(100);

/// What the process ends with when its disk fails: `EX_IOERR` of sysexits.h.
const EXIT_IO: i32 = 74;

/// Called when the disk fails, with the reason; in production it does not return.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Logs the reason and ends the process: after a failed fsync it is unknown what the disk holds, and
/// a second try may succeed without having written anything.
#[must_use]
pub fn end_process() -> Fatal {
    Arc::new(|reason| {
        let next = "the next start checks every record before it takes part, and waits for room \
                    where there is none";
        tracing::error!(reason, next, "the node cannot go on and ends");
        std::process::exit(EXIT_IO)
    })
}

/// What the log's writer has done since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushes {
    /// Syncs; one serves all appends that wait for it.
    pub syncs: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The time that 99 of 100 syncs stay below.
    pub sync_p99: Duration,
    /// The longest sync.
    pub sync_max: Duration,
}

/// The log; clones are the same log.
#[derive(Clone)]
pub struct LogStore {
    log: Arc<RwLock<RaftLog<Types>>>,
    mark: Arc<Mutex<Mark>>,
    fatal: Fatal,
    /// The room on its volume, where that is watched.
    space: Option<Arc<Space>>,
}

impl LogStore {
    /// Opens the log in a folder, which is made if it is missing. Blocking: it reads every retained
    /// byte, about a second a GiB.
    ///
    /// # Errors
    /// The disk's; `WouldBlock` if another process has it open; `InvalidData` with file and offset if
    /// it is damaged.
    pub fn open(folder: &Path, fatal: Fatal) -> io::Result<Self> {
        folder::make(folder)?;
        let config = settings(folder, CHUNK_SIZE_MAX)?;
        Self::open_with(config, fatal)
    }

    fn open_with(config: raft_log::Config, fatal: Fatal) -> io::Result<Self> {
        let (mark, marked) = Mark::open(Path::new(&config.wal.dir))
            .map_err(|error| io::Error::new(error.kind(), format!("{error}; {REPLACE}")))?;
        tail::mend(&config, marked)?;
        let config = Arc::new(config);
        let log = RaftLog::open(Arc::clone(&config)).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::Other => {
                tail::damaged_somewhere(&config, &error)
            }
            _ => error,
        })?;
        let (log, mark) = (Arc::new(RwLock::new(log)), Arc::new(Mutex::new(mark)));
        let store = Self { log, mark, fatal, space: None };
        store.sync()?;
        let Range { start, end } = store.kept();
        let bytes = store.size_on_disk();
        tracing::info!(
            from = start,
            to = end,
            bytes,
            "every record of the Raft log was read and is whole"
        );
        Ok(store)
    }

    /// Notes beside the log how much of it is on disk, if it has grown: what a start then finds less
    /// was lost and not merely never written. Blocking.
    ///
    /// # Errors
    /// The disk's, after `fatal` was called.
    pub fn mark(&self) -> io::Result<()> {
        let mut mark = self.mark.lock();
        let end = self.log.read().stat().open_chunk.global_end;
        if self.is_spent() || !mark.is_before(end) {
            return Ok(());
        }
        self.sync()?;
        mark.write(end).inspect_err(|error| {
            // A later note says the same.
            if !is_full(error) {
                let what = "how long the Raft log is cannot be written to disk";
                (self.fatal)(&format!("{what}: {error}"));
            }
        })
    }

    /// What reading an entry met: damage names its file and offset and ends the process, since this
    /// log must not be served from any more.
    fn misread(&self, index: u64, error: io::Error) -> io::Error {
        if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) {
            return error;
        }
        let located = tail::damaged_somewhere(self.log.read().config(), &error);
        (self.fatal)(&format!("entry {index} cannot be read: {located}"));
        located
    }

    /// The same log, which leaves out what can wait while its volume is full to the brim.
    #[must_use]
    pub fn on(self, space: Arc<Space>) -> Self {
        Self { space: Some(space), ..self }
    }

    fn is_spent(&self) -> bool {
        self.space.as_ref().is_some_and(|space| space.level() == Level::Spent)
    }

    /// Whether a folder holds a log that was opened once: its first file is made, and its folder
    /// synced, before anything is promised. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_in(folder: &Path) -> io::Result<bool> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.iter().any(|path| path.extension().is_some_and(|extension| extension == "wal")))
    }

    /// Whether anything was written: a vote or an entry.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        let log = self.log.read();
        log.log_state().vote().is_some() || log.log_state().last().is_some()
    }

    /// Bytes of the entries from `index` on, as their share of all that are kept.
    #[must_use]
    pub fn bytes_from(&self, index: u64) -> u64 {
        let Range { start, end } = self.kept();
        let (all, asked) = (end.saturating_sub(start), end.saturating_sub(index.max(start)));
        let bytes = u128::from(self.size_on_disk()) * u128::from(asked) / u128::from(all.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Indexes of the entries that are kept; empty if there are none.
    #[must_use]
    pub fn kept(&self) -> Range<u64> {
        let log = self.log.read();
        let state = log.log_state();
        let next = |id: Option<&Id>| id.map_or(0, |id| id.0.index + 1);
        next(state.purged())..next(state.last())
    }

    /// Bytes of the chunk files.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        self.log.read().on_disk_size()
    }

    /// How the disk has fared since the log was opened.
    #[must_use]
    pub fn flushes(&self) -> Flushes {
        let metrics = self.log.read().stat().flush_metrics;
        Flushes {
            syncs: metrics.sync_batch_count,
            bytes: metrics.write_bytes,
            sync_p99: Duration::from_micros(metrics.sync_percentiles.p99_us),
            sync_max: Duration::from_micros(metrics.sync_max_us),
        }
    }

    /// Waits until all that was written is on disk. Blocking.
    ///
    /// # Errors
    /// The disk's, after `fatal` was called.
    pub fn sync(&self) -> io::Result<()> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.flush(Whom::Thread(sender))?;
        receiver.recv().map_err(io::Error::other)?
    }

    /// Writes to the log; what it cannot do ends the process, for openraft could not go on either.
    fn write<T>(&self, write: impl FnOnce(&mut RaftLog<Types>) -> io::Result<T>) -> io::Result<T> {
        let result = write(&mut self.log.write());
        result.inspect_err(|error| {
            (self.fatal)(&format!("the Raft log cannot be written: {error}"));
        })
    }

    fn flush(&self, whom: Whom) -> io::Result<()> {
        let callback = Flushed { whom, fatal: Arc::clone(&self.fatal) };
        self.write(|log| log.flush(!planted(Fault::SyncSkipped), Some(callback)))
    }

    async fn durable(&self) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.flush(Whom::Task(sender))?;
        receiver.await.map_err(io::Error::other)?
    }
}

fn settings(folder: &Path, chunk_size: usize) -> io::Result<raft_log::Config> {
    let folder = folder.to_str().ok_or_else(|| {
        let message = format!("the folder {} is not UTF-8", folder.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    let mut config = raft_log::Config::new(folder);
    config.wal.chunk_max_size = Some(chunk_size);
    config.wal.read_buffer_size = Some(READ_BUFFER_SIZE);
    config.wal.truncate_incomplete_record = Some(false);
    config.wal.flush_batch_wait = Some(FLUSH_BATCH_WAIT);
    config.wal.flush_queue_max_bytes = Some(FLUSH_QUEUE_MAX);
    config.log_cache_capacity = Some(CACHE_CAPACITY);
    Ok(config)
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.log.read();
        let state = log.log_state();
        Ok(LogState {
            last_purged_log_id: state.purged().map(|id| id.0),
            last_log_id: state.last().map(|id| id.0),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        if planted(Fault::VoteNotSaved) {
            return Ok(());
        }
        self.write(|log| log.save_vote(Ballot(*vote)))?;
        self.durable().await
    }

    /// Written, not synced: the next append's sync carries it, and an older one only means that a
    /// start learns of the last commits from its peers.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(id) = committed.map(Id).filter(|_| !self.is_spent()) else { return Ok(()) };
        self.write(|log| {
            let state = log.log_state();
            // A snapshot may have brought what the log never had: then the snapshot says it.
            if Some(&id) <= state.committed() || Some(&id) > state.last() {
                return Ok(());
            }
            log.commit(id)?;
            log.flush(false, None)
        })
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.read().log_state().committed().map(|id| id.0))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let records = entries.into_iter().map(|e| Ok((Id(e.log_id), Record::of(&e.payload)?)));
        let records = records.collect::<io::Result<Vec<_>>>()?;
        self.write(|log| log.append(records))?;
        self.flush(Whom::Raft(callback))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let next = last.map_or(0, |id| id.index.saturating_add(1));
        if next >= self.kept().end {
            return Ok(());
        }
        self.write(|log| log.truncate(next))?;
        self.durable().await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.write(|log| log.purge(Id(upto)))?;
        self.durable().await
    }
}
