//! Which batches were applied: a watermark and the latest chain hashes for each sensor, start, lane.
//!
//! ```text
//! within WINDOW below the watermark   same chain: Duplicate, or PassedOver     other chain: Forked
//! further below                       Duplicate: a sensor has compared before it sends (below)
//! watermark + 1                       continues the chain: due                 otherwise: Forked
//! beyond                              Gap
//! ```
//!
//! No time window, no clock: a batch is applied once however late or often it comes. At each hello the
//! sensor is given the hashes, and so knows of each batch that it holds whether it was applied.

use wardmesh_common::fault::{Fault, planted};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::message::Reason;

use super::receipt::{BatchReceipt, Watermark};
use super::record::record;

mod open;
mod past;

pub use open::OlderImage;
pub use past::PastStart;
pub(super) use past::{recall, remember};

/// Chain hashes kept of a lane, and batches that it may have unanswered: what a sensor holds at or below
/// the watermark without an image having been restored is no further back.
pub const WINDOW: usize = 32;

/// Starts of one sensor that may be sending at once: its own, and those that its spool still holds.
/// A sensor that crashed more often before it could drain names the oldest first, and the others when
/// those are through.
pub const OPEN_EPOCHS_MAX: usize = 16;

/// Closed starts that stay with the sensor, so that a batch of them gets `Duplicate` at once: they are
/// hashed with every batch. Those before them are remembered apart, as [`PastStart`].
pub const TOMBSTONES_MAX: usize = 64;

/// Past starts of one sensor that are remembered, the latest: an older image of its disk may hold
/// batches of any of them, and none is opened again at zero. A restart a day makes 4,096 in eleven
/// years; some 250 bytes each are a MiB a sensor. Once any is forgotten, a start that a hello holds and
/// nobody remembers is not opened, since what it holds may have been applied: its batches are answered
/// [`Reason::PassedOver`] and become dead letters, kept and counted, and are never applied twice.
pub const PAST_STARTS_MAX: u64 = 4_096;

/// Closed starts that keep all their chain hashes; those before them keep the last one. They are hashed
/// with every batch of the sensor.
const WHOLE_TOMBSTONES_MAX: usize = 8;

/// How far one lane of one start has been applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last applied sequence number; 0 before the first.
    pub seq: u64,
    /// Events applied up to there; those of batches that were passed over are not among them.
    pub events: u64,
    /// The chain hashes of the latest places, oldest first, that of `seq` last; at most [`WINDOW`].
    pub chains: Vec<u64>,
    /// Bit n tells that the batch at `seq - n` was passed over, not applied.
    pub skipped: u32,
    /// The last place that this start had sealed when a later one began, as far as that one knew.
    /// Whatever it sends beyond was sealed by a process that still ran.
    pub end: Option<u64>,
}

record!(Mark { seq, events, chains, skipped, end });

/// What is known of a place at or below a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The same batch was applied.
    Applied,
    /// The same batch was passed over.
    Skipped,
    /// Another batch has this place.
    Other,
    /// Too far back to tell.
    Forgotten,
}

impl Mark {
    /// The chain hash at the watermark; 0 before the first.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chains.last().copied().unwrap_or_default()
    }

    fn known(&self, seq: u64, chain: u64) -> Known {
        let back = self.seq.saturating_sub(seq).min(WINDOW as u64);
        match self.chains.iter().rev().nth(back as usize) {
            None => Known::Forgotten,
            Some(known) if *known != chain => Known::Other,
            Some(_) if self.skipped >> back & 1 == 1 => Known::Skipped,
            Some(_) => Known::Applied,
        }
    }

    fn advance(&mut self, seq: u64, chain: u64, skipped: bool) {
        // Only a planted fault jumps: what is due, or is passed over, is the next place.
        if seq != self.seq.saturating_add(1) {
            self.chains.clear();
            self.skipped = 0;
        }
        if self.chains.len() >= WINDOW {
            self.chains.remove(0);
        }
        self.chains.push(chain);
        self.skipped = self.skipped << 1 | u32::from(skipped);
        self.seq = seq;
    }

    /// Keeps the last chain hash alone.
    fn shrink(&mut self) {
        self.chains.drain(..self.chains.len().saturating_sub(1));
        self.chains.shrink_to_fit();
    }
}

/// One start of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The random number that it drew.
    pub epoch: u64,
    /// The urgent lane.
    pub urgent: Mark,
    /// The bulk lane.
    pub bulk: Mark,
    /// Where its latest hello came from, `address:port`; empty where nobody told.
    pub remote: String,
}

record!(Epoch { epoch, urgent, bulk, remote });

