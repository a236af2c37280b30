//! A sensor that was copied or set back: nothing is counted twice or swallowed, and it is told once; a
//! sensor that is merely restarted, cut off or late is not.

use wardmesh_common::wire::message::Reason;

use super::super::receipt::BatchReceipt;
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";

fn start(epoch: u64) -> Feed {
    Feed::new(sensor(1), epoch)
}

fn rules(fleet: &Fleet) -> Vec<(String, u64)> {
    fleet.findings().iter().map(|finding| (finding.rule.clone(), finding.count)).collect()
}

fn told(rule: &str, count: u64) -> Vec<(String, u64)> {
    vec![(rule.to_owned(), count)]
}

fn events(fleet: &Fleet) -> u64 {
    fleet.state.sensor(sensor(1)).unwrap().events
}

/// Sends the next batch, saying hello again where the aggregator asks for it, as the sensor does.
fn send(fleet: &mut Fleet, feed: &mut Feed, remote: &str) {
    let frame = feed.batch(&[sighting(PUMP, 1)]);
    let mut answer = fleet.submit(feed, frame.clone());
    if answer == BatchReceipt::Rejected(Reason::EpochClosed) {
        fleet.hello(feed, &[], remote);
        answer = fleet.submit(feed, frame);
    }
    assert_eq!(answer, BatchReceipt::Applied);
}

#[test]
fn two_copies_that_both_go_on_are_told_once_and_both_heard() {
    let mut fleet = Fleet::at(&["east"]);
    let (mut one, mut two) = (start(10), start(20));
    fleet.hello(&one, &[], "192.0.2.1:5000");
    send(&mut fleet, &mut one, "");
    fleet.hello(&two, &[], "192.0.2.2:6000");
    for _ in 0..5 {
        send(&mut fleet, &mut two, "192.0.2.2:6000");
        send(&mut fleet, &mut one, "192.0.2.1:5001");
    }
    assert_eq!(events(&fleet), 11, "nothing is swallowed");
    assert_eq!(rules(&fleet), told("sensor-cloned", 5));
    let finding = fleet.findings()[0];
    let detail: Vec<_> = finding.detail.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("address.newer", "192.0.2.2:6000"),
        ("address.older", "192.0.2.1:5001"),
        ("epoch.newer", "0000000000000014"),
        ("epoch.older", "000000000000000a"),
    ];
    assert_eq!((detail.as_slice(), finding.evidence.len()), (expected.as_slice(), 1));
    // The newer copy is stopped: what the older one goes on with is no new sign.
    (0..5).for_each(|_| send(&mut fleet, &mut one, ""));
    assert_eq!(rules(&fleet), told("sensor-cloned", 5));
}

/// The copy was made of the running sensor's disk: it holds batches of the first start too.
#[test]
fn a_copy_of_the_disk_repeats_nothing() {
    let mut fleet = Fleet::at(&["east"]);
    let mut one = start(10);
    fleet.hello(&one, &[], "");
    send(&mut fleet, &mut one, "");
    let held: Vec<_> = (0..3).map(|n| one.batch(&[sighting(PUMP, n)])).collect();
    let (copied, mut two) = (one.clone(), start(20));
    fleet.hello(&two, &[&copied], "");
    for frame in held.iter().chain(&held) {
        // By the copy, then by the first one.
        let answer = fleet.submit(&one, frame.clone());
        assert!(matches!(answer, BatchReceipt::Applied | BatchReceipt::Duplicate { .. }));
    }
    assert_eq!((events(&fleet), rules(&fleet)), (4, Vec::new()), "held batches show nothing");
    send(&mut fleet, &mut two, "");
    send(&mut fleet, &mut one, "");
    assert_eq!((events(&fleet), rules(&fleet)), (6, told("sensor-cloned", 1)));
}

#[test]
fn restarts_and_late_hellos_are_no_clones() {
    let mut fleet = Fleet::at(&["east"]);
    let mut one = start(10);
    fleet.hello(&one, &[], "");
    for turn in 0..30 {
        send(&mut fleet, &mut one, "");
        // Killed with two batches unanswered; the next start drains them.
        let held: Vec<_> = (0..2).map(|n| one.batch(&[sighting(PUMP, n)])).collect();
        let mut next = start(11 + turn);
        fleet.hello(&next, &[&one], "");
        if turn % 2 == 0 {
            // A hello of the dead start was still on its way, and again.
            fleet.hello(&one, &[], "");
            fleet.hello(&one, &[], "");
        }
        let first = next.batch(&[sighting(PUMP, 1)]);
        for frame in held {
            let answer = fleet.submit(&one, frame);
            assert_eq!(answer, BatchReceipt::Applied);
        }
        assert_eq!(fleet.submit(&next, first), BatchReceipt::Applied, "it was not closed");
        // It reconnects, to another node, more than once.
        (0..3).for_each(|_| drop(fleet.hello(&next, &[], "192.0.2.9:1")));
        one = next;
    }
    assert_eq!((events(&fleet), rules(&fleet)), (30 * 4, Vec::new()));
}

/// The first hello of a start that died at once comes after its successor's.
#[test]
fn a_first_hello_that_is_late_is_no_clone() {
    let mut fleet = Fleet::at(&["east"]);
    let (one, mut two) = (start(10), start(20));
    fleet.hello(&two, &[], "");
    send(&mut fleet, &mut two, "");
    fleet.hello(&one, &[], "");
    (0..3).for_each(|_| send(&mut fleet, &mut two, ""));
    assert_eq!((events(&fleet), rules(&fleet)), (4, Vec::new()));
}

/// An older disk: the batches that it still holds were applied, and the start that it begins is new.
#[test]
fn an_older_disk_is_told_once() {
    let mut fleet = Fleet::at(&["east"]);
    let mut one = start(10);
    fleet.hello(&one, &[], "");
    send(&mut fleet, &mut one, "");
    let (image, held) = (one.clone(), one.clone().batch(&[sighting(PUMP, 1)]));
    (0..40).for_each(|_| send(&mut fleet, &mut one, ""));
    let mut image = image;
    image.batch(&[sighting(PUMP, 1)]);
    let mut restored = start(30);
    for _ in 0..4 {
        fleet.hello(&restored, &[&image], "");
    }
    assert!(matches!(fleet.submit(&image, held), BatchReceipt::Duplicate { .. }));
    send(&mut fleet, &mut restored, "");
    assert_eq!((events(&fleet), rules(&fleet)), (42, told("sensor-forked", 1)));
    let finding = fleet.findings()[0];
    assert_eq!((finding.detail["seq"].as_str(), finding.evidence.len()), ("2", 0));
}

/// A memory image of a start that is current: it knows less than was applied, and begins anew.
#[test]
fn an_older_memory_image_is_told() {
    let mut fleet = Fleet::at(&["east"]);
    let mut one = start(10);
    fleet.hello(&one, &[], "");
    let image = one.clone();
    (0..3).for_each(|_| send(&mut fleet, &mut one, ""));
    fleet.hello(&image, &[], "");
    let mut renewed = start(11);
    fleet.hello(&renewed, &[], "");
    send(&mut fleet, &mut renewed, "");
    assert_eq!((events(&fleet), rules(&fleet)), (4, told("sensor-forked", 1)));
}
