//! The one thread that writes the spool: numbers, seals, stores, syncs, and writes the ledger.
//!
//! Whatever waits when it comes round shares one sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use wardmesh_common::clock;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{self, Frame, Schema, Seal};

use super::store::{self, Store, key};
use super::{Durable, Kept, Position, SpoolCounts, SpoolError, Volume, fits, held_bytes};
use crate::batch::Archive;
use crate::ledger::{Entry, Ledger, Standing};

mod full;
mod readopt;
mod told;

/// What the writer is asked to do.
pub(super) enum Order {
    Hold { archive: Archive, done: oneshot::Sender<Result<Kept, SpoolError>> },
    Acked { lane: Lane, epoch: u64, seq: u64 },
    Dead { lane: Lane, position: Position, reason: &'static str },
    Readopt { lane: Lane, epoch: u64, renewed: u64, undecided: u64 },
    Settle { done: oneshot::Sender<()> },
}

/// Orders that share one sync at most: 64 batches are at most 7 MiB.
const ORDERS_PER_SYNC: usize = 64;

/// Where a lane of the current epoch stands.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    seq: u64,
    chain: u64,
}

pub(super) struct Writer {
    store: Store,
    budget: u64,
    start: u64,
    epoch: u64,
    tails: [Tail; 2],
    ledger: Option<Ledger>,
    counts: Arc<SpoolCounts>,
    durable: watch::Sender<Durable>,
    pub(super) space: Volume,
}

/// A held archive whose sync is still to come.
struct Pending {
    done: oneshot::Sender<Result<Kept, SpoolError>>,
    entry: Entry,
}

/// How far an epoch was acknowledged in a lane.
struct Acked {
    lane: Lane,
    epoch: u64,
    seq: u64,
}

/// An acknowledged batch that is still in the spool.
struct Forgettable {
    position: Position,
    length: usize,
    entry: Entry,
}

/// Orders that share one sync of the spool and one of the ledger.
#[derive(Default)]
struct Round {
    held: Vec<Pending>,
    acked: Vec<Acked>,
}

impl Round {
    /// Notes an acknowledgement; a later one of the same epoch and lane includes it.
    fn acked(&mut self, lane: Lane, epoch: u64, seq: u64) {
        match self.acked.iter_mut().find(|acked| (acked.lane, acked.epoch) == (lane, epoch)) {
            Some(acked) => acked.seq = acked.seq.max(seq),
            None => self.acked.push(Acked { lane, epoch, seq }),
        }
    }
}

impl Writer {
    /// Begins a new start in `store`.
    pub(super) fn begin(
        store: Store,
        budget: u64,
        epoch: u64,
        ledger: Option<Ledger>,
        counts: Arc<SpoolCounts>,
        durable: watch::Sender<Durable>,
    ) -> Result<Self, SpoolError> {
        let held: u64 = store.batches.iter().flatten().map(|(_, frame)| frame.len() as u64).sum();
        counts.bytes.store(held, Ordering::Release);
        let start = store.starts().last().map_or(1, |(start, _)| start + 1);
        let (tails, space) = Default::default();
        let mut writer =
            Self { store, budget, start, epoch, tails, ledger, counts, durable, space };
        writer.renew(start, epoch)?;
        writer.store.sync_folder()?;
        Ok(writer)
    }

    /// Brings the ledger up to the spool after a kill, and only then lets what is held be sent.
    pub(super) fn catch_up(&mut self) -> Result<(), SpoolError> {
        self.catch_up_ledger()?;
        // Not before this one is on record, or the next one would take its number again; nor before the
        // ledger has what became of their batches.
        self.store.forget_empty_starts(self.start);
        let last = Lane::ALL.map(|lane| self.store.last(lane));
        self.durable.send_replace(last);
        Ok(())
    }

    fn renew(&mut self, start: u64, epoch: u64) -> Result<(), SpoolError> {
        (self.start, self.epoch, self.tails) = (start, epoch, Default::default());
        self.counts.tails.iter().for_each(|tail| tail.store(0, Ordering::Release));
        self.store.record_start(start, epoch)?;
        self.store.sync()
    }