impl Epoch {
    /// How far a lane has been applied.
    #[must_use]
    pub const fn mark(&self, lane: Lane) -> &Mark {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    fn mark_mut(&mut self, lane: Lane) -> &mut Mark {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// Whether anything of it was applied.
    fn has_spoken(&self) -> bool {
        self.urgent.seq > 0 || self.bulk.seq > 0
    }
}

/// The starts of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Those that may send, in the order in which they were opened; at most [`OPEN_EPOCHS_MAX`].
    pub open: Vec<Epoch>,
    /// Those that may not any more, with where they stood, oldest first; at most [`TOMBSTONES_MAX`].
    pub closed: Vec<Epoch>,
    /// The start that was heard of last for the first time.
    pub newest: u64,
    /// Starts that were ever remembered as [`PastStart`], one that came back each time that it ended;
    /// the latest [`PAST_STARTS_MAX`] still are.
    pub past: u64,
    /// Starts that the latest hello named and that are not opened: they may have been forgotten.
    pub refused: Vec<u64>,
}

record!(Epochs { open, closed, newest, past, refused });

/// Where a lane must go on from.
pub(super) enum Passing {
    /// Not applied yet, and next.
    Next,
    /// Passed already.
    Passed,
    /// The batch before it is missing: this one is due.
    Missing(u64),
    /// The epoch may be a forgotten one: all of it is passed over, and nothing of it is noted.
    Refused,
    /// The epoch is not open.
    Closed,
}

impl Epochs {
    /// The watermarks of both lanes of all open starts.
    #[must_use]
    pub fn watermarks(&self) -> Vec<Watermark> {
        let lanes = self.open.iter().flat_map(|open| Lane::ALL.map(|lane| (open, lane)));
        lanes
            .map(|(open, lane)| {
                let Mark { seq, events, chains, skipped, .. } = open.mark(lane).clone();
                Watermark { epoch: open.epoch, lane, seq, events, chains, skipped }
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
        let rejected = |reason| Err(BatchReceipt::Rejected(reason));
        let Some(epoch) = open.or_else(|| self.closed.iter().find(of)) else {
            let refused = self.refused.contains(&header.epoch);
            return rejected(if refused { Reason::PassedOver } else { Reason::EpochClosed });
        };
        let mark = epoch.mark(header.lane);
        if header.seq > mark.seq && open.is_none() {
            return rejected(Reason::EpochClosed);
        }
        if header.seq > mark.seq.saturating_add(1) {
            return Err(BatchReceipt::Gap { expected: mark.seq.saturating_add(1) });
        }
        if header.seq > mark.seq {
            let continues = frame.continues(mark.chain());
            return if continues { Ok(()) } else { rejected(Reason::Forked) };
        }
        match mark.known(header.seq, header.chain) {
            Known::Applied | Known::Forgotten => {
                Err(BatchReceipt::Duplicate { watermark: mark.seq })
            }
            Known::Skipped => rejected(Reason::PassedOver),
            Known::Other => rejected(Reason::Forked),
        }
    }

    /// Where a place of a lane lies to its watermark.
    pub(super) fn passing(&self, epoch: u64, lane: Lane, seq: u64) -> Passing {
        let Some(open) = self.open.iter().find(|open| open.epoch == epoch) else {
            let refused = self.refused.contains(&epoch);
            return if refused { Passing::Refused } else { Passing::Closed };
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
        if let Some(mark) = self.open_mark(epoch, lane) {
            mark.advance(seq, chain, false);
            mark.events = mark.events.saturating_add(u64::from(events));
        }
    }

    /// Moves a lane's watermark over a batch that cannot be applied.
    pub(super) fn pass_over(&mut self, epoch: u64, lane: Lane, seq: u64, chain: u64) {
        if let Some(mark) = self.open_mark(epoch, lane) {
            mark.advance(seq, chain, true);
        }
    }

    fn open_mark(&mut self, epoch: u64, lane: Lane) -> Option<&mut Mark> {
        let open = self.open.iter_mut().find(|open| open.epoch == epoch)?;
        Some(open.mark_mut(lane))
    }

    /// Whether any start was overwritten among the past ones.
    const fn has_forgotten(&self) -> bool {
        self.past > PAST_STARTS_MAX
    }

    /// A start, open or closed.
    pub(super) fn find(&self, epoch: u64) -> Option<&Epoch> {
        self.open.iter().chain(&self.closed).find(|known| known.epoch == epoch)
    }

    /// Whether a batch that is applied now shows that two processes run: its start sealed it after a
    /// later one had begun, and that one has sent something too.
    pub(super) fn outlives(&self, epoch: u64, lane: Lane, seq: u64) -> bool {
        let beyond = self.find(epoch).and_then(|known| known.mark(lane).end);
        epoch != self.newest
            && beyond.is_some_and(|end| seq > end)
            && self.find(self.newest).is_some_and(Epoch::has_spoken)
    }
}
