//! Starts that ended long ago and come back: nothing of them is applied twice, nor called applied when it
//! was passed over.

use std::sync::LazyLock;

use bytes::Bytes;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Schema};
use wardmesh_common::wire::message::Reason;

use super::super::State;
use super::super::command::{Action, Skip};
use super::super::dedup::{PAST_STARTS_MAX, TOMBSTONES_MAX};
use super::super::receipt::{BatchReceipt, Receipt};
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";
const PASSED_OVER: BatchReceipt = BatchReceipt::Rejected(Reason::PassedOver);

/// Past starts that are overwritten in [`MANY`].
const FORGOTTEN: usize = 9;

/// A sensor that has started more often than is remembered, with one batch of each start.
static MANY: LazyLock<(Fleet, Vec<(Feed, Bytes)>)> = LazyLock::new(|| {
    let mut fleet = Fleet::at(&["east"]);
    let count = PAST_STARTS_MAX + (TOMBSTONES_MAX + FORGOTTEN + 1) as u64;
    let starts = (100..100 + count).map(|epoch| start(&mut fleet, epoch)).collect();
    (fleet, starts)
});

/// A start that sends one batch.
fn start(fleet: &mut Fleet, epoch: u64) -> (Feed, Bytes) {
    let mut feed = Feed::new(sensor(1), epoch);
    fleet.hello(&feed, &[], "");
    let frame = feed.batch(&[sighting(PUMP, epoch)]);
    assert_eq!(fleet.submit(&feed, frame.clone()), BatchReceipt::Applied);
    (feed, frame)
}

fn skip(frame: &Bytes) -> Action {
    let header = Frame::open(frame).unwrap().header;
    let (lane, seq, chain) = (Lane::Bulk, header.seq, header.chain);
    let (sensor, reason) = (sensor(1), "malformed".to_owned());
    Action::Skip(Skip { sensor, epoch: header.epoch, lane, seq, chain, events: 3, reason })
}

/// An image of the disk from so many starts ago comes back, with batches that were applied then.
#[test]
fn a_start_of_long_ago_is_never_counted_again() {
    let mut fleet = Fleet::at(&["east"]);
    let mut old = fleet.feed(1);
    let frames: Vec<Bytes> = (0..3).map(|n| old.batch(&[sighting(PUMP, n)])).collect();
    for frame in &frames {
        assert_eq!(fleet.submit(&old, frame.clone()), BatchReceipt::Applied);
    }
    let starts = TOMBSTONES_MAX as u64 + 20;
    for epoch in 100..100 + starts {
        let mut feed = Feed::new(sensor(1), epoch);
        fleet.hello(&feed, &[], "");
        fleet.hear(&mut feed, &[sighting(PUMP, epoch)]);
    }
    let mut bytes = Vec::new();
    fleet.state.write(&mut bytes).unwrap();
    let copy = State::read(&mut bytes.as_slice()).unwrap();
    assert_eq!(copy.digest().value, fleet.state.digest().value);
    fleet.state = copy;
    let known = &fleet.state.sensor(sensor(1)).unwrap().epochs;
    assert_eq!((known.closed.len(), known.past), (TOMBSTONES_MAX, 20));
    for again in 0..2 {
        let restored = Feed::new(sensor(1), 1_000 + again);
        fleet.hello(&restored, &[&old], "");
        for frame in &frames {
            let answer = fleet.submit(&old, frame.clone());
            assert_eq!(answer, BatchReceipt::Duplicate { watermark: 3 });
        }
    }
    assert_eq!(fleet.device(PUMP).events, 3 + starts);
    fleet.hear(&mut old, &[sighting(PUMP, 900)]);
    assert_eq!(fleet.device(PUMP).events, 4 + starts, "what it held and never sent");
    // It goes among the past ones once more, with where it stands now.
    for epoch in 2_000..2_000 + starts {
        let mut feed = Feed::new(sensor(1), epoch);
        fleet.hello(&feed, &[], "");
        fleet.hear(&mut feed, &[sighting(PUMP, epoch)]);
    }
    fleet.hello(&Feed::new(sensor(1), 3_000), &[&old], "");
    let answer = fleet.submit(&old, frames[2].clone());
    assert_eq!(answer, BatchReceipt::Duplicate { watermark: 4 });
}

/// The image of a running sensor's memory says hello with the start of then.
#[test]
fn all_but_the_oldest_starts_are_remembered() {
    let (mut fleet, starts) = MANY.clone();
    let known = &fleet.state.sensor(sensor(1)).unwrap().epochs;
    assert_eq!(known.past, PAST_STARTS_MAX + FORGOTTEN as u64);
    assert_eq!(fleet.state.past.len() as u64, PAST_STARTS_MAX);
    let before = fleet.device(PUMP).events;
    let last = starts.len() - 1;
    for at in [FORGOTTEN, 100, 4_095, 4_096, 4_099, last - TOMBSTONES_MAX, last - 1, last] {
        let (feed, frame) = &starts[at];
        fleet.hello(feed, &[], "");
        let answer = fleet.submit(feed, frame.clone());
        assert_eq!(answer, BatchReceipt::Duplicate { watermark: 1 }, "start {at}");
    }
    assert_eq!(fleet.device(PUMP).events, before);
    fleet.apply(Action::Tick);
    assert_eq!(fleet.state.past.sum(), fleet.state.past.sum_from_scratch());
    let mut bytes = Vec::new();
    fleet.state.write(&mut bytes).unwrap();
    let copy = State::read(&mut bytes.as_slice()).unwrap();
    assert_eq!(copy.sum(), fleet.state.sum());
}

