//! Every answer that a batch can get, and that each is applied once.

use bytes::Bytes;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Schema;
use wardmesh_common::wire::message::Reason;

use super::super::command::{Action, Skip};
use super::super::dedup::{OPEN_EPOCHS_MAX, TOMBSTONES_MAX, WINDOW};
use super::super::receipt::{BatchReceipt, Receipt};
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";

fn rejected(reason: Reason) -> BatchReceipt {
    BatchReceipt::Rejected(reason)
}

#[test]
fn a_batch_is_applied_once_however_often_it_comes() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let frames: Vec<Bytes> = (0..5).map(|n| feed.batch(&[sighting(PUMP, n)])).collect();
    for frame in &frames {
        assert_eq!(fleet.submit(&feed, frame.clone()), BatchReceipt::Applied);
    }
    for _ in 0..10 {
        for frame in &frames {
            let answer = fleet.submit(&feed, frame.clone());
            assert_eq!(answer, BatchReceipt::Duplicate { watermark: 5 });
        }
    }
    let known = fleet.state.sensor(sensor(1)).unwrap();
    assert_eq!((known.batches, known.events, known.duplicates), (5, 5, 50));
    assert_eq!(fleet.device(PUMP).events, 5);
}

#[test]
fn what_comes_too_early_changes_nothing() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let frames: Vec<Bytes> = (0..3).map(|n| feed.batch(&[sighting(PUMP, n)])).collect();
    let before = fleet.state.digest().value;
    for late in [2, 1] {
        let answer = fleet.submit(&feed, frames[late].clone());
        assert_eq!(answer, BatchReceipt::Gap { expected: 1 });
    }
    assert_eq!(fleet.state.digest().value, before);
    let all: Vec<_> = [1, 0, 2, 1, 0, 2].map(|n: usize| feed.submission(frames[n].clone())).into();
    let Receipt::Ingested(answers) = fleet.apply(Action::Ingest(all)).receipt else { panic!() };
    use BatchReceipt::{Applied, Duplicate, Gap};
    let expected = [
        Gap { expected: 1 },
        Applied,
        Gap { expected: 2 },
        Applied,
        Duplicate { watermark: 2 },
        Applied,
    ];
    assert_eq!(answers, expected);
}

#[test]
fn lanes_and_sensors_count_apart() {
    let mut fleet = Fleet::at(&["east", "west"]);
    for number in [1, 2] {
        let mut feed = fleet.feed(number);
        for lane in Lane::ALL {
            let frame = feed.batch_on(lane, &[sighting(PUMP, 1)]);
            assert_eq!(fleet.submit(&feed, frame), BatchReceipt::Applied);
        }
    }
}

#[test]
fn a_restored_image_is_noticed_and_swallows_nothing() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    fleet.hear(&mut feed, &[sighting(PUMP, 1)]);
    let mut restored = feed.clone();
    fleet.hear(&mut feed, &[sighting(PUMP, 2)]);
    let other = restored.batch(&[sighting(PUMP, 3)]);
    assert_eq!(fleet.submit(&restored, other), rejected(Reason::Forked), "at the watermark");
    let next = restored.batch(&[sighting(PUMP, 4)]);
    assert_eq!(fleet.submit(&restored, next), rejected(Reason::Forked), "past the watermark");
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().epochs.open[0].bulk.seq, 2);
    fleet.hear(&mut feed, &[sighting(PUMP, 5)]);
    let findings = fleet.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].rule.as_str(), findings[0].count), ("sensor-forked", 2));
    assert_eq!(findings[0].sites, [site("east")]);
    assert_eq!(findings[0].evidence.len(), 1);
}

