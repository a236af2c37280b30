//! Finds events: the index says which batches, log or archive hold them, the wire opens them.
//!
//! A page opens a bounded number of batches and then says where to go on, so that no query holds a
//! thread for long whatever it asks for.

use std::ops::ControlFlow;

use bytes::Bytes;
use wardmesh_common::id::TenantId;
use wardmesh_common::wire::frame::{Frame, Schema};
use wardmesh_common::wire::v1::{self, Batched};

use super::archive::Archive;
use super::index::{Index, Progress};
use super::key::{Place, Subject};
use super::query::{
    DeviceResolver, EVENTS_PER_PAGE_MAX, EventPage, EventQuery, EventRef, StoredEvent,
};
use super::{CommandLog, StoreError};
use crate::state::command::{Action, Command, Submission};
use crate::state::effects::AppliedBatch;

/// Batches opened for one page: at most 14 MiB of archives, some 10 ms.
pub(super) const BATCHES_PER_PAGE_MAX: usize = 128;

/// Rows looked at for one page: some 100 ms of scanning.
pub(super) const ROWS_PER_PAGE_MAX: usize = 65_536;

/// The parts of a store that a scan reads.
#[derive(Clone)]
pub(super) struct Sources<'a> {
    pub(super) index: &'a Index,
    pub(super) archive: &'a Archive,
    pub(super) log: &'a dyn CommandLog,
    pub(super) devices: &'a dyn DeviceResolver,
    pub(super) history_from: u64,
    /// How far the index was when the history's beginning was looked up.
    pub(super) progress: Progress,
}

/// A command's bytes, wherever they are; `None` for an entry of Raft's own.
pub(super) fn command(
    archive: &Archive,
    log: &dyn CommandLog,
    index: u64,
) -> Result<Option<Bytes>, StoreError> {
    if let Some(bytes) = archive.read(index)? {
        return Ok(Some(bytes));
    }
    match log.read(index) {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        // A purge was faster, after it had been archived.
        _ if log.first() > index => archive.read(index),
        Ok(None) => Ok(None),
        Err(cause) => Err(StoreError::Log { index, cause }),
    }
}

impl Sources<'_> {
    fn submissions(&self, index: u64) -> Result<Vec<Submission>, StoreError> {
        let bytes = command(self.archive, self.log, index)?.ok_or(StoreError::Missing(index))?;
        let command = Command::decode(bytes)
            .map_err(|cause| StoreError::Entry { index, cause: cause.to_string() })?;
        match command.action {
            Action::Ingest(submissions) => Ok(submissions),
            _ => Err(StoreError::Entry { index, cause: "it carries no batches".to_owned() }),
        }
    }
}

/// Answers one page.
pub(super) fn page(sources: Sources<'_>, query: &EventQuery) -> Result<EventPage, StoreError> {
    let progress = &sources.progress;
    let page = EventPage {
        history_from: sources.history_from,
        indexed_below: progress.next,
        missing: progress.missing.and_then(|missing| missing.since(sources.history_from)),
        ..EventPage::default()
    };
    let after = query.after.unwrap_or_default();
    let from = Place { index: after.index, ordinal: after.ordinal };
    let mut first = sources.history_from;
    if let Some(since) = query.since {
        // Nothing that was applied earlier can have been observed at `since` or later.
        let applied_at = since.minus(progress.ahead);
        first = first.max(sources.index.applied_from(&query.tenant, applied_at)?);
    }
    let from = from.max(Place { index: first, ordinal: 0 });
    let index = sources.index;
    let mut scan = Scan::new(sources, query, page);
    index.visit(&query.tenant, subject(query).as_ref(), from, |index, batch| {
        scan.visit(index, &batch)
    })?;
    Ok(scan.page)
}

/// The narrowest of the indexes that the query names.
fn subject(query: &EventQuery) -> Option<Subject> {
    let sensor = query.sensor.map(Subject::Sensor);
    let device = || query.device.map(Subject::Device);
    sensor.or_else(device).or_else(|| query.site.clone().map(Subject::Site))
}

struct Scan<'a> {
    sources: Sources<'a>,
    query: &'a EventQuery,
    limit: usize,
    page: EventPage,
    rows: usize,
    batches: usize,
    /// The last place that was looked at.
    passed: Option<EventRef>,
    /// The last command, whose batches follow each other.
    command: Option<(u64, Vec<Submission>)>,
    scratch: Vec<u8>,
}

impl<'a> Scan<'a> {
    fn new(sources: Sources<'a>, query: &'a EventQuery, page: EventPage) -> Self {
        Self {
            sources,
            query,
            limit: query.limit.clamp(1, EVENTS_PER_PAGE_MAX),
            page,
            rows: 0,
            batches: 0,
            passed: query.after,
            command: None,
            scratch: Vec::new(),
        }
    }

