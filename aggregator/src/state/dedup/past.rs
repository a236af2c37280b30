//! Starts that ended long ago: a row of their own each, so that the sensor's own row stays small.
//!
//! Remembered for ever with where they stood. An image of the sensor's disk may bring back batches of
//! any of them, however old it is: they are recalled then and go on from there, never from zero.

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
    /// The last place that the start had sealed when a later one began.
    pub end: u64,
}

record!(PastMark { seq, events, chain, end });

impl PastMark {
    fn of(mark: &Mark) -> Self {
        let (seq, events, chain) = (mark.seq, mark.events, mark.chain());
        Self { seq, events, chain, end: mark.end.unwrap_or(seq) }
    }

    fn mark(self) -> Mark {
        let Self { seq, events, chain, end } = self;
        let chains = if seq > 0 { vec![chain] } else { Vec::new() };
        Mark { seq, events, chains, skipped: 0, end: Some(end) }
    }
}

/// A start that ended long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastStart {
    /// Whose.
    pub sensor: SensorId,
    /// The random number that it drew.
    pub epoch: u64,
    /// The urgent lane.
    pub urgent: PastMark,
    /// The bulk lane.
    pub bulk: PastMark,
}

record!(PastStart { sensor, epoch, urgent, bulk });

impl Entity for PastStart {
    type Key = (SensorId, u64);
    const KIND: u8 = 7;

    fn key(&self) -> Self::Key {
        (self.sensor, self.epoch)
    }
}

impl PastStart {
    fn of(sensor: SensorId, start: &Epoch) -> Self {
        let (urgent, bulk) = (PastMark::of(&start.urgent), PastMark::of(&start.bulk));
        Self { sensor, epoch: start.epoch, urgent, bulk }
    }

    fn start(self) -> Epoch {
        let (urgent, bulk) = (self.urgent.mark(), self.bulk.mark());
        Epoch { epoch: self.epoch, urgent, bulk, ..Epoch::default() }
    }
}

/// Takes in starts that have no place among the closed ones any more. One that never spoke is not
/// remembered: it may be opened at zero again.
pub(in crate::state) fn remember(
    past: &mut Table<PastStart>,
    sensor: &mut Sensor,
    starts: &[Epoch],
) {
    for start in starts.iter().filter(|start| start.has_spoken()) {
        let known = past.get(&(sensor.id, start.epoch)).is_some();
        if !known && sensor.epochs.past >= PAST_STARTS_MAX {
            sensor.epochs.forgotten = sensor.epochs.forgotten.saturating_add(1);
            continue;
        }
        sensor.epochs.past += u32::from(!known);
        past.insert(PastStart::of(sensor.id, start));
    }
}

/// Puts past starts that a hello names among the closed ones, where they are opened from.
pub(in crate::state) fn recall(past: &Table<PastStart>, sensor: &mut Sensor, hello: &OpenEpoch) {
    if sensor.epochs.past == 0 {
        return;
    }
    for epoch in held(hello).iter().chain([&hello.epoch]) {
        if sensor.epochs.find(*epoch).is_none()
            && let Some(known) = past.get(&(sensor.id, *epoch))
        {
            sensor.epochs.closed.push(known.start());
        }
    }
}