    /// Tells whoever sends how far the spool is durable.
    fn publish(&self) {
        let now = |lane: Lane| {
            let tail = self.tails[usize::from(lane.number())];
            Position { start: self.start, seq: tail.seq }
        };
        self.durable.send_modify(|durable| {
            for (at, lane) in durable.iter_mut().zip(Lane::ALL) {
                *at = now(lane).max(*at);
            }
        });
    }

    /// Works until every handle is gone or the disk fails.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut waiting = Vec::new();
        while self.next(orders, &mut waiting) {
            if self.is_spent() {
                self.put_off(&mut waiting);
            } else if let Err(cause) = self.carry_out(std::mem::take(&mut waiting)) {
                tracing::error!(%cause, "the spool has failed: nothing more is emitted");
                return;
            }
        }
    }

    /// Carries out what waits now.
    pub(super) fn turn(&mut self, orders: &Receiver<Order>) -> Result<(), SpoolError> {
        let waiting = std::iter::from_fn(|| orders.try_recv().ok());
        self.carry_out(waiting.take(ORDERS_PER_SYNC).collect())
    }

    fn carry_out(&mut self, orders: Vec<Order>) -> Result<(), SpoolError> {
        let mut round = Round::default();
        for order in orders {
            match order {
                Order::Hold { archive, done } => round.held.extend(self.hold(&archive, done)?),
                Order::Acked { lane, epoch, seq } => round.acked(lane, epoch, seq),
                Order::Dead { lane, position, reason } => {
                    self.settle(std::mem::take(&mut round))?;
                    self.bury(lane, position, reason)?;
                }
                Order::Readopt { lane, epoch, renewed, undecided } => {
                    self.settle(std::mem::take(&mut round))?;
                    self.bury_before(lane, epoch, undecided)?;
                    self.readopt(lane, epoch, renewed)?;
                }
                Order::Settle { done } => {
                    self.settle(std::mem::take(&mut round))?;
                    // Whoever asked may have given up waiting.
                    let _ = done.send(());
                }
            }
        }
        self.settle(round)
    }

    /// Syncs what was held, writes the ledger, and only then answers and forgets.
    fn settle(&mut self, Round { held, acked }: Round) -> Result<(), SpoolError> {
        if !held.is_empty() {
            self.store.sync()?;
        }
        let mut forgettable = Vec::new();
        for acked in &acked {
            forgettable.extend(self.forgettable(acked)?);
        }
        let entries = held.iter().map(|pending| pending.entry);
        let entries: Vec<_> = entries.chain(forgettable.iter().map(|f| f.entry)).collect();
        // What the ledger calls acked is never sent again.
        self.record(&entries)?;
        if !held.is_empty() {
            self.publish();
        }
        for Pending { done, entry } in held {
            self.counts.emitted.fetch_add(u64::from(entry.events), Ordering::Relaxed);
            // Nobody may wait any more: the batch is emitted all the same.
            let _ = done.send(Ok(Kept::Emitted));
        }
        for Forgettable { position, length, entry } in forgettable {
            self.remove(entry.lane, position, length)?;
            self.counts.acked.fetch_add(u64::from(entry.events), Ordering::Relaxed);
        }
        if !acked.is_empty() {
            self.store.forget_empty_starts(self.start);
        }
        Ok(())
    }

    fn hold(
        &mut self,
        archive: &Archive,
        done: oneshot::Sender<Result<Kept, SpoolError>>,
    ) -> Result<Option<Pending>, SpoolError> {
        let length = held_bytes(archive.bytes.len());
        let kept = self.keep(archive, done, length);
        // Last, so that the bytes are counted somewhere at any time.
        self.counts.queued.fetch_sub(length, Ordering::AcqRel);
        kept
    }

    fn keep(
        &mut self,
        archive: &Archive,
        done: oneshot::Sender<Result<Kept, SpoolError>>,
        length: u64,
    ) -> Result<Option<Pending>, SpoolError> {
        let held = self.counts.bytes.load(Ordering::Acquire);
        if held + length > self.budget || !fits(&self.space, length) {
            self.refuse(archive, done);
            return Ok(None);
        }
        let (position, entry, bytes) = self.seal(archive.lane, archive.events, &archive.bytes)?;
        self.store
            .batches
            .insert(key(archive.lane, position), bytes.clone())
            .map_err(|cause| self.store.error(&cause))?;
        self.counts.bytes.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        Ok(Some(Pending { done, entry }))
    }

    /// Numbers and seals an archive at the end of its lane; not stored yet.
    fn seal(
        &mut self,
        lane: Lane,
        events: u32,
        archive: &[u8],
    ) -> Result<(Position, Entry, Bytes), SpoolError> {
        let tail = &mut self.tails[usize::from(lane.number())];
        let seq = tail.seq + 1;
        let seal = Seal {
            schema: Schema::Batch,
            lane,
            events,
            epoch: self.epoch,
            seq,
            sealed_at: clock::now(),
            previous_chain: tail.chain,
        };
        let bytes: Bytes = frame::seal(&seal, archive, true);
        let sealed = Frame::open(&bytes).map_err(|cause| self.store.error(&cause))?;
        *tail = Tail { seq, chain: sealed.header.chain };
        self.counts.tails[usize::from(lane.number())].store(seq, Ordering::Release);
        let position = Position { start: self.start, seq };
        let (epoch, chain) = (self.epoch, Some(sealed.header.chain));
        let entry = Entry { lane, epoch, seq, events, chain, standing: Standing::Emitted };
        Ok((position, entry, bytes))
    }

    /// The batches that an acknowledgement covers.
    fn forgettable(&self, acked: &Acked) -> Result<Vec<Forgettable>, SpoolError> {
        let Acked { lane, epoch, seq } = *acked;
        let mut found = Vec::new();
        for (start, _) in self.starts_of(epoch) {
            for (position, bytes) in self.batches_of(lane, start, seq)? {
                let ((events, chain), seq) = (sealed_with(&bytes), position.seq);
                let entry = Entry { lane, epoch, seq, events, chain, standing: Standing::Acked };
                found.push(Forgettable { position, length: bytes.len(), entry });
            }
        }
        Ok(found)
    }

    fn bury(
        &mut self,
        lane: Lane,
        position: Position,
        reason: &'static str,
    ) -> Result<(), SpoolError> {
        let found = self.store.batches.get(key(lane, position));
        let Some(frame) = found.map_err(|cause| self.store.error(&cause))? else {
            return Ok(());
        };
        let of = |(start, _): &(u64, u64)| *start == position.start;
        let epoch = self.store.starts().into_iter().find(of).map_or(0, |(_, epoch)| epoch);
        self.bury_some(lane, epoch, &[(position, frame)], reason)
    }

    fn starts_of(&self, epoch: u64) -> Vec<(u64, u64)> {
        self.store.starts().into_iter().filter(|(_, of)| *of == epoch).collect()
    }

    fn batches_of(
        &self,
        lane: Lane,
        start: u64,
        through: u64,
    ) -> Result<Vec<(Position, Bytes)>, SpoolError> {
        self.range(lane, start, through).collect()
    }

    fn range(
        &self,
        lane: Lane,
        start: u64,
        through: u64,
    ) -> impl Iterator<Item = Result<(Position, Bytes), SpoolError>> {
        let (first, last) = (Position { start, seq: 0 }, Position { start, seq: through });
        self.store.batches.range(key(lane, first)..=key(lane, last)).map(|entry| {
            let (key, frame) = entry.map_err(|cause| self.store.error(&cause))?;
            let position = store::position(&key);
            Ok((position.ok_or_else(|| self.store.error(&"a key is cut short"))?, frame))
        })
    }

    fn remove(&self, lane: Lane, position: Position, length: usize) -> Result<(), SpoolError> {
        self.store.batches.remove(key(lane, position)).map_err(|cause| self.store.error(&cause))?;
        self.counts.bytes.fetch_sub(length as u64, Ordering::AcqRel);
        Ok(())
    }

    fn record(&mut self, entries: &[Entry]) -> Result<(), SpoolError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        ledger.append(entries).map_err(|cause| self.store.error(&cause))
    }
}

/// A frame's events and its chain hash, where it can be read.
fn sealed_with(frame: &[u8]) -> (u32, Option<u64>) {
    Frame::open(frame).map_or((0, None), |Frame { header, .. }| (header.events, Some(header.chain)))
}