/// Whoever restarts more often than is remembered loses what nobody can tell, and knows it.
#[test]
fn what_may_be_a_forgotten_start_is_not_opened() {
    let (mut fleet, starts) = MANY.clone();
    let before = fleet.device(PUMP).events;
    let (forgotten, known) = (&starts[FORGOTTEN - 1], &starts[FORGOTTEN]);
    let mut unheard = Feed::new(sensor(1), 50);
    let mut own = Feed::new(sensor(1), 60);
    fleet.hello(&own, &[&known.0, &forgotten.0, &unheard], "");
    let answer = fleet.submit(&known.0, known.1.clone());
    assert_eq!(answer, BatchReceipt::Duplicate { watermark: 1 });
    assert_eq!(fleet.submit(&forgotten.0, forgotten.1.clone()), PASSED_OVER);
    let frame = unheard.batch(&[sighting(PUMP, 1)]);
    assert_eq!(fleet.submit(&unheard, frame), PASSED_OVER, "it may be one of them");
    assert_eq!(fleet.device(PUMP).events, before);
    fleet.hear(&mut own, &[sighting(PUMP, 2)]);
    assert_eq!(fleet.device(PUMP).events, before + 1);
    // What no hello named is named by the next.
    let mut other = Feed::new(sensor(1), 51);
    let frame = other.batch(&[sighting(PUMP, 1)]);
    let closed = BatchReceipt::Rejected(Reason::EpochClosed);
    assert_eq!(fleet.submit(&other, frame), closed);
}

/// A batch that cannot be read has the answer that its whole start has: its lane waits for no one.
#[test]
fn poison_in_a_start_that_is_not_opened_is_passed_over_too() {
    let (mut fleet, starts) = MANY.clone();
    let (forgotten, mut unnamed) = (&starts[0].0, Feed::new(sensor(1), 51));
    let poison = forgotten.clone().seal(Lane::Bulk, Schema::Batch, b"no archive", 3);
    let elsewhere = unnamed.seal(Lane::Bulk, Schema::Batch, b"no archive", 3);
    fleet.hello(&Feed::new(sensor(1), 60), &[forgotten], "");
    for times in 1..3 {
        assert_eq!(fleet.apply(skip(&poison)).receipt, Receipt::Accepted);
        let known = fleet.state.sensor(sensor(1)).unwrap();
        assert_eq!((known.rejected["malformed"], known.lost_events), (times, 0));
    }
    assert!(matches!(fleet.apply(skip(&elsewhere)).receipt, Receipt::Refused(_)));
}

/// The rows are a ring: the newer row of a start may stand before the older.
#[test]
fn a_start_that_came_back_is_remembered_as_it_stood_then() {
    let (mut fleet, starts) = MANY.clone();
    let (mut old, _) = starts[500].clone();
    fleet.hello(&Feed::new(sensor(1), 5_000), &[&old], "");
    fleet.hear(&mut old, &[sighting(PUMP, 900)]);
    for epoch in 6_000..6_010 + TOMBSTONES_MAX as u64 {
        start(&mut fleet, epoch);
    }
    assert!(fleet.state.sensor(sensor(1)).unwrap().epochs.find(old.epoch).is_none());
    fleet.hello(&old, &[], "");
    let known = fleet.state.sensor(sensor(1)).unwrap().epochs.find(old.epoch).unwrap();
    assert_eq!((known.bulk.seq, known.bulk.chain()), (2, old.marks[1].chain));
}

/// An older disk holds the batch: it is lost, and must not be taken for applied.
#[test]
fn what_a_start_of_long_ago_had_passed_over_is_told() {
    let mut fleet = Fleet::at(&["east"]);
    let mut old = fleet.feed(1);
    fleet.hear(&mut old, &[sighting(PUMP, 1)]);
    let poison = old.seal(Lane::Bulk, Schema::Batch, b"no archive", 3);
    assert_eq!(fleet.apply(skip(&poison)).receipt, Receipt::Accepted);
    for epoch in 100..110 + TOMBSTONES_MAX as u64 {
        start(&mut fleet, epoch);
    }
    assert!(fleet.state.sensor(sensor(1)).unwrap().epochs.find(old.epoch).is_none());
    let opened = fleet.hello(&Feed::new(sensor(1), 1_000), &[&old], "");
    let Receipt::EpochOpened(opened) = opened else { panic!("{opened:?}") };
    let mark = opened.watermarks.iter().find(|m| (m.epoch, m.lane) == (1, Lane::Bulk)).unwrap();
    assert_eq!((mark.seq, mark.skipped & 1, mark.chains.len()), (2, 1, 1));
    assert_eq!(fleet.submit(&old, poison), PASSED_OVER);
}
