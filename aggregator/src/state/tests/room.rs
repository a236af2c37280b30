//! Volumes that ran full: one finding a node or sensor, from the first report to the last.

use wardmesh_common::event::{Counter, EventKind};

use super::super::testkit::*;
use crate::correlate::Severity;
use crate::state::command::{Action, ReportNode};
use crate::state::receipt::Receipt;

fn report(free: u64, enough: bool, short: bool) -> Action {
    let (name, path) = ("node-2".to_owned(), "/data".to_owned());
    Action::ReportNode(ReportNode { node: 2, name, path, free, enough, short })
}

#[test]
fn a_nodes_volume_has_one_finding_from_full_to_room() {
    let mut fleet = Fleet::at(&["east"]);
    assert_eq!(fleet.apply(report(9 << 30, true, false)).receipt, Receipt::Done);
    assert!(fleet.findings().is_empty(), "room is no finding");

    fleet.apply(report(5, false, true));
    let full = fleet.findings().remove(0).clone();
    assert_eq!((full.rule.as_str(), full.count), ("node-disk-full", 1));
    assert_eq!(full.severity, Severity::High);
    assert!(full.title.contains("/data of node 2 (node-2) runs full"), "{}", full.title);
    assert_eq!(full.detail["free_bytes"], "5");

    fleet.apply(report(9 << 30, true, false));
    let room = fleet.findings().remove(0).clone();
    assert_eq!((room.id, room.count, room.severity), (full.id, 1, Severity::Medium));
    assert!(room.title.contains("has room again"), "{}", room.title);
    assert_eq!((room.first_seen, room.last_seen), (full.first_seen, full.last_seen));

    // So full that it could be told only afterwards.
    fleet.apply(report(9 << 30, true, true));
    let again = fleet.findings();
    assert_eq!((again.len(), again[0].count, again[0].id), (1, 2, full.id));
}

#[test]
fn a_sensor_that_waited_for_room_has_a_finding() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let health = |key: &'static str| wardmesh_common::event::Event {
        kind: EventKind::Health,
        device: Default::default(),
        counters: vec![Counter { key: key.into(), value: 7 }],
        ..sighting("00:03:b1:00:00:01", 0)
    };
    fleet.hear(&mut feed, &[health("dropped.spool.refused_events")]);
    assert!(fleet.findings().is_empty());
    for times in 1..=2 {
        fleet.hear(&mut feed, &[health("spool.disk_full_seconds")]);
        let findings = fleet.findings();
        assert_eq!((findings.len(), findings[0].count), (1, times));
        assert_eq!(findings[0].rule, "sensor-disk-full");
        assert_eq!(findings[0].sites, [site("east")]);
        assert_eq!(findings[0].evidence.len(), 1);
        assert_eq!(findings[0].detail["waited_seconds"], "7");
    }
}
