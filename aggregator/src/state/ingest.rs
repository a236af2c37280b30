//! A command's batches, one by one: is it admissible, is it due, is it sound; then its events.
//!
//! Admission has checked all of this on the proposing node. It is checked again because peers and
//! disks lie and `apply` must come to the same answer on every replica: a refused batch is counted
//! and answered, and changes nothing else.

use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::frame::{Frame, FrameError, Header, Schema};
use wardmesh_common::wire::message::Reason;
use wardmesh_common::wire::v1::{self, Batched};

use super::command::Submission;
use super::effects::{AppliedBatch, Effects};
use super::findings::EventRef;
use super::observe::{FOUND_EVENTS, Place, Run};
use super::receipt::{BatchReceipt, Receipt};
use super::{Entry, State};

/// What the events of one batch come to, beside what they say of devices.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) merged: u64,
    pub(super) unattributed: u64,
    pub(super) time_suspects: u64,
    /// Devices that were not at the site before.
    pub(super) arrivals: u64,
    /// Earliest and latest event time.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// Earliest and latest observation time by the sensor's clock.
    pub(super) observed: Option<(Timestamp, Timestamp)>,
    pub(super) devices: Vec<DeviceId>,
    /// Devices that are found by something else than before; some of them twice.
    pub(super) refaceted: Vec<DeviceId>,
}

impl Tally {
    pub(super) fn time(&mut self, observed: Timestamp, at: Timestamp, suspect: bool) {
        self.time_suspects += u64::from(suspect);
        let wider = |span: Option<(Timestamp, Timestamp)>, at: Timestamp| {
            Some(span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))))
        };
        self.span = wider(self.span, at);
        self.observed = wider(self.observed, observed);
    }
}

impl State {
    pub(super) fn ingest(
        &mut self,
        entry: &mut Entry,
        submissions: &[Submission],
        effects: &mut Effects,
    ) -> Receipt {
        let mut receipts = Vec::with_capacity(submissions.len());
        for (ordinal, submission) in submissions.iter().enumerate() {
            entry.ordinal = ordinal as u32;
            let mut scratch = std::mem::take(&mut self.scratch);
            let outcome = self.submit(entry, submission, &mut scratch.archive, effects);
            self.scratch = scratch;
            receipts.push(match outcome {
                Ok(()) => BatchReceipt::Applied,
                Err(receipt) => {
                    self.count_refused(entry, submission, &receipt);
                    receipt
                }
            });
        }
        Receipt::Ingested(receipts)
    }

    fn submit(
        &mut self,
        entry: &mut Entry,
        submission: &Submission,
        scratch: &mut Vec<u8>,
        effects: &mut Effects,
    ) -> Result<(), BatchReceipt> {
        let rejected = BatchReceipt::Rejected;
        let Some(sensor) = self.sensors.get(&submission.sensor) else {
            return Err(rejected(Reason::NotEnrolled));
        };
        if let Some(reason) = sensor.inadmissible() {
            return Err(rejected(reason));
        }
        let frame = Frame::open(&submission.frame).map_err(|error| rejected(reason(error)))?;
        if frame.header.schema != Schema::Batch {
            return Err(rejected(Reason::OutOfTurn));
        }
        sensor.epochs.due(&frame)?;
        let (tenant, site) = (sensor.tenant.clone(), sensor.site.clone());
        let archive = frame.archive(scratch).map_err(|error| rejected(reason(error)))?;
        let batch =
            v1::open(archive, frame.header.events).map_err(|_| rejected(Reason::Malformed))?;
        if batch.sensor != submission.sensor.0 {
            return Err(rejected(Reason::WrongSensor));
        }
        let mut tally = self.apply_batch(entry, submission, &frame.header, (&tenant, &site), batch);
        self.close_batch(entry, submission, &frame.header, &tally);
        let refaceted = tally.refaceted.drain(..);
        effects.refaceted.extend(refaceted.map(|device| (tenant.clone(), device)));
        let place = (tenant, site);
        effects.batches.push(applied(entry, submission.sensor, place, &frame.header, tally));
        Ok(())
    }

