//! Clocks that jump, by an hour, a year, to 1970, on sensors and on the leader: nothing is lost or counted
//! twice, times are flagged, and a clock that stays wrong is told.

use std::time::Duration;

use wardmesh_common::event::Event;
use wardmesh_common::time::Timestamp;

use super::super::command::{Action, ReportClock};
use super::super::receipt::{BatchReceipt, Receipt};
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";
const HOUR: i64 = 3_600;
const YEAR: i64 = 31_536_000;

/// Seconds that a sensor's clock is ahead.
fn heard(fleet: &mut Fleet, feed: &mut Feed, ahead: i64) {
    let observed_at = fleet.now.shifted(ahead * 1_000_000_000);
    let event = Event { observed_at, ..sighting(PUMP, 0) };
    feed.sealed_at = observed_at;
    let mut submission = feed.submission(feed.clone().batch(std::slice::from_ref(&event)));
    feed.batch(std::slice::from_ref(&event));
    submission.clock_offset = -ahead * 1_000_000_000;
    let effects = fleet.apply(Action::Ingest(vec![submission.clone(), submission]));
    let Receipt::Ingested(answers) = effects.receipt else { panic!() };
    assert!(matches!(answers[..], [BatchReceipt::Applied, BatchReceipt::Duplicate { .. }]));
}

#[test]
fn a_sensors_clock_may_jump_anywhere() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let to_1970 = -(fleet.now.as_nanos() as i64 / 1_000_000_000);
    let jumps = [0, HOUR, -HOUR, YEAR, -YEAR, to_1970, 0];
    for (count, ahead) in (1_u64..).zip(jumps) {
        fleet.now = fleet.now.plus(Duration::from_secs(10));
        heard(&mut fleet, &mut feed, ahead);
        let known = fleet.state.sensor(sensor(1)).unwrap();
        assert_eq!((known.events, fleet.device(PUMP).events), (count, count));
    }
    // Both clocks show the same difference, so that event times are right all the same; a clock that was
    // never set is not believed.
    assert_eq!(fleet.device(PUMP).last_seen, fleet.now);
    assert_eq!(fleet.device(PUMP).sites[0].visits.len(), 1);
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().time_suspects, 1);
    assert!(fleet.findings().is_empty(), "a jump that is over at once is none");
}

/// (observed, sealed, offset of the clocks) in seconds before now, and whether it is believed.
#[test]
fn times_that_cannot_be_are_flagged_and_set_to_now() {
    let now = 1_767_686_400_i64;
    let cases = [
        (0, 0, 0, true),
        (299, 0, 0, true),
        (-299, -299, 0, true),
        (-301, -301, 0, false),
        // A batch that waited for days, and a capture of years ago.
        (10 * 86_400, 10 * 86_400, 0, true),
        (15 * YEAR, 0, 0, true),
        // Seen after it was sealed: the clock was set back in between.
        (0, 301, 0, false),
        // From before any clock was set.
        (now, now, 0, false),
        (now - 40 * YEAR, 0, 0, true),
        (now - 30 * YEAR, 0, 0, false),
        // Corrected into the future, and out of it.
        (0, 0, YEAR, false),
        (-YEAR, -YEAR, -YEAR, true),
    ];
    for (observed, sealed, offset, believed) in cases {
        let mut fleet = Fleet::at(&["east"]);
        assert_eq!(fleet.now, Timestamp::from_parts(now as u64, 0));
        let mut feed = fleet.feed(1);
        let before = |seconds: i64| fleet.now.shifted(-seconds * 1_000_000_000);
        let event = Event { observed_at: before(observed), ..sighting(PUMP, 0) };
        feed.sealed_at = before(sealed);
        let frame = feed.batch(&[event]);
        let mut submission = feed.submission(frame);
        submission.clock_offset = offset * 1_000_000_000;
        fleet.apply(Action::Ingest(vec![submission]));
        let device = fleet.device(PUMP);
        assert_eq!(device.time_suspect, !believed, "{observed} {sealed} {offset}");
        assert_eq!(device.sites[0].visits.len(), usize::from(believed), "{observed} {sealed}");
        if !believed {
            assert_eq!(device.last_seen, fleet.now, "{observed} {sealed} {offset}");
        }
    }
}

#[test]
fn a_sensors_clock_that_stays_wrong_is_told_once_each_time() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let mut counts = Vec::new();
    for second in (0_u64..1_200).step_by(10) {
        fleet.now = fleet.now.plus(Duration::from_secs(10));
        let wrong = matches!(second, 100..=400 | 600..=650 | 700..=900);
        heard(&mut fleet, &mut feed, if wrong { -2 * HOUR } else { 1 });
        counts.push(fleet.findings().first().map_or(0, |finding| finding.count));
    }
    let at = |second: usize| counts[second / 10];
    assert_eq!(
        [at(90), at(150), at(160), at(400), at(690), at(760), at(1_190)],
        [0, 0, 1, 1, 1, 2, 2]
    );
    let finding = fleet.findings()[0];
    assert_eq!((finding.rule.as_str(), finding.sites.len()), ("clock-suspect", 1));
    assert!(finding.title.contains("7200 s behind"), "{}", finding.title);
    assert_eq!(finding.detail["clock"], "right again");
    assert_eq!(fleet.findings().len(), 1);
}

#[test]
fn a_nodes_clock_is_told_once_each_time() {
    let mut fleet = Fleet::at(&["east"]);
    let report = |offset: i64, off| {
        let offset = offset * 1_000_000_000;
        Action::ReportClock(ReportClock { node: 3, name: "agg-3".to_owned(), offset, off })
    };
    assert_eq!(fleet.apply(report(0, false)).receipt, Receipt::Accepted);
    assert!(fleet.findings().is_empty());
    for (action, count) in [
        (report(YEAR, true), 1),
        (report(YEAR + 1, true), 1),
        (report(1, false), 1),
        (report(-HOUR, true), 2),
    ] {
        fleet.apply(action);
        assert_eq!(fleet.findings().len(), 1);
        assert_eq!(fleet.findings()[0].count, count);
    }
    let finding = fleet.findings()[0];
    assert_eq!((finding.cause.subject.as_str(), finding.severity.as_str()), ("node-3", "medium"));
    assert!(finding.title.contains("node agg-3 was 3600 s behind"), "{}", finding.title);
}

/// A leader whose clock is wrong stamps what it likes: what is applied once stays applied once, and time
/// never goes back.
#[test]
fn no_dedupe_depends_on_a_clock() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let right = fleet.now;
    let frames: Vec<_> = (0..40).map(|n| feed.batch(&[sighting(PUMP, n)])).collect();
    let stamps = [0, HOUR, -HOUR, YEAR, -YEAR, -50 * YEAR];
    let mut latest = Timestamp::default();
    for (turn, frame) in frames.iter().enumerate() {
        fleet.now = right.shifted(stamps[turn % stamps.len()] * 1_000_000_000);
        assert_eq!(fleet.submit(&feed, frame.clone()), BatchReceipt::Applied);
        for known in &frames[..=turn] {
            let again = fleet.submit(&feed, known.clone());
            assert!(matches!(again, BatchReceipt::Duplicate { .. }), "{turn}: {again:?}");
        }
        assert!(fleet.state.at() >= latest);
        latest = fleet.state.at();
    }
    assert_eq!(fleet.device(PUMP).events, 40);
}
