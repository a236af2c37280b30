//! Captures into the spool: the pipeline's thread, paced by the captures' own time where asked.
//!
//! A file can wait, unlike a wire: when the spool is full the feed stops reading until there is room.
//! A feed that stays shows signs of life when there is nothing more to read.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use wardmesh_common::clock;
use wardmesh_common::event::{Counter, Event};
use wardmesh_common::id::SensorId;
use wardmesh_common::map::HashKey;
use wardmesh_common::time::Timestamp;

use crate::batch::{Archive, Batcher};
use crate::capture::{CaptureError, CaptureFile};
use crate::config::Speed;
use crate::dissect::DISSECTORS;
use crate::flow::Limits;
use crate::pipeline::Pipeline;
use crate::spool::{Answer, Kept, Spool, SpoolError};

mod heartbeat;
mod pace;

pub use heartbeat::{Heartbeat, INTERVAL, Totals};
use pace::Pace;

/// Archives that are on their way to the disk while the pipeline goes on: 32 are at most 3.5 MiB.
const UNSYNCED_MAX: usize = 32;

/// How often a full spool, a pause or a stop is looked at.
const PATIENCE: Duration = Duration::from_millis(20);

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fed {
    /// Frames read.
    pub frames: u64,
    /// Bytes of them on the wire.
    pub bytes: u64,
    /// Events that the pipeline made of them.
    pub events: u64,
    /// Events refused by the spool, or larger than a batch may be.
    pub refused: u64,
}

/// Why feeding stopped early.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A file is no capture.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Feeds one sensor's spool.
pub struct Feed {
    sensor: SensorId,
    spool: Spool,
    speed: Speed,
    stop: Arc<AtomicBool>,
    unsynced: VecDeque<Answer>,
    fed: Fed,
    /// Losses that no health event has reported yet.
    lost: Lost,
    /// How long reading has waited for room on the volume, not reported yet.
    starved: Duration,
    /// What shows that the sensor lives; a replay has none.
    heartbeat: Option<Heartbeat>,
}

/// What did not become events at the aggregator, although it was captured: coverage loss, reported
/// with the next health event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that a full spool refused.
    pub refused: u64,
    /// Events larger than a batch may be.
    pub oversized: u64,
    /// Bytes of a broken spool that was set aside.
    pub spool_bytes: u64,
    /// Events that the ledger promised and the spool does not have any more.
    pub spool_events: u64,
}

