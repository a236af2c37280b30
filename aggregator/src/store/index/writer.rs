//! The one thread that writes the index: takes what apply hands over, and writes it in groups.
//!
//! Every group renews the marker in the same sled batch, so that rows and marker never part.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use sled::{Batch, IVec, Tree};

use super::cover::{self, Covers};
use super::meta::Meta;
use super::{Missing, Shared};
use crate::state::effects::AppliedBatch;
use crate::store::key::{self, BLOCK_ENTRIES, BLOCKS_PER_GROUP, Place};
use crate::store::{Rows, StoreError, row};

/// Messages that are written together: spreads the marker's write and sled's lock over many rows.
const GROUP_MESSAGES_MAX: usize = 64;

/// How long a group waits for more; a reader that waits cuts it short.
const LINGER: Duration = Duration::from_millis(50);

/// How often a full volume is looked at.
const FULL_POLL: Duration = Duration::from_millis(50);

/// Rows removed between two groups: some 20 ms.
const FORGOTTEN_ROWS_MAX: usize = 128;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Message {
    /// An entry was applied.
    Commit { index: u64, batches: Rows },
    /// An entry that was missing; all before it are fed as well.
    Refeed { index: u64, batches: Rows },
    /// What was before came with a snapshot.
    Begin { from: u64 },
    /// An entry before where the index begins.
    Below { index: u64, batches: Rows },
    /// The index begins earlier.
    Extend { from: u64 },
    /// History now begins here.
    Forget { below: u64 },
    /// Write what there is, then answer.
    Flush(SyncSender<()>),
}

/// The writer's side of the index.
pub(super) struct Writer {
    tree: Tree,
    meta: Meta,
    shared: Arc<Shared>,
    covers: Covers,
    /// Rows of entries below it are to be removed.
    forgetting: Option<u64>,
    /// The node stopped while there was no room: nothing more is written.
    given_up: bool,
}

/// What is to be written at once.
struct Group {
    batch: Batch,
    meta: Meta,
    /// What it writes that may be asked for again before it is written; `None` where nothing is.
    written: Option<HashMap<Vec<u8>, IVec>>,
}

impl Group {
    fn new(meta: Meta) -> Self {
        Self { batch: Batch::default(), meta, written: None }
    }

    /// One that is to take these messages. What is new is met in order and never asked for: most groups
    /// are of nothing else.
    fn of(messages: &[Message], meta: Meta) -> Self {
        let again = |one: &Message| matches!(one, Message::Refeed { .. } | Message::Below { .. });
        let written = messages.iter().any(again).then(HashMap::new);
        Self { written, ..Self::new(meta) }
    }

    /// What will stand under a key once this is written.
    fn held(&self, tree: &Tree, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.written.as_ref().and_then(|written| written.get(key)) {
            Some(value) => Ok(Some(value.clone())),
            None => tree.get(key).map_err(StoreError::index),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: IVec) {
        self.meta.added(&key, &value);
        self.batch.insert(key, value);
    }

    /// Puts a value in place of what was held.
    fn replace(&mut self, key: Vec<u8>, held: Option<&IVec>, value: IVec) {
        if let Some(held) = held {
            self.meta.removed(&key, held);
        }
        if let Some(written) = &mut self.written {
            written.insert(key.clone(), value.clone());
        }
        self.put(key, value);
    }
}

impl Writer {
    pub(super) fn new(tree: Tree, meta: Meta, shared: Arc<Shared>) -> Self {
        let covers = Covers::after(key::block(meta.next));
        Self { tree, meta, shared, covers, forgetting: None, given_up: false }
    }

    /// Runs until the other side has gone and everything that it sent is written.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let _end = End(Arc::clone(&self.shared));
        while let Some(first) = self.next(messages) {
            let (group, waiting) = match first {
                Some(first) => collect(first, messages, self.forgetting.is_some()),
                None => (Vec::new(), Vec::new()),
            };
            if let Err(cause) = self.write(group).and_then(|()| self.forget()) {
                self.covers.clear();
                self.forgetting = None;
                self.shared.update(|progress| progress.failed = Some(cause.to_string()));
            }
            waiting.into_iter().for_each(|answer| answer.send(()).unwrap_or_default());
        }
    }

