//! Reading the log: for openraft's followers and apply loop, and for whoever looks for events.
//!
//! The lock is held for one entry at a time, so that a reader of old entries does not hold up
//! appends for longer than one read from disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};

use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, StreamExt};
use openraft::storage::RaftLogReader;

use super::LogStore;
use super::record::{Id, Record};
use crate::raft::codec;
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};
use crate::state::command::Command;

/// Bytes of payloads that one read returns at most, one entry always: what a follower gets at once
/// and what the apply loop holds.
pub const READ_BYTES_MAX: usize = 1 << 20;
/// Entries behind the end from where a read is taken to go to the disk and moves to a blocking
/// thread; the newest are in memory.
const RECENT_ENTRIES: u64 = 256;

/// One entry as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub log_id: LogId,
    record: Record,
}

impl Stored {
    /// The entry's payload bytes as `codec` has them, a command's without any envelope.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.record.bytes
    }

    /// Whether it is a command, and neither blank nor a membership.
    #[must_use]
    pub fn is_command(&self) -> bool {
        self.record.kind == codec::COMMAND
    }

    /// Decodes it.
    ///
    /// # Errors
    /// `InvalidData`, naming its index, if this build cannot.
    pub fn into_entry(self) -> io::Result<Entry> {
        self.record.into_entry(Id(self.log_id))
    }
}

impl LogStore {
    /// One entry, if it is kept. Blocking when it is not in memory.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` if it is damaged.
    pub fn read(&self, index: u64) -> io::Result<Option<Stored>> {
        self.read_first(index..index.saturating_add(1))
    }

    /// The first entry of a range that is kept.
    fn read_first(&self, range: Range<u64>) -> io::Result<Option<Stored>> {
        if range.is_empty() {
            return Ok(None);
        }
        let read = self.log.read().read(range.start, range.end).next().transpose();
        let read = read.map_err(|error| self.misread(range.start, error))?;
        Ok(read.map(|(id, record)| Stored { log_id: id.0, record }))
    }

    /// The entries of a range from the first that is kept on, until its end or `bytes` of payload,
    /// but one at least. Blocking.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` if one is damaged.
    pub fn read_range(&self, range: Range<u64>, bytes: usize) -> io::Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut total = 0_usize;
        let mut next = range.start;
        while let Some(stored) = self.read_first(next..range.end)? {
            total = total.saturating_add(stored.record.bytes.len());
            if total > bytes && !found.is_empty() {
                break;
            }
            next = stored.log_id.index.saturating_add(1);
            found.push(stored);
        }
        Ok(found)
    }

    /// The command at an index: `None` if the entry is not kept or holds no command. Blocking.
    ///
    /// # Errors
    /// As [`LogStore::read`].
    pub fn read_command(&self, index: u64) -> io::Result<Option<(LogId, Command)>> {
        let Some(stored) = self.read(index)? else { return Ok(None) };
        let entry = stored.into_entry()?;
        Ok(match entry.payload {
            openraft::EntryPayload::Normal(command) => Some((entry.log_id, command)),
            _ => None,
        })
    }

    async fn entries(&self, range: Range<u64>, bytes: usize) -> io::Result<Vec<Entry>> {
        let end = self.kept().end;
        let store = self.clone();
        let old = range.start.saturating_add(RECENT_ENTRIES) < end;
        let read = move || -> io::Result<Vec<Entry>> {
            store.read_range(range, bytes)?.into_iter().map(Stored::into_entry).collect()
        };
        if old {
            tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
        } else {
            read()
        }
    }
}

/// The half-open form of a range of indexes.
fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.entries(half_open(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let entries = self.entries(start..end, READ_BYTES_MAX).await?;
        // A follower that needs a purged entry must get a snapshot, not what comes after it.
        let purged = entries.first().is_some_and(|first| first.log_id.index != start);
        Ok(if purged { Vec::new() } else { entries })
    }

    /// Reads on as the apply loop gets there, so that a long catch-up does not sit in memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let store = self.clone();
        let pieces = stream::unfold(half_open(&range), move |rest| {
            let store = store.clone();
            async move { next_piece(&store, rest).await }
        });
        pieces.flat_map(stream::iter).boxed()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.log.read().log_state().vote().map(|ballot| ballot.0))
    }
}

/// The next entries of a stream and the range after them; an error ends it.
async fn next_piece(
    store: &LogStore,
    rest: Range<u64>,
) -> Option<(Vec<io::Result<Entry>>, Range<u64>)> {
    if rest.is_empty() {
        return None;
    }
    match store.entries(rest.clone(), READ_BYTES_MAX).await {
        Ok(entries) => {
            let next = entries.last()?.log_id.index + 1;
            Some((entries.into_iter().map(Ok).collect(), next..rest.end))
        }
        Err(error) => Some((vec![Err(error)], rest.end..rest.end)),
    }
}
