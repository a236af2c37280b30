//! What was sealed and is not acknowledged yet: it survives `kill -9`, a power cut and a full disk.
//!
//! One writer thread owns the order: it numbers, seals, stores and syncs; only then does a batch count
//! as emitted. Policy when full: the oldest unacknowledged data stays, new batches are refused and
//! counted. Values stay under 120 KiB and sled's own flush is followed by a real sync, because it
//! issues none (ARCHITECTURE.md, Storage).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use wardmesh_common::offload;
use wardmesh_common::space::Space;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::HEADER_LENGTH;

use crate::batch::Archive;
use crate::ledger::Ledger;

mod store;
pub mod table;
mod writer;

use store::Store;
pub use store::{Held, SpoolStatus};
use table::Disk;
use writer::{Order, Writer};

/// The place of a batch in the spool: starts of the sensor in their order, then the sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The ordinal of the sensor's start, from 1.
    pub start: u64,
    /// The sequence number in the lane and start, from 1.
    pub seq: u64,
}

/// Why the spool cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A write or sync failed: nothing after it counts as emitted.
    #[error(
        "spool {path}: {cause}; free space or repair the disk: the next start waits for room, checks \
         every batch and goes on"
    )]
    Io {
        /// The spool's folder.
        path: PathBuf,
        /// What the system or the store said.
        cause: String,
    },
    /// What lies there is no spool, or a broken one: it is set aside.
    #[error("spool {path}: {cause}")]
    Damaged {
        /// The spool's folder.
        path: PathBuf,
        /// What the store said.
        cause: String,
    },
    /// Another process has it open.
    #[error("spool {0}: another process has it open; one sensor, one spool")]
    Locked(PathBuf),
    /// The writer thread has ended.
    #[error("the spool is closed")]
    Closed,
}

/// What was done with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk.
    Emitted,
    /// The byte budget is used up, or the volume's reserve is due: it was refused, so many events.
    Refused(u32),
}

/// The answer to [`Spool::offer`], still to come.
#[derive(Debug)]
pub struct Answer(oneshot::Receiver<Result<Kept, SpoolError>>);

impl Answer {
    /// Blocks until the archive is on the disk, or was refused.
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed: the archive is not emitted.
    pub fn wait(self) -> Result<Kept, SpoolError> {
        self.0.blocking_recv().map_err(|_| SpoolError::Closed)?
    }
}

/// A spool that could not be opened was put out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it lies now.
    pub path: PathBuf,
    /// Bytes in it: what may be lost.
    pub bytes: u64,
    /// Why it was not used.
    pub cause: String,
}

/// Counts since the start, for metrics and health.
#[derive(Debug, Default)]
pub struct SpoolCounts {
    /// Events on the disk that were emitted by this start.
    pub emitted: AtomicU64,
    /// Events refused because the budget was used up, or the volume full.
    pub refused: AtomicU64,
    /// Events acknowledged.
    pub acked: AtomicU64,
    /// Events that the aggregator will never take.
    pub dead: AtomicU64,
    /// Events that the ledger promised and the spool did not have any more at the start.
    pub lost: AtomicU64,
    /// Bytes of frames held now.
    pub bytes: AtomicU64,
    /// Bytes of archives that the writer has still to look at.
    pub queued: AtomicU64,
    /// The last sequence number of the current epoch, by lane.
    pub tails: [AtomicU64; 2],
}

/// The last position of each lane that is on the disk and in the ledger: only what lies up to it is
/// sent, so that nothing arrives that was never emitted.
pub type Durable = [Position; 2];

/// A handle on the spool; clones share it.
#[derive(Clone, Debug)]
pub struct Spool {
    orders: mpsc::SyncSender<Order>,
    store: Store,
    budget: u64,
    counts: Arc<SpoolCounts>,
    durable: watch::Receiver<Durable>,
    space: Volume,
}

/// The spool's writer and its orders.
pub struct Desk {
    writer: Writer,
    orders: mpsc::Receiver<Order>,
}

impl Desk {
    /// Carries out what waits.
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed: the desk is closed then.
    pub fn turn(&mut self) -> Result<(), SpoolError> {
        self.writer.turn(&self.orders)
    }
}