    /// Waits for a message, unless there is something to forget meanwhile; `None` at the end.
    fn next(&self, messages: &Receiver<Message>) -> Option<Option<Message>> {
        if self.forgetting.is_none() {
            return messages.recv().ok().map(Some);
        }
        match messages.try_recv() {
            Ok(message) => Some(Some(message)),
            Err(TryRecvError::Empty) => Some(None),
            Err(TryRecvError::Disconnected) => None,
        }
    }

    fn write(&mut self, messages: Vec<Message>) -> Result<(), StoreError> {
        while !self.given_up && self.shared.is_full() {
            if self.shared.is_ending() {
                // Nothing after it either, or the marker would claim what was left out.
                self.given_up = true;
                let why = "the node stopped while its volume was full";
                return Err(StoreError::Index(why.to_owned()));
            }
            std::thread::sleep(FULL_POLL);
        }
        if self.given_up {
            return Ok(());
        }
        let mut group = Group::of(&messages, self.meta);
        for message in messages {
            match message {
                Message::Commit { index, batches } => self.commit(&mut group, index, &batches)?,
                Message::Refeed { index, batches } => self.refeed(&mut group, index, &batches)?,
                Message::Begin { from } => group.meta.begin_at(from),
                Message::Below { index, batches } => self.add(&mut group, index, &batches, true)?,
                Message::Extend { from } => group.meta.from = group.meta.from.min(from),
                Message::Forget { below } => {
                    group.meta.from = group.meta.from.max(below);
                    group.meta.lacks_none_below(below);
                    self.forgetting = self.forgetting.max(Some(below));
                }
                Message::Flush(_) => {}
            }
        }
        self.apply(group)
    }

    fn apply(&mut self, mut group: Group) -> Result<(), StoreError> {
        if group.meta != self.meta {
            group.batch.insert(&key::META, group.meta.to_bytes());
            self.tree.apply_batch(group.batch).map_err(StoreError::index)?;
            self.meta = group.meta;
        }
        self.covers.trim();
        self.shared.update(|progress| progress.follow(&self.meta));
        Ok(())
    }

    /// What is below the marker was written before: a replay after a restart.
    fn commit(
        &mut self,
        group: &mut Group,
        index: u64,
        batches: &[AppliedBatch],
    ) -> Result<(), StoreError> {
        if index < group.meta.next {
            return Ok(());
        }
        group.meta.lacks(group.meta.next, index);
        group.meta.next = index.saturating_add(1);
        self.add(group, index, batches, false)
    }

    fn refeed(
        &mut self,
        group: &mut Group,
        index: u64,
        batches: &[AppliedBatch],
    ) -> Result<(), StoreError> {
        let wanted = |missing: Missing| (missing.from..=missing.through).contains(&index);
        if !group.meta.missing.is_some_and(wanted) {
            return Ok(());
        }
        self.add(group, index, batches, true)?;
        group.meta.lacks_none_below(index.saturating_add(1));
        Ok(())
    }

    fn add(
        &mut self,
        group: &mut Group,
        index: u64,
        batches: &[AppliedBatch],
        again: bool,
    ) -> Result<(), StoreError> {
        for (first, row) in row::rows(batches) {
            let key = key::batch(&first.tenant, Place { index, ordinal: first.ordinal });
            if !again {
                group.put(key, row.into());
            } else if group.held(&self.tree, &key)?.is_none() {
                group.replace(key, None, row.into());
            }
        }
        if again {
            self.covers.go_back();
        }
        batches.iter().try_for_each(|batch| {
            let ahead = batch.observed_max.since(batch.received_at).as_nanos();
            group.meta.ahead = group.meta.ahead.max(u64::try_from(ahead).unwrap_or(u64::MAX));
            self.find_by(group, key::block(index), batch)
        })
    }