    fn visit(&mut self, index: u64, batch: &AppliedBatch) -> Result<ControlFlow<()>, StoreError> {
        if index >= self.page.indexed_below {
            // Written since the page began, perhaps past an entry that is missing.
            return Ok(ControlFlow::Break(()));
        }
        if self.rows == ROWS_PER_PAGE_MAX || self.batches == BATCHES_PER_PAGE_MAX {
            self.page.next = self.passed;
            return Ok(ControlFlow::Break(()));
        }
        self.rows += 1;
        let begin = self.begin(index, batch);
        if begin < batch.events && self.query.admits(batch) {
            self.batches += 1;
            if self.open(index, batch, begin)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let position = batch.events.saturating_sub(1);
        self.passed = Some(EventRef { index, ordinal: batch.ordinal, position });
        Ok(ControlFlow::Continue(()))
    }

    /// The first position of a batch that comes after the cursor.
    fn begin(&self, index: u64, batch: &AppliedBatch) -> u32 {
        match self.query.after {
            Some(after) if (after.index, after.ordinal) == (index, batch.ordinal) => {
                after.position.saturating_add(1)
            }
            _ => 0,
        }
    }

    fn open(
        &mut self,
        index: u64,
        batch: &AppliedBatch,
        begin: u32,
    ) -> Result<ControlFlow<()>, StoreError> {
        if self.command.as_ref().is_none_or(|(last, _)| *last != index) {
            match self.sources.submissions(index) {
                Ok(submissions) => self.command = Some((index, submissions)),
                // Retention was faster: it is history no more.
                Err(StoreError::Missing(_)) if self.retired(index) => {
                    return Ok(ControlFlow::Continue(()));
                }
                Err(error) => return Err(error),
            }
        }
        let submissions = self.command.as_ref().map(|(_, submissions)| submissions);
        let found = submissions.and_then(|found| found.get(batch.ordinal as usize));
        let frame = found.ok_or_else(|| entry(index, "it has no such batch"))?.frame.clone();
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = opened(&frame, batch, &mut scratch)
            .map_err(|cause| StoreError::Entry { index, cause })
            .and_then(|batched| self.take(index, batch, &batched, begin));
        self.scratch = scratch;
        read
    }

    fn retired(&self, index: u64) -> bool {
        let history_from = self.sources.archive.history_from();
        history_from.is_some_and(|from| index < from)
    }

    fn take(
        &mut self,
        index: u64,
        batch: &AppliedBatch,
        batched: &Batched<'_>,
        begin: u32,
    ) -> Result<ControlFlow<()>, StoreError> {
        for (position, archived) in (0..).zip(batched.events.iter()).skip(begin as usize) {
            let interface = batched.interface(archived);
            let device = self.sources.devices.device_of(batch, interface, archived);
            if !self.query.matches(archived.observed_at(), device) {
                continue;
            }
            let event = batched.event(position as usize);
            let event = event.ok_or_else(|| entry(index, "one of its events cannot be read"))?;
            let reference = EventRef { index, ordinal: batch.ordinal, position };
            self.page.events.push(StoredEvent {
                reference,
                site: batch.site.clone(),
                sensor: batch.sensor,
                epoch: batch.epoch,
                lane: batch.lane,
                seq: batch.seq,
                received_at: batch.received_at,
                interface: interface.to_owned(),
                device,
                event,
            });
            if self.page.events.len() == self.limit {
                self.page.next = Some(reference);
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn entry(index: u64, cause: &str) -> StoreError {
    StoreError::Entry { index, cause: cause.to_owned() }
}

/// Opens a batch, which must be the one that the row is of.
fn opened<'s>(
    frame: &'s [u8],
    batch: &AppliedBatch,
    scratch: &'s mut Vec<u8>,
) -> Result<Batched<'s>, String> {
    let frame = Frame::open(frame).map_err(|cause| cause.to_string())?;
    let header = frame.header;
    let same = (header.epoch, header.lane, header.seq) == (batch.epoch, batch.lane, batch.seq);
    if header.schema != Schema::Batch || !same {
        return Err("its batch is not the one that the query index names".to_owned());
    }
    let archive = frame.archive(scratch).map_err(|cause| cause.to_string())?;
    v1::open(archive, header.events).map_err(|cause| cause.to_string())
}

/// The event at a place.
pub(super) fn one(
    sources: Sources<'_>,
    tenant: &TenantId,
    reference: EventRef,
) -> Result<Option<StoredEvent>, StoreError> {
    let EventRef { index, ordinal, position } = reference;
    if index < sources.history_from {
        return Ok(None);
    }
    let lacks = sources.progress.missing;
    let lacks = lacks.filter(|missing| (missing.from..=missing.through).contains(&index));
    let query = EventQuery::all(tenant.clone(), 1);
    let entries = sources.index;
    let mut scan = Scan::new(sources, &query, EventPage::default());
    entries.visit(tenant, None, Place { index, ordinal }, |found, batch| {
        if (found, batch.ordinal) == (index, ordinal) && position < batch.events {
            return scan.open(index, &batch, position).map(|_| ControlFlow::Break(()));
        }
        Ok(ControlFlow::Break(()))
    })?;
    match (scan.page.events.pop(), lacks) {
        // That it is not found says nothing.
        (None, Some(missing)) => Err(StoreError::Lacking(missing)),
        (found, _) => Ok(found),
    }
}