impl Lost {
    /// What there is, by the names of the health counters without their `dropped.`; nothing is left.
    fn take(&mut self) -> Vec<(&'static str, u64)> {
        let Self { refused, oversized, spool_bytes, spool_events } = std::mem::take(self);
        let all = [
            ("spool.refused_events", refused),
            ("batch.oversized_events", oversized),
            ("spool.set_aside_bytes", spool_bytes),
            ("spool.lost_events", spool_events),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

fn dropped((what, value): (&'static str, u64)) -> Counter {
    Counter { key: format!("dropped.{what}").into(), value }
}

/// What stands for the interface of the last of these files.
fn name_of<P: AsRef<Path>>(files: &[P]) -> String {
    let path = files.last().map_or(Path::new("none"), AsRef::as_ref);
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Feed {
    /// A feed that ends early when `stop` turns true.
    #[must_use]
    pub fn new(
        sensor: SensorId,
        spool: Spool,
        speed: Speed,
        lost: Lost,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (unsynced, fed) = (VecDeque::new(), Fed::default());
        let starved = Duration::ZERO;
        Self { sensor, spool, speed, stop, unsynced, fed, lost, starved, heartbeat: None }
    }

    /// Reads the files in order; everything that it returns from is on the disk or refused. A file
    /// that is no capture is passed over and told of at the end.
    ///
    /// # Errors
    /// [`FeedError`]: the first file that is no capture, or a spool that failed.
    pub fn run(mut self, files: &[PathBuf], key: HashKey) -> Result<Fed, FeedError> {
        let not_a_capture = self.read(files, key)?;
        self.last_words()?;
        not_a_capture.map_or(Ok(self.fed), |cause| Err(cause.into()))
    }

    /// Reads the files in order, then stays until it is stopped; shows signs of life all the time.
    ///
    /// # Errors
    /// [`FeedError`] of a spool that failed; a file that is no capture is only logged.
    pub fn stay(
        mut self,
        files: &[PathBuf],
        key: HashKey,
        heartbeat: Heartbeat,
    ) -> Result<Fed, FeedError> {
        self.heartbeat = Some(heartbeat);
        self.read(files, key)?;
        tracing::info!(self.fed.frames, self.fed.events, "the captures are read");
        let mut batcher = Batcher::new(self.sensor, vec![name_of(files)]);
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(PATIENCE);
            self.poll(&mut batcher)?;
            self.settle(0)?;
        }
        self.drain(&mut batcher)?;
        self.settle(0)?;
        self.last_words()?;
        Ok(self.fed)
    }

    /// Reads the files in order; the first one that is no capture comes back.
    fn read(&mut self, files: &[PathBuf], key: HashKey) -> Result<Option<CaptureError>, FeedError> {
        let mut not_a_capture = None;
        for path in files {
            match self.file(path, key) {
                Err(FeedError::Capture(cause)) => {
                    tracing::error!(%cause, "passed over");
                    not_a_capture.get_or_insert(cause);
                }
                done => done?,
            }
        }
        self.settle(0)?;
        Ok(not_a_capture)
    }

    /// Reports losses that came too late for a file's own health event.
    fn last_words(&mut self) -> Result<(), FeedError> {
        let losses = self.lost.take().into_iter().map(dropped);
        let counters: Vec<_> = losses.chain(self.starved()).collect();
        if counters.is_empty() {
            return Ok(());
        }
        let event = Event::health(clock::now(), counters);
        let mut batcher = Batcher::new(self.sensor, vec!["spool".to_owned()]);
        self.batch(&mut batcher, &mut vec![event])?;
        self.drain(&mut batcher)?;
        self.settle(0)
    }

    fn drain(&mut self, batcher: &mut Batcher) -> Result<(), FeedError> {
        while let Some(archive) = batcher.drain() {
            self.spool(archive)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, key: HashKey) -> Result<(), FeedError> {
        let mut file = CaptureFile::open(path)?;
        let mut batcher = Batcher::new(self.sensor, vec![name_of(&[path])]);
        let mut pipeline = Pipeline::new(DISSECTORS, key, Limits::default());
        let (mut events, mut pace) = (Vec::new(), Pace::new(self.speed));
        while !self.stop.load(Ordering::Acquire) {
            match file.next_frame() {
                Ok(Some(frame)) => {
                    self.wait_for(&mut pace, frame.at, &mut batcher)?;
                    self.fed.frames += 1;
                    self.fed.bytes += u64::from(frame.wire_length);
                    pipeline.push(&frame, &mut events);
                }
                Ok(None) => break,
                Err(truncated) => {
                    tracing::warn!(%truncated, "the capture ends early");
                    break;
                }
            }
            self.batch(&mut batcher, &mut events)?;
            self.confess(&mut batcher, &mut pipeline);
        }
        self.confess(&mut batcher, &mut pipeline);
        pipeline.finish(&mut events);
        self.batch(&mut batcher, &mut events)?;
        self.count_oversized(&mut batcher);
        self.drain(&mut batcher)
    }

    fn count_oversized(&mut self, batcher: &mut Batcher) {
        let oversized = batcher.take_oversized();
        self.fed.refused += oversized;
        self.lost.oversized += oversized;
    }

    /// Has what was lost reported with the pipeline's next health event.
    fn confess(&mut self, batcher: &mut Batcher, pipeline: &mut Pipeline) {
        self.count_oversized(batcher);
        for (what, count) in self.lost.take() {
            pipeline.count_dropped(what, count);
        }
    }

    /// Sleeps until a frame is due, sealing what lingers meanwhile.
    fn wait_for(
        &mut self,
        pace: &mut Pace,
        at: Timestamp,
        batcher: &mut Batcher,
    ) -> Result<(), FeedError> {
        if self.speed == Speed::Max {
            return Ok(());
        }
        while let Some(pause) = pace.pause(at, Instant::now()) {
            if self.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            std::thread::sleep(pause.min(PATIENCE));
            self.poll(batcher)?;
        }
        Ok(())
    }

    fn batch(&mut self, batcher: &mut Batcher, events: &mut Vec<Event>) -> Result<(), FeedError> {
        if events.is_empty() {
            return Ok(());
        }
        for mut event in events.drain(..) {
            // A file is one segment, whatever interfaces its capture had.
            event.interface = 0;
            self.push(batcher, event)?;
        }
        self.poll(batcher)
    }

    fn push(&mut self, batcher: &mut Batcher, event: Event) -> Result<(), FeedError> {
        self.fed.events += 1;
        batcher.push(event, clock::now()).map_or(Ok(()), |archive| self.spool(archive))
    }

    /// A sign of life where one is due, with the losses so far.
    fn beat(&mut self, batcher: &mut Batcher) -> Result<(), FeedError> {
        let due = self.heartbeat.as_mut().and_then(|heartbeat| heartbeat.beat(Instant::now()));
        let starved = self.starved();
        // That it had no room is told as soon as there is some.
        let Some(mut counters) = due.or_else(|| starved.is_some().then(Vec::new)) else {
            return Ok(());
        };
        counters.extend(starved);
        counters.extend(self.lost.take().into_iter().map(dropped));
        self.push(batcher, Event::health(clock::now(), counters))
    }

    fn poll(&mut self, batcher: &mut Batcher) -> Result<(), FeedError> {
        self.beat(batcher)?;
        let now = clock::now();
        while let Some(archive) = batcher.poll(now) {
            self.spool(archive)?;
        }
        Ok(())
    }

    fn spool(&mut self, archive: Archive) -> Result<(), FeedError> {
        self.wait_for_room(archive.bytes.len());
        self.unsynced.push_back(self.spool.offer(archive)?);
        self.settle(UNSYNCED_MAX)
    }

    /// Waits until there is room for an archive of so many bytes, in the budget and on the volume.
    fn wait_for_room(&mut self, bytes: usize) {
        if self.spool.has_room(bytes) {
            return;
        }
        match self.spool.has_disk_room(bytes) {
            true => tracing::warn!(
                "the spool is full: reading waits until the aggregator has acknowledged"
            ),
            false => tracing::error!("the spool's volume is full: reading waits for room on it"),
        }
        while !self.spool.has_room(bytes)
            && !self.stop.load(Ordering::Acquire)
            && !self.spool.has_failed()
        {
            if !self.spool.has_disk_room(bytes) {
                self.starved += PATIENCE;
            }
            std::thread::sleep(PATIENCE);
        }
    }

    /// The counter of the time that reading waited for room on the volume, whole seconds from one on;
    /// once.
    fn starved(&mut self) -> Option<Counter> {
        let starved = std::mem::take(&mut self.starved);
        let value = starved.as_millis().div_ceil(1_000);
        let value = u64::try_from(value).ok().filter(|seconds| *seconds > 0)?;
        Some(Counter { key: "spool.disk_full_seconds".into(), value })
    }

    /// Waits until at most `most` archives are unanswered.
    fn settle(&mut self, most: usize) -> Result<(), FeedError> {
        while self.unsynced.len() > most {
            let Some(answer) = self.unsynced.pop_front() else { break };
            if let Kept::Refused(events) = answer.wait()? {
                self.fed.refused += u64::from(events);
                self.lost.refused += u64::from(events);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
