//! What the sensors send, made before any clock starts: sealed frames, numbered and chained as a
//! sensor's spool has them.

use anyhow::Context;
use bytes::Bytes;
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Schema, Seal, seal};
use wardmesh_common::wire::v1::BatchBuilder;

use super::options::Options;
use crate::events::event_of;

/// One event in so many is of a device that was never seen before.
const NEW_DEVICE_EVERY: u64 = 1_000;

/// Stations are told apart by 24 bits; each sensor has so many of its own.
const STATIONS_PER_SENSOR: u64 = 1 << 18;

/// Nanoseconds between two events of a sensor: their times differ, which is what compresses worst.
const EVENT_EVERY: u64 = 13_577;

/// The epoch of all frames: every run has new sensors.
pub const EPOCH: u64 = 1;

/// One sensor's events as archives, not sealed yet.
pub struct Archives {
    sensor: SensorId,
    archives: Vec<(Vec<u8>, u32)>,
}

/// One sensor's frames.
pub struct Prepared {
    /// Who sends them.
    pub sensor: SensorId,
    /// The frames of its bulk lane, in order.
    pub frames: Vec<Bytes>,
    /// Events in each.
    pub events: Vec<u32>,
    /// Bytes of all archives before compression.
    pub raw_bytes: u64,
}

impl Archives {
    /// The events of the sensor at `place` among all.
    ///
    /// # Errors
    /// Only if memory cannot be had.
    pub fn build(sensor: SensorId, place: u64, options: &Options) -> anyhow::Result<Self> {
        let share = options.events / options.sensors as u64;
        let devices = (options.devices / options.sensors as u64).max(1);
        let started = clock::now().as_nanos().saturating_sub(share * EVENT_EVERY);
        let mut archives = Vec::new();
        let mut builder = BatchBuilder::new(sensor, &["eth0".to_owned()]);
        for number in 0..share {
            let station = match number % NEW_DEVICE_EVERY {
                0 => devices + number / NEW_DEVICE_EVERY,
                _ => number % devices,
            };
            // Another kind for the same station at each turn.
            let kind = (station + number / devices) % 10;
            let station = place * STATIONS_PER_SENSOR + station % STATIONS_PER_SENSOR;
            let at = Timestamp::from_nanos(started + number * EVENT_EVERY);
            let event = event_of(station, kind, number, at);
            if builder.len() >= options.batch || !builder.has_room(&event) {
                let next = BatchBuilder::new(sensor, &["eth0".to_owned()]);
                let full = std::mem::replace(&mut builder, next);
                archives.push(full.finish().context("an archive")?);
            }
            builder.push_owned(event);
        }
        if !builder.is_empty() {
            archives.push(builder.finish().context("an archive")?);
        }
        Ok(Self { sensor, archives })
    }

    /// The same as frames.
    ///
    /// # Errors
    /// Where a frame does not read as one.
    pub fn seal(&self, compress: bool) -> anyhow::Result<Prepared> {
        let mut frames = Vec::with_capacity(self.archives.len());
        let mut chain = 0;
        for ((archive, events), seq) in self.archives.iter().zip(1..) {
            let with = Seal {
                schema: Schema::Batch,
                lane: Lane::Bulk,
                events: *events,
                epoch: EPOCH,
                seq,
                sealed_at: clock::now(),
                previous_chain: chain,
            };
            let frame = seal(&with, archive, compress);
            chain = Frame::open(&frame)?.header.chain;
            frames.push(frame);
        }
        let raw_bytes = self.archives.iter().map(|(archive, _)| archive.len() as u64).sum();
        let events = self.archives.iter().map(|(_, events)| *events).collect();
        Ok(Prepared { sensor: self.sensor, frames, events, raw_bytes })
    }
}

impl Prepared {
    /// Events of all frames.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.events.iter().map(|events| u64::from(*events)).sum()
    }

    /// Bytes of all frames.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        self.frames.iter().map(|frame| frame.len() as u64).sum()
    }
}
