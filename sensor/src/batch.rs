//! Collects events into batches: pure, time is an argument.
//!
//! A batch is sealed at 512 events, 112 KiB of archive or its linger, whichever comes first. Health
//! goes on the urgent lane, so that it never waits behind a spool of bulk.

use std::time::Duration;

use wardmesh_common::event::{Event, EventKind};
use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::v1::BatchBuilder;
use wardmesh_common::wire::{EVENTS_PER_BATCH_MAX, Lane};

/// An archive that is ready to be sealed: its place in the lane is given where it is spooled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The lane that it goes on.
    pub lane: Lane,
    /// The rkyv bytes of the batch.
    pub bytes: Vec<u8>,
    /// Events in it.
    pub events: u32,
}

/// The longest that an urgent event waits for company.
const URGENT_LINGER: Duration = Duration::from_millis(20);

/// The longest that a bulk event waits: long enough to fill batches on a calm network, short enough
/// that an inventory page feels live.
const BULK_LINGER: Duration = Duration::from_millis(500);

/// Events on their way into batches.
#[derive(Debug)]
pub struct Batcher {
    /// What every batch begins as.
    empty: BatchBuilder,
    lanes: [Open; 2],
    /// Events that are larger than a batch and so were left out.
    oversized: u64,
}

/// The open batch of one lane.
#[derive(Debug)]
struct Open {
    lane: Lane,
    linger: Duration,
    builder: BatchBuilder,
    since: Option<Timestamp>,
}

impl Batcher {
    /// No events yet, of a sensor with these interfaces.
    #[must_use]
    pub fn new(sensor: SensorId, interfaces: Vec<String>) -> Self {
        let empty = BatchBuilder::new(sensor, &interfaces);
        let open = |lane, linger| Open { lane, linger, builder: empty.clone(), since: None };
        let lanes = [open(Lane::Urgent, URGENT_LINGER), open(Lane::Bulk, BULK_LINGER)];
        Self { empty, lanes, oversized: 0 }
    }

    /// Adds an event; returns the batch that had no room for it, if one is full now.
    pub fn push(&mut self, event: Event, now: Timestamp) -> Option<Archive> {
        let open = &mut self.lanes[usize::from(event.kind != EventKind::Health)];
        let mut full = None;
        if !open.builder.has_room(&event) {
            if !self.empty.has_room(&event) {
                self.oversized += 1;
                return None;
            }
            full = open.take(self.empty.clone());
        }
        open.builder.push_owned(event);
        open.since.get_or_insert(now);
        full
    }

    /// When [`poll`](Self::poll) next has something; `None` while there are no events.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(|open| Some(open.since?.plus(open.linger))).min()
    }

    /// A batch that is full or has lingered, if there is one; call until there is none. A wall clock that
    /// was set back holds nothing up.
    pub fn poll(&mut self, now: Timestamp) -> Option<Archive> {
        self.seal(|open| {
            // Before it began: the clock was set back, and how long it lingered is not known.
            let due = |since: Timestamp| now < since || now >= since.plus(open.linger);
            open.since.is_some_and(due) || open.builder.len() >= EVENTS_PER_BATCH_MAX
        })
    }

    /// Whatever is left, at the end; call until there is none.
    pub fn drain(&mut self) -> Option<Archive> {
        self.seal(|open| !open.builder.is_empty())
    }

    /// Events that were larger than a batch may be, since the last call.
    pub fn take_oversized(&mut self) -> u64 {
        std::mem::take(&mut self.oversized)
    }

    fn seal(&mut self, due: impl Fn(&Open) -> bool) -> Option<Archive> {
        self.lanes.iter_mut().find(|open| due(open))?.take(self.empty.clone())
    }
}

impl Open {
    fn take(&mut self, empty: BatchBuilder) -> Option<Archive> {
        self.since = None;
        let builder = std::mem::replace(&mut self.builder, empty);
        let (bytes, events) = builder.finish().ok()?;
        (events > 0).then_some(Archive { lane: self.lane, bytes, events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardmesh_common::event::{Attribute, Party};
    use wardmesh_common::wire::ARCHIVE_LENGTH_MAX;
    use wardmesh_common::wire::v1;

    fn event(kind: EventKind, text: usize) -> Event {
        Event {
            observed_at: Timestamp::from_nanos(1),
            kind,
            interface: 0,
            device: Party::default(),
            peer: None,
            service: None,
            attributes: vec![Attribute { key: "dns.query".into(), values: vec!["x".repeat(text)] }],
            counters: Vec::new(),
        }
    }

    fn batcher() -> Batcher {
        Batcher::new(SensorId([1; 16]), vec!["eth0".into()])
    }

    #[test]
    fn seals_by_count_and_by_linger() {
        let (mut batcher, at) = (batcher(), Timestamp::from_parts(10, 0));
        let sealed: Vec<_> = (0..1_100)
            .filter_map(|_| batcher.push(event(EventKind::Flow, 8), at))
            .map(|archive| (archive.lane, archive.events))
            .collect();
        assert_eq!(sealed, [(Lane::Bulk, 512), (Lane::Bulk, 512)]);
        assert_eq!(batcher.deadline(), Some(at.plus(BULK_LINGER)));
        assert_eq!(batcher.poll(at), None);
        assert_eq!(batcher.poll(at.plus(BULK_LINGER)).map(|archive| archive.events), Some(76));
        assert_eq!(batcher.deadline(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let (mut batcher, at) = (batcher(), Timestamp::from_parts(7_200, 0));
        for kind in [EventKind::Flow, EventKind::Health] {
            batcher.push(event(kind, 8), at);
            assert_eq!(batcher.poll(at), None);
            let sealed = batcher.poll(Timestamp::from_parts(3_600, 0));
            assert_eq!(sealed.map(|archive| archive.events), Some(1));
        }
    }

    #[test]
    fn seals_by_bytes_and_the_archive_is_within_its_limit() {
        let (mut batcher, at) = (batcher(), Timestamp::EPOCH);
        for size in [10_000, 50_000, 112 * 1024] {
            for _ in 0..40 {
                if let Some(archive) = batcher.push(event(EventKind::Flow, size), at) {
                    assert!(archive.bytes.len() <= ARCHIVE_LENGTH_MAX);
                    v1::open(&archive.bytes, archive.events).unwrap();
                }
            }
        }
        assert_eq!(batcher.take_oversized(), 40);
        assert_eq!(batcher.take_oversized(), 0);
    }

    #[test]
    fn health_overtakes() {
        let (mut batcher, at) = (batcher(), Timestamp::EPOCH);
        batcher.push(event(EventKind::Flow, 1), at);
        batcher.push(event(EventKind::Health, 1), at);
        let lanes: Vec<_> = std::iter::from_fn(|| batcher.drain()).map(|a| a.lane).collect();
        assert_eq!(lanes, [Lane::Urgent, Lane::Bulk]);
    }
}