#[test]
fn only_open_starts_are_heard() {
    let mut fleet = Fleet::at(&["east"]);
    let mut first = fleet.feed(1);
    let mut unheard = Feed::new(sensor(1), 5);
    let frame = unheard.clone().batch(&[sighting(PUMP, 1)]);
    assert_eq!(fleet.submit(&unheard, frame), rejected(Reason::EpochClosed));
    fleet.hear(&mut first, &[sighting(PUMP, 1)]);
    let Receipt::EpochOpened(opened) = fleet.open(1, 6, &[1, 5]) else { panic!() };
    let marks: Vec<_> = opened.watermarks.iter().map(|m| (m.epoch, m.lane, m.seq)).collect();
    use Lane::{Bulk, Urgent};
    let expected =
        [(1, Urgent, 0), (1, Bulk, 1), (5, Urgent, 0), (5, Bulk, 0), (6, Urgent, 0), (6, Bulk, 0)];
    assert_eq!((marks.as_slice(), opened.site), (expected.as_slice(), site("east")));
    fleet.hear(&mut first, &[sighting(PUMP, 2)]);
    fleet.hear(&mut unheard, &[sighting(PUMP, 3)]);
    fleet.open(1, 7, &[]);
    let frame = first.batch(&[sighting(PUMP, 4)]);
    assert_eq!(fleet.submit(&first, frame), rejected(Reason::EpochClosed));
    let mut again = Feed::new(sensor(1), 1);
    let frame = again.batch(&[sighting(PUMP, 1)]);
    assert_eq!(fleet.submit(&again, frame), BatchReceipt::Duplicate { watermark: 2 });
    let Receipt::EpochOpened(opened) = fleet.open(1, 8, &[1]) else { panic!() };
    let marks: Vec<_> = opened.watermarks.iter().map(|m| (m.epoch, m.lane, m.seq)).collect();
    let expected = [(1, Urgent, 0), (1, Bulk, 2), (8, Urgent, 0), (8, Bulk, 0)];
    assert_eq!(marks, expected, "a closed start goes on where it stood");
}

#[test]
fn starts_are_bounded() {
    let mut fleet = Fleet::at(&["east"]);
    let mut held = Vec::new();
    for epoch in 100..300 {
        held.push(epoch);
        fleet.open(1, epoch + 1, &held);
    }
    let epochs = &fleet.state.sensor(sensor(1)).unwrap().epochs;
    assert_eq!(epochs.open.len(), OPEN_EPOCHS_MAX);
    assert_eq!(epochs.open.last().unwrap().epoch, 300);
    assert_eq!(epochs.closed.len(), TOMBSTONES_MAX);
}

#[test]
fn poison_is_passed_over_and_counted() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let poison = feed.seal(Lane::Bulk, Schema::Batch, b"no archive", 3);
    let chain = wardmesh_common::wire::frame::Frame::open(&poison).unwrap().header.chain;
    assert_eq!(fleet.submit(&feed, poison.clone()), rejected(Reason::Malformed));
    let skip = |seq| {
        let (sensor, reason) = (sensor(1), "malformed".to_owned());
        Action::Skip(Skip { sensor, epoch: 1, lane: Lane::Bulk, seq, chain, events: 3, reason })
    };
    assert!(matches!(fleet.apply(skip(2)).receipt, Receipt::Refused(_)));
    assert_eq!(fleet.apply(skip(1)).receipt, Receipt::Accepted);
    assert_eq!(fleet.apply(skip(1)).receipt, Receipt::Accepted, "twice is once");
    fleet.hear(&mut feed, &[sighting(PUMP, 1)]);
    let known = fleet.state.sensor(sensor(1)).unwrap();
    assert_eq!((known.lost_events, known.rejected["malformed"]), (3, 2));
    // A node that can read it in the end is told that it is too late.
    assert_eq!(fleet.submit(&feed, poison), rejected(Reason::PassedOver));
    let marks = fleet.state.sensor(sensor(1)).unwrap().epochs.watermarks();
    assert_eq!((marks[1].seq, marks[1].skipped, marks[1].chains.len()), (2, 0b10, 2));
}

/// At and below the watermark each batch is known by its chain hash, as far back as the window reaches.
#[test]
fn within_the_window_each_batch_is_told_from_another_in_its_place() {
    let mut fleet = Fleet::at(&["east"]);
    let (mut feed, mut other) = (fleet.feed(1), fleet.feed(1));
    let count = WINDOW as u64 + 8;
    let frames: Vec<Bytes> = (0..count).map(|n| feed.batch(&[sighting(PUMP, n)])).collect();
    let others: Vec<Bytes> = (0..count).map(|n| other.batch(&[sighting(PUMP, n + 1)])).collect();
    for frame in &frames {
        assert_eq!(fleet.submit(&feed, frame.clone()), BatchReceipt::Applied);
    }
    let duplicate = BatchReceipt::Duplicate { watermark: count };
    for (at, (frame, other)) in frames.iter().zip(&others).enumerate() {
        assert_eq!(fleet.submit(&feed, frame.clone()), duplicate, "{at}");
        let known = at >= frames.len() - WINDOW;
        let answer = if known { rejected(Reason::Forked) } else { duplicate.clone() };
        assert_eq!(fleet.submit(&feed, other.clone()), answer, "{at}");
    }
    assert_eq!(fleet.device(PUMP).events, count);
    // The same for a start that is closed.
    fleet.open(1, 2, &[]);
    assert_eq!(fleet.submit(&feed, others[frames.len() - 1].clone()), rejected(Reason::Forked));
    assert_eq!(fleet.submit(&feed, frames[frames.len() - 1].clone()), duplicate);
}