    fn apply_batch(
        &mut self,
        entry: &mut Entry,
        submission: &Submission,
        header: &Header,
        (tenant, site): (&TenantId, &SiteId),
        batch: Batched<'_>,
    ) -> Tally {
        let site_key = (tenant.clone(), site.clone());
        let shared = self.sites.get(&site_key).is_some_and(|site| site.sensors > 1);
        let place = Place {
            at: self.core.at,
            tenant,
            site,
            sensor: submission.sensor,
            clock_offset: submission.clock_offset,
            sealed_at: header.sealed_at,
        };
        let window = shared.then(|| self.windows.remove(&site_key).unwrap_or_default());
        let mut run = Run::new(&place, batch, window, self.hash_key());
        if let Some(sensor) = self.sensors.get_mut(&submission.sensor) {
            run.learn_interfaces(sensor, batch);
        }
        let mut positions = 0..;
        for events in batch.events.chunks(FOUND_EVENTS) {
            let found = self.find(&mut run, events);
            for ((event, found), position) in events.iter().zip(found).zip(&mut positions) {
                entry.position = position;
                self.observe(entry, &place, &mut run, batch, (event, found));
            }
        }
        if let Some(window) = run.window {
            self.windows.insert(site_key, window);
        }
        let mut tally = run.tally;
        tally.devices.sort_unstable();
        tally.devices.dedup();
        tally
    }

    /// Moves the watermark and counts.
    fn close_batch(
        &mut self,
        entry: &Entry,
        submission: &Submission,
        header: &Header,
        tally: &Tally,
    ) {
        let Header { epoch, lane, seq, chain, events, .. } = *header;
        let Some(sensor) = self.sensors.get_mut(&submission.sensor) else { return };
        sensor.note_speech((epoch, lane, seq), entry.at, first_event(entry));
        sensor.epochs.advance(epoch, lane, seq, chain, events);
        sensor.note_clock(submission.clock_offset, entry.at);
        sensor.last_received = Some(entry.at);
        sensor.batches = sensor.batches.saturating_add(1);
        sensor.events = sensor.events.saturating_add(u64::from(header.events));
        sensor.merged = sensor.merged.saturating_add(tally.merged);
        sensor.unattributed = sensor.unattributed.saturating_add(tally.unattributed);
        sensor.time_suspects = sensor.time_suspects.saturating_add(tally.time_suspects);
        if let Some((first, last)) = tally.span {
            sensor.first_event = Some(sensor.first_event.map_or(first, |known| known.min(first)));
            sensor.last_event = sensor.last_event.max(Some(last));
        }
        let site_key = (sensor.tenant.clone(), sensor.site.clone());
        let Some(site) = self.sites.get_mut(&site_key) else { return };
        let counted = u64::from(header.events).saturating_sub(tally.merged);
        site.events = site.events.saturating_add(counted);
        site.merged = site.merged.saturating_add(tally.merged);
        site.devices = site.devices.saturating_add(tally.arrivals);
        site.last_event = site.last_event.max(tally.span.map(|(_, last)| last));
        site.last_received = Some(entry.at);
    }

    fn count_refused(&mut self, entry: &Entry, submission: &Submission, receipt: &BatchReceipt) {
        let reason = match receipt {
            BatchReceipt::Applied | BatchReceipt::Gap { .. } => return,
            BatchReceipt::Duplicate { .. } => None,
            BatchReceipt::Rejected(reason) => Some(*reason),
        };
        let Some(sensor) = self.sensors.get_mut(&submission.sensor) else { return };
        match reason {
            None => sensor.duplicates = sensor.duplicates.saturating_add(1),
            Some(reason) => sensor.reject(reason.as_str()),
        }
        if reason == Some(Reason::Forked)
            && let Ok(frame) = Frame::open(&submission.frame)
        {
            let Header { epoch, seq, .. } = frame.header;
            sensor.note_fork((epoch, seq), entry.at, Some(first_event(entry)));
        }
    }
}

/// The place of the batch's first event.
fn first_event(entry: &Entry) -> EventRef {
    EventRef { index: entry.index, ordinal: entry.ordinal, position: 0 }
}

fn reason(error: FrameError) -> Reason {
    match error {
        FrameError::TooLarge { .. } => Reason::TooLarge,
        FrameError::UnknownSchema { .. } => Reason::UnknownSchema,
        FrameError::Length { .. }
        | FrameError::Magic
        | FrameError::Checksum { .. }
        | FrameError::Field(_)
        | FrameError::Compression(_) => Reason::Malformed,
    }
}

fn applied(
    entry: &Entry,
    sensor: SensorId,
    (tenant, site): (TenantId, SiteId),
    header: &Header,
    tally: Tally,
) -> AppliedBatch {
    let (observed_min, observed_max) = tally.observed.unwrap_or_default();
    AppliedBatch {
        ordinal: entry.ordinal,
        tenant,
        site,
        sensor,
        epoch: header.epoch,
        lane: header.lane,
        seq: header.seq,
        events: header.events,
        observed_min,
        observed_max,
        received_at: entry.at,
        devices: tally.devices,
    }
}
