//! A node's Raft log on a simulated disk: syncs take their time and serve whoever waits.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use wardmesh_aggregator::raft::types::{Entry, LogId, TypeConfig, Vote};

use crate::dice::Dice;
use crate::disk::{Platter, Step};
use crate::judge::Judge;
use crate::plant::Plant;

/// What a log holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    pub(crate) entries: BTreeMap<u64, Entry>,
}

/// What is written to it.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Vote(Vote),
    Committed(Option<LogId>),
    Append(Vec<Entry>),
    Truncate(u64),
    Purge(LogId),
}

impl Step<Held> for Write {
    fn take(&self, held: &mut Held) {
        match self {
            Self::Vote(vote) => held.vote = Some(*vote),
            Self::Committed(committed) => held.committed = *committed,
            Self::Append(entries) => {
                held.entries.extend(entries.iter().map(|e| (e.log_id.index, e.clone())));
            }
            Self::Truncate(next) => drop(held.entries.split_off(next)),
            Self::Purge(upto) => {
                held.entries = held.entries.split_off(&(upto.index + 1));
                held.purged = held.purged.max(Some(*upto));
            }
        }
    }
}

/// A node's disk, which outlives its runs.
pub(crate) type LogDisk = Arc<Mutex<Platter<Held, Write>>>;

/// Who waits for a sync.
enum Waiting {
    Raft(IOFlushed<TypeConfig>),
    Task(oneshot::Sender<()>),
}

/// The log of one run of a node; clones are the same.
#[derive(Clone)]
pub(crate) struct SimLog {
    node: u64,
    disk: LogDisk,
    syncs: mpsc::UnboundedSender<Waiting>,
    judge: Arc<Mutex<Judge>>,
    plant: Option<Plant>,
}

impl SimLog {
    /// Opens the log on a disk; to be called within the node's runtime.
    pub(crate) fn open(
        node: u64,
        disk: LogDisk,
        dice: Dice,
        judge: Arc<Mutex<Judge>>,
        plant: Option<Plant>,
    ) -> Self {
        let (syncs, waiting) = mpsc::unbounded_channel();
        tokio::spawn(sync(Arc::clone(&disk), waiting, dice));
        Self { node, disk, syncs, judge, plant }
    }

    async fn durable(&self, write: Write) -> io::Result<()> {
        self.disk.lock().write(write);
        let (done, synced) = oneshot::channel();
        let _ = self.syncs.send(Waiting::Task(done));
        synced.await.map_err(io::Error::other)
    }
}

/// One sync after the other, each for all who wait when it begins.
async fn sync(disk: LogDisk, mut waiting: mpsc::UnboundedReceiver<Waiting>, mut dice: Dice) {
    while let Some(first) = waiting.recv().await {
        let upto = disk.lock().written();
        let more = std::iter::from_fn(|| waiting.try_recv().ok());
        let served: Vec<_> = std::iter::once(first).chain(more).collect();
        let slow = if dice.chance(5) { 300 } else { 10 };
        tokio::time::sleep(dice.millis(0..slow)).await;
        disk.lock().sync(upto);
        for waiting in served {
            match waiting {
                Waiting::Raft(callback) => callback.io_completed(Ok(())),
                Waiting::Task(done) => drop(done.send(())),
            }
        }
    }
}

impl RaftLogReader<TypeConfig> for SimLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        Ok(self.disk.lock().current.entries.range(range).map(|(_, e)| e.clone()).collect())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let entries: Vec<_> =
            self.disk.lock().current.entries.range(start..end).map(|(_, e)| e.clone()).collect();
        let purged = entries.first().is_some_and(|first| first.log_id.index != start);
        Ok(if purged { Vec::new() } else { entries })
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.disk.lock().current.vote)
    }
}

impl RaftLogStorage<TypeConfig> for SimLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let disk = self.disk.lock();
        let held = &disk.current;
        let last = held.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: held.purged, last_log_id: last.or(held.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        if self.plant == Some(Plant::VoteNotSaved) {
            self.disk.lock().current.vote = Some(*vote);
            return Ok(());
        }
        self.durable(Write::Vote(*vote)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.disk.lock().write(Write::Committed(committed));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let disk = self.disk.lock();
        let last = disk.current.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(disk.current.committed.min(last.or(disk.current.purged)))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        {
            let mut disk = self.disk.lock();
            let before = entries.first().and_then(|first| first.log_id.index.checked_sub(1));
            let before = before.and_then(|index| disk.current.entries.get(&index));
            let before = before.map(|entry| entry.log_id);
            self.judge.lock().appended(self.node, before, &entries);
            disk.write(Write::Append(entries));
        }
        if self.plant == Some(Plant::AckBeforeSync) {
            callback.io_completed(Ok(()));
            return Ok(());
        }
        let _ = self.syncs.send(Waiting::Raft(callback));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let next = last.map_or(0, |id| id.index + 1);
        let end = self.disk.lock().current.entries.last_key_value().map_or(0, |(at, _)| at + 1);
        if next >= end {
            return Ok(());
        }
        self.durable(Write::Truncate(next)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.durable(Write::Purge(upto)).await
    }
}