/// The room on the spool's volume, once somebody watches it.
type Volume = Arc<OnceLock<Arc<Space>>>;

/// Orders that wait for the writer: more only moves the waiting.
const ORDERS_MAX: usize = 256;

fn fits(space: &Volume, bytes: u64) -> bool {
    space.get().is_none_or(|space| space.fits(bytes))
}

/// The most that an archive of so many bytes takes in the spool.
fn held_bytes(archive: usize) -> u64 {
    (archive + HEADER_LENGTH) as u64
}

/// What the sensor says of itself at each session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// This start's.
    pub current: u64,
    /// Earlier ones that still hold batches.
    pub held: Vec<u64>,
}

impl Spool {
    /// Opens the spool in `folder`, begins a new epoch, and starts its writer thread.
    ///
    /// A spool that cannot be opened or fails its check is set aside and a new one begun.
    ///
    /// # Errors
    /// [`SpoolError`] where no spool at all can be made there.
    pub fn open(
        folder: &Path,
        budget: u64,
        epoch: u64,
        ledger: Option<Ledger>,
    ) -> Result<(Self, Option<SetAside>), SpoolError> {
        let (store, aside) = Store::open_or_set_aside(folder)?;
        let (spool, desk) = Self::begin(store, budget, epoch, ledger)?;
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || desk.writer.run(&desk.orders))
            .map_err(|cause| spool.store.error(&cause))?;
        Ok((spool, aside))
    }

    /// Opens the spool on this disk, whose `folder` is only a name. Its writer has no thread: it works
    /// at each [`Desk::turn`].
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed.
    pub fn over(
        disk: Arc<dyn Disk>,
        folder: &Path,
        budget: u64,
        epoch: u64,
        ledger: Option<Ledger>,
    ) -> Result<(Self, Desk), SpoolError> {
        Self::begin(Store::over(folder, disk)?, budget, epoch, ledger)
    }

    fn begin(
        store: Store,
        budget: u64,
        epoch: u64,
        ledger: Option<Ledger>,
    ) -> Result<(Self, Desk), SpoolError> {
        let counts = Arc::new(SpoolCounts::default());
        let (publish, durable) = watch::channel(Durable::default());
        let mut writer =
            Writer::begin(store.clone(), budget, epoch, ledger, Arc::clone(&counts), publish)?;
        writer.catch_up()?;
        let space = Arc::clone(&writer.space);
        let (orders, queue) = mpsc::sync_channel(ORDERS_MAX);
        let spool = Self { orders, store, budget, counts, durable, space };
        Ok((spool, Desk { writer, orders: queue }))
    }

    /// From now on refuses what would not leave the volume its reserve, and forgets nothing while there
    /// is hardly any room: a write that finds none ends the spool.
    pub fn watch(&self, space: Arc<Space>) {
        // Only the first counts: a spool stays on its volume.
        let _ = self.space.set(space);
    }

    /// Whether the volume has room above its reserve for an archive of this many bytes.
    #[must_use]
    pub fn has_disk_room(&self, bytes: usize) -> bool {
        fits(&self.space, held_bytes(bytes))
    }

    /// Hands an archive over; the answer comes when it is on the disk, or was refused.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] where the writer has ended.
    pub fn offer(&self, archive: Archive) -> Result<Answer, SpoolError> {
        let (done, answer) = oneshot::channel();
        self.counts.queued.fetch_add(held_bytes(archive.bytes.len()), Ordering::AcqRel);
        self.orders.send(Order::Hold { archive, done }).map_err(|_| SpoolError::Closed)?;
        Ok(Answer(answer))
    }

    /// Keeps an archive and waits until it is on the disk.
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed: the archive is not emitted.
    pub fn hold(&self, archive: Archive) -> Result<Kept, SpoolError> {
        self.offer(archive)?.wait()
    }

    /// Forgets every batch of `epoch` in `lane` up to `seq`.
    pub fn acked(&self, lane: Lane, epoch: u64, seq: u64) {
        self.order(Order::Acked { lane, epoch, seq });
    }

    /// Moves a batch that will never be applied to the dead letters.
    pub fn dead(&self, lane: Lane, position: Position, reason: &'static str) {
        self.order(Order::Dead { lane, position, reason });
    }

    /// Numbers what an epoch still holds in a lane anew under the current one: its sequence cannot go
    /// on at the aggregator. The current epoch itself is followed by a new random one. Nothing of that
    /// lane may be sent before [`settled`](Self::settled), or it would be applied twice. Batches before
    /// `undecided` may have been applied, which nobody can tell: they become dead letters.
    pub fn readopt(&self, lane: Lane, epoch: u64, renewed: u64, undecided: u64) {
        self.order(Order::Readopt { lane, epoch, renewed, undecided });
    }

    /// Completes when everything that was asked of the writer is done, or it has failed.
    pub async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        let orders = self.orders.clone();
        // The queue may be full, and then sending waits.
        let asked = offload::run(move || orders.send(Order::Settle { done })).await;
        if matches!(asked, Ok(Ok(()))) {
            // An error says that the writer has failed.
            let _ = settled.await;
        }
    }

    /// Where a batch of an epoch lies, while it is held.
    #[must_use]
    pub fn position(&self, lane: Lane, epoch: u64, seq: u64) -> Option<Position> {
        self.store.position(lane, epoch, seq)
    }

    /// Up to `most` emitted batches of a lane after a position, oldest first. Reads the disk.
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed.
    pub fn after(
        &self,
        lane: Lane,
        position: Option<Position>,
        most: usize,
    ) -> Result<Vec<(Position, Bytes)>, SpoolError> {
        let through = self.durable.borrow()[usize::from(lane.number())];
        self.store.between(lane, position, through, most)
    }

    /// The batch of an epoch at a place, while it is held.
    ///
    /// # Errors
    /// [`SpoolError`] where the disk failed.
    pub fn held(&self, lane: Lane, epoch: u64, seq: u64) -> Result<Option<Bytes>, SpoolError> {
        self.store.held(lane, epoch, seq)
    }

    /// The epochs to open at the aggregator.
    #[must_use]
    pub fn epochs(&self) -> Epochs {
        self.store.epochs()
    }

    /// The last place that each of the epochs has in a lane, for the hello: what the current one has
    /// sealed, what the others still have.
    #[must_use]
    pub fn tails(&self, lane: Lane, epochs: &Epochs) -> Vec<u64> {
        let held = epochs.held.iter().map(|epoch| self.store.tail(lane, *epoch));
        std::iter::once(self.tail(lane)).chain(held).collect()
    }

    /// Changes whenever batches were emitted; closed once the spool has failed.
    #[must_use]
    pub fn growth(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Whether a write has failed, after which nothing more is emitted or forgotten.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.durable.has_changed().is_err()
    }

    /// Completes when the spool has failed.
    pub async fn failed(&self) {
        let mut durable = self.durable.clone();
        while durable.changed().await.is_ok() {}
    }

    /// The last sequence number that this epoch has given in a lane; 0 before the first.
    #[must_use]
    pub fn tail(&self, lane: Lane) -> u64 {
        self.counts.tails[usize::from(lane.number())].load(Ordering::Acquire)
    }

    /// Whether an archive of this many bytes fits budget and volume now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let queued = self.counts.queued.load(Ordering::Acquire);
        let held = self.counts.bytes.load(Ordering::Acquire);
        held + queued + held_bytes(bytes) <= self.budget && self.has_disk_room(bytes)
    }

    /// Counts since the start.
    #[must_use]
    pub fn counts(&self) -> &SpoolCounts {
        &self.counts
    }

    /// Whether everything that was emitted has been acknowledged or given up.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.counts.bytes.load(Ordering::Acquire) == 0
    }

    /// What a spool folder holds, without a writer: for `spool status`.
    ///
    /// # Errors
    /// [`SpoolError`] where it cannot be read, or a running sensor has it open.
    pub fn status(folder: &Path) -> Result<SpoolStatus, SpoolError> {
        Store::open(folder)?.status()
    }

    fn order(&self, order: Order) {
        // The writer ends only with the process or a failed disk, which `hold` reports.
        let _ = self.orders.send(order);
    }
}

#[cfg(test)]
#[path = "spool/tests.rs"]
mod tests;