    /// Has a batch of a block found by what it is about.
    fn find_by(
        &mut self,
        group: &mut Group,
        block: u64,
        batch: &AppliedBatch,
    ) -> Result<(), StoreError> {
        for subject in row::subjects(batch) {
            let Some(blocks) = self.covers.meet(&batch.tenant, &subject, block) else { continue };
            let key = key::subject(&batch.tenant, &subject, block);
            // One that was written where less was known of the subject may stand for fewer.
            let sure = self.covers.is_sure_of(block);
            let held = if sure { None } else { group.held(&self.tree, &key)? };
            if held.as_ref().and_then(|held| cover::count(held)) < Some(blocks) {
                group.replace(key, held.as_ref(), (&cover::value(blocks)).into());
            }
        }
        Ok(())
    }

    /// Removes some of what no reader can follow any more, whole groups of blocks only; between two
    /// writes, so that apply's queue does not fill meanwhile.
    fn forget(&mut self) -> Result<(), StoreError> {
        let Some(below) = self.forgetting else { return Ok(()) };
        let horizon = key::group(key::block(below)) * BLOCK_ENTRIES;
        let mut from = vec![key::BATCHES];
        while let Some((first, _)) = self.tree.get_gt(&from).map_err(StoreError::index)? {
            let Some((tenant, place)) = key::read_batch(&first) else { break };
            if place.index < horizon {
                let end = (key::group(key::block(place.index)) + BLOCKS_PER_GROUP) * BLOCK_ENTRIES;
                let until = key::batch(&tenant, Place { index: end, ordinal: 0 });
                return self.forget_rows(&first, &until);
            }
            // The tenant's other rows are younger still: on to the next tenant.
            from = key::batch(&tenant, Place { index: u64::MAX, ordinal: u32::MAX });
        }
        self.forgetting = None;
        Ok(())
    }

    fn forget_rows(&mut self, from: &[u8], until: &[u8]) -> Result<(), StoreError> {
        let mut group = Group::new(self.meta);
        let mut secondary = HashSet::new();
        for entry in self.tree.range(from..until).take(FORGOTTEN_ROWS_MAX) {
            let (key, value) = entry.map_err(StoreError::index)?;
            group.meta.removed(&key, &value);
            let read = key::read_batch(&key);
            group.batch.remove(key);
            let read = read.and_then(|(tenant, place)| Some((tenant, place, row::read(&value)?)));
            let (tenant, place, batches) = read.ok_or_else(|| self.shared.damaged())?;
            let subjects = batches.iter().flat_map(row::subjects);
            secondary.extend(
                subjects.map(|subject| key::subject(&tenant, &subject, key::block(place.index))),
            );
        }
        for key in secondary {
            if let Some(value) = self.tree.get(&key).map_err(StoreError::index)? {
                group.meta.removed(&key, &value);
                group.batch.remove(key);
            }
        }
        self.apply(group)
    }
}

/// Waits for what else is to be written with a message, and who waits for it; `busy` does not wait.
fn collect(
    first: Message,
    messages: &Receiver<Message>,
    busy: bool,
) -> (Vec<Message>, Vec<SyncSender<()>>) {
    let until = Instant::now() + LINGER;
    let (mut group, mut waiting) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Flush(answer) => waiting.push(answer),
            message => group.push(message),
        }
        if group.len() >= GROUP_MESSAGES_MAX {
            break;
        }
        let left = until.saturating_duration_since(Instant::now());
        // Whoever waits gets what is queued already, and no lingering.
        let left = if waiting.is_empty() && !busy { left } else { Duration::ZERO };
        next = messages.recv_timeout(left).ok();
    }
    (group, waiting)
}

/// Tells those who wait that nothing more will come, also after a panic in sled.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.update(|progress| {
            progress.failed.get_or_insert_with(|| "its writer has stopped".to_owned());
        });
    }
}