/// Ten times, in any order, over starts, a month late: each batch counts once.
#[test]
fn any_order_of_any_copies_is_applied_once() {
    for seed in 1..=40 {
        let mut dice = Dice::new(seed);
        let mut fleet = Fleet::at(&["east"]);
        let mut feeds = [fleet.feed(1), Feed::new(sensor(1), 50), Feed::new(sensor(1), 51)];
        let mut copies: Vec<(usize, Bytes)> = Vec::new();
        for n in 0..60 {
            let which = dice.roll(3) as usize;
            let lane = if dice.roll(4) == 0 { Lane::Urgent } else { Lane::Bulk };
            let frame = feeds[which].batch_on(lane, &[sighting(PUMP, n)]);
            copies.extend((0..10).map(|_| (which, frame.clone())));
        }
        fleet.hello(&feeds[1], &[&feeds[0]], "");
        fleet.hello(&feeds[2], &[&feeds[0], &feeds[1]], "");
        let (mut applied, mut rounds) = (0_u64, 0);
        while applied < 60 {
            rounds += 1;
            assert!(rounds < 70, "seed {seed}: {applied} after {rounds} rounds");
            for at in (1..copies.len()).rev() {
                copies.swap(at, dice.roll(at as u64 + 1) as usize);
            }
            fleet.now = fleet.now.plus(std::time::Duration::from_secs(86_400 * dice.roll(30)));
            for (which, frame) in &copies {
                match fleet.submit(&feeds[*which], frame.clone()) {
                    BatchReceipt::Applied => applied += 1,
                    BatchReceipt::Duplicate { .. } | BatchReceipt::Gap { .. } => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        let known = fleet.state.sensor(sensor(1)).unwrap();
        assert_eq!((applied, known.events, fleet.device(PUMP).events), (60, 60, 60), "seed {seed}");
        assert!(fleet.findings().is_empty(), "seed {seed}: repeats are no fault");
    }
}

#[test]
fn hostile_frames_are_answered_and_change_nothing_else() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let feed = fleet.feed(1);
    let good = feed.clone().batch(&[sighting(PUMP, 1)]);
    let devices = fleet.state.device_count();
    let mut flipped = good.to_vec();
    for bit in (0..flipped.len() * 8).step_by(7) {
        flipped[bit / 8] ^= 1 << (bit % 8);
        let answer = fleet.submit(&feed, flipped.clone().into());
        assert!(matches!(answer, BatchReceipt::Rejected(_)), "bit {bit}: {answer:?}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    for length in 0..good.len() {
        assert_eq!(fleet.submit(&feed, good.slice(..length)), rejected(Reason::Malformed));
    }
    let mut dice = Dice::new(1);
    for _ in 0..2_000 {
        let noise: Vec<u8> = (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect();
        let frame = feed.clone().seal(Lane::Bulk, Schema::Batch, &noise, dice.roll(4) as u32);
        let answer = fleet.submit(&feed, frame);
        assert_eq!(answer, rejected(Reason::Malformed));
    }
    let hello = feed.clone().seal(Lane::Bulk, Schema::Hello, b"", 0);
    assert_eq!(fleet.submit(&feed, hello), rejected(Reason::OutOfTurn));
    let huge = Bytes::from(vec![0; 200_000]);
    assert_eq!(fleet.submit(&feed, huge), rejected(Reason::TooLarge));
    let stolen = Feed { sensor: sensor(2), ..feed.clone() };
    fleet.open(2, 1, &[]);
    assert_eq!(fleet.submit(&stolen, good), rejected(Reason::WrongSensor));
    assert_eq!(fleet.state.device_count(), devices);
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().epochs.open[0].bulk.seq, 0);
}

#[test]
fn strangers_and_the_revoked_are_not_heard() {
    let mut fleet = Fleet::at(&["east"]);
    let mut stranger = Feed::new(sensor(9), 9);
    let frame = stranger.batch(&[sighting(PUMP, 1)]);
    assert_eq!(fleet.submit(&stranger, frame), rejected(Reason::NotEnrolled));
    let mut feed = fleet.feed(1);
    fleet.hear(&mut feed, &[sighting(PUMP, 1)]);
    fleet.apply(Action::Revoke(sensor(1)));
    let frame = feed.batch(&[sighting(PUMP, 2)]);
    assert_eq!(fleet.submit(&feed, frame), rejected(Reason::Revoked));
    assert!(matches!(fleet.open(1, 2, &[]), Receipt::Refused(_)));
}
