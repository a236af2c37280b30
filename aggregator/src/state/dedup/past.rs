//! Starts that ended long ago: a row of their own each, so that the sensor's own row stays small.
//!
//! Remembered with where they stood. An image of the sensor's disk may bring back batches of any of
//! them: they are recalled then and go on from there, never from zero. The rows of a sensor are a ring:
//! the start that ended first makes room for the next, since an image is the likelier the younger it is.

use std::cmp::Reverse;
use std::ops::Bound::Included;

use wardmesh_common::id::SensorId;

use super::open::held;
use super::{Epoch, Mark, PAST_STARTS_MAX};
use crate::state::command::OpenEpoch;
use crate::state::record::record;
use crate::state::sensors::Sensor;
use crate::state::table::{Entity, Table};

/// Where a lane stood when its start ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PastMark {
    /// The last applied sequence number.
    pub seq: u64,
    /// Events applied up to there.
    pub events: u64,
    /// The chain hash there.
    pub chain: u64,
    /// Bit n tells that the batch at `seq - n` was passed over, not applied.
    pub skipped: u32,
    /// The last place that the start had sealed when a later one began.
    pub end: u64,
}

record!(PastMark { seq, events, chain, skipped, end });

impl PastMark {
    fn of(mark: &Mark) -> Self {
        let (seq, events, chain) = (mark.seq, mark.events, mark.chain());
        Self { seq, events, chain, skipped: mark.skipped, end: mark.end.unwrap_or(seq) }
    }

    fn mark(self) -> Mark {
        let Self { seq, events, chain, skipped, end } = self;
        let chains = if seq > 0 { vec![chain] } else { Vec::new() };
        Mark { seq, events, chains, skipped, end: Some(end) }
    }
}

/// A start that ended long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastStart {
    /// Whose.
    pub sensor: SensorId,
    /// How many of the sensor were remembered before it; modulo [`PAST_STARTS_MAX`] its row.
    pub place: u64,
    /// The random number that it drew.
    pub epoch: u64,
    /// The urgent lane.
    pub urgent: PastMark,
    /// The bulk lane.
    pub bulk: PastMark,
}

record!(PastStart { sensor, place, epoch, urgent, bulk });

impl Entity for PastStart {
    type Key = (SensorId, u64);
    const KIND: u8 = 7;

    fn key(&self) -> Self::Key {
        (self.sensor, self.place % PAST_STARTS_MAX)
    }
}

impl PastStart {
    fn of((sensor, place): (SensorId, u64), start: &Epoch) -> Self {
        let (urgent, bulk) = (PastMark::of(&start.urgent), PastMark::of(&start.bulk));
        Self { sensor, place, epoch: start.epoch, urgent, bulk }
    }

    fn start(&self) -> Epoch {
        let (urgent, bulk) = (self.urgent.mark(), self.bulk.mark());
        Epoch { epoch: self.epoch, urgent, bulk, ..Epoch::default() }
    }
}

/// Takes in starts that have no place among the closed ones any more, each in the row of the one that
/// was taken in longest ago. One that never spoke is not remembered: it may be opened at zero again. One
/// that came back gets a new row; its old one says less and is overwritten first.
pub(in crate::state) fn remember(
    past: &mut Table<PastStart>,
    sensor: &mut Sensor,
    starts: &[Epoch],
) {
    for start in starts.iter().filter(|start| start.has_spoken()) {
        past.insert(PastStart::of((sensor.id, sensor.epochs.past), start));
        sensor.epochs.past = sensor.epochs.past.saturating_add(1);
    }
}

/// Puts past starts that a hello names before the closed ones, where they are opened from.
pub(in crate::state) fn recall(past: &Table<PastStart>, sensor: &mut Sensor, hello: &OpenEpoch) {
    let (id, epochs) = (sensor.id, &mut sensor.epochs);
    let named = held(hello).iter().chain([&hello.epoch]);
    let wanted: Vec<u64> = named.copied().filter(|epoch| epochs.find(*epoch).is_none()).collect();
    if epochs.past == 0 || wanted.is_empty() {
        return;
    }
    let rows = past.range((Included((id, 0)), Included((id, PAST_STARTS_MAX))));
    let mut found: Vec<&PastStart> = rows.filter(|row| wanted.contains(&row.epoch)).collect();
    found.sort_by_key(|row| Reverse(row.place));
    for row in found {
        // Of two rows of one start the newer tells where it stood.
        if epochs.find(row.epoch).is_none() {
            epochs.closed.insert(0, row.start());
        }
    }
}
