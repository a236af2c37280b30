//! Which batches were applied: a watermark and a chain hash for each sensor, start and lane.
//!
//! ```text
//! seq < watermark                 Duplicate       seq = watermark, same chain     Duplicate
//! seq = watermark, other chain    Forked          seq = watermark + 1, continues  due
//! seq = watermark + 1, otherwise  Forked          seq > watermark + 1             Gap
//! ```
//!
//! No time window, no LRU: a batch is applied once however late or often it comes.

use wardmesh_common::fault::{Fault, planted};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::message::Reason;

use super::receipt::{BatchReceipt, Watermark};
use super::record::record;

/// Starts of one sensor that may be sending at once: its own, and those that its spool still holds.
/// A sensor that crashed sixteen times before it could drain loses the oldest, which is counted.
pub const OPEN_EPOCHS_MAX: usize = 16;

/// Closed starts that are remembered with their watermarks, so that none is ever opened again at zero:
/// a spool that comes back with batches that were applied gets `Duplicate`. Dropping the oldest is safe: a start is closed when the sensor itself no longer holds it, so that only an image
/// of the sensor from more than this many starts ago could send it once more, and such an image
/// begins with a start of its own.
pub const TOMBSTONES_MAX: usize = 64;

/// How far one lane of one start has been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last applied sequence number; 0 before the first.
    pub seq: u64,
    /// The chain hash there; 0 before the first.
    pub chain: u64,
    /// Events applied up to there; those of batches that were passed over are not among them.
    pub events: u64,
}

record!(Mark { seq, chain, events });

/// One start of a sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The random number that it drew.
    pub epoch: u64,
    /// The urgent lane.
    pub urgent: Mark,
    /// The bulk lane.
    pub bulk: Mark,
}

record!(Epoch { epoch, urgent, bulk });

impl Epoch {
    /// How far a lane has been applied.
    #[must_use]
    pub const fn mark(&self, lane: Lane) -> Mark {
        match lane {
            Lane::Urgent => self.urgent,
            Lane::Bulk => self.bulk,
        }
    }

    fn mark_mut(&mut self, lane: Lane) -> &mut Mark {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

/// The starts of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Those that may send, in the order in which they were opened; at most [`OPEN_EPOCHS_MAX`].
    pub open: Vec<Epoch>,
    /// Those that may not any more, with where they stood, oldest first; at most [`TOMBSTONES_MAX`].
    pub closed: Vec<Epoch>,
}

record!(Epochs { open, closed });

/// Where a lane must go on from.
pub(super) enum Passing {
    /// Not applied yet, and next.
    Next,
    /// Passed already.
    Passed,
    /// The batch before it is missing: this one is due.
    Missing(u64),
    /// The epoch is not open.
    Closed,
}

impl Epochs {
    /// Opens a start and those that the spool still holds, which may never have been heard of, and
    /// closes all others. One that was closed before goes on where it stood, so that nothing that was
    /// applied is applied again.
    pub(super) fn open(&mut self, epoch: u64, held: &[u64]) {
        let newest_held = held.len().saturating_sub(OPEN_EPOCHS_MAX - 1);
        let held = held.get(newest_held..).unwrap_or_default();
        let wanted = |known: &Epoch| known.epoch == epoch || held.contains(&known.epoch);
        let (mut open, closing): (Vec<_>, Vec<_>) = self.open.drain(..).partition(wanted);
        let (again, closed): (Vec<_>, Vec<_>) = self.closed.drain(..).partition(wanted);
        open.extend(again);
        for &new in held.iter().chain([&epoch]) {
            if !open.iter().any(|known| known.epoch == new) {
                open.push(Epoch { epoch: new, ..Epoch::default() });
            }
        }
        let closed: Vec<Epoch> = closed.into_iter().chain(closing).collect();
        let forgotten = closed.len().saturating_sub(TOMBSTONES_MAX);
        self.closed = closed.get(forgotten..).unwrap_or_default().to_vec();
        self.open = open;
    }

    /// The watermarks of both lanes of all open starts.
    #[must_use]
    pub fn watermarks(&self) -> Vec<Watermark> {
        let lanes = self.open.iter().flat_map(|open| Lane::ALL.map(|lane| (open, lane)));
        lanes
            .map(|(open, lane)| {
                let Mark { seq, chain, events } = open.mark(lane);
                Watermark { epoch: open.epoch, lane, seq, chain, events }
            })
            .collect()
    }

    /// Whether a batch is the next of its lane; else the answer to it.
    pub(super) fn due(&self, frame: &Frame<'_>) -> Result<(), BatchReceipt> {
        if planted(Fault::DedupeOff) || planted(Fault::DedupeInMemory) {
            return Ok(());
        }
        let header = &frame.header;
        let of = |known: &&Epoch| known.epoch == header.epoch;
        let open = self.open.iter().find(of);
        let closed = Err(BatchReceipt::Rejected(Reason::EpochClosed));
        let Some(epoch) = open.or_else(|| self.closed.iter().find(of)) else { return closed };
        let mark = epoch.mark(header.lane);
        let forked = Err(BatchReceipt::Rejected(Reason::Forked));
        if header.seq > mark.seq && open.is_none() {
            return closed;
        }
        if header.seq > mark.seq.saturating_add(1) {
            return Err(BatchReceipt::Gap { expected: mark.seq.saturating_add(1) });
        }
        if header.seq > mark.seq {
            return if frame.continues(mark.chain) { Ok(()) } else { forked };
        }
        if header.seq == mark.seq && header.seq > 0 && header.chain != mark.chain {
            return forked;
        }
        Err(BatchReceipt::Duplicate { watermark: mark.seq })
    }

    /// Where a place of a lane lies to its watermark.
    pub(super) fn passing(&self, epoch: u64, lane: Lane, seq: u64) -> Passing {
        let Some(open) = self.open.iter().find(|open| open.epoch == epoch) else {
            return Passing::Closed;
        };
        let mark = open.mark(lane);
        match seq.checked_sub(mark.seq) {
            None | Some(0) => Passing::Passed,
            Some(1) => Passing::Next,
            Some(_) => Passing::Missing(mark.seq + 1),
        }
    }

    /// Moves a lane's watermark over a batch of which so many events were applied.
    pub(super) fn advance(&mut self, epoch: u64, lane: Lane, seq: u64, chain: u64, events: u32) {
        if let Some(open) = self.open.iter_mut().find(|open| open.epoch == epoch) {
            let mark = open.mark_mut(lane);
            let events = mark.events.saturating_add(u64::from(events));
            *mark = Mark { seq, chain, events };
        }
    }
}
