//! What two sensors of one site saw of one thing counts once.

use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";

fn two_at_one_site() -> Fleet {
    let mut fleet = Fleet::at(&["east"]);
    fleet.enrol(2, "east");
    fleet.open(2, 2, &[]);
    fleet
}

#[test]
fn merges_within_the_window_and_counts_it() {
    let name = |seconds| says(PUMP, seconds, &["dhcp.hostname=pump-1"]);
    for (later, merged) in [(0, 1), (1, 1), (2, 0), (60, 0)] {
        for order in [[1, 2], [2, 1]] {
            let mut fleet = two_at_one_site();
            for number in order {
                let mut feed = fleet.feed(number);
                fleet.hear(&mut feed, &[name(1_000 + if number == 1 { 0 } else { later })]);
            }
            let device = fleet.device(PUMP);
            assert_eq!((device.events, device.merged), (2 - merged, merged), "{later} s");
            assert_eq!(device.sites[0].sensors.len(), 2);
            let hostname = device.evidence.iter().find(|e| e.value == "pump-1").unwrap();
            assert_eq!(hostname.sightings, 2 - merged);
            let east = fleet.state.site(&tenant(), &site("east")).unwrap();
            assert_eq!((east.events, east.merged), (2 - merged, merged));
        }
    }
}

#[test]
fn one_sensor_that_sees_a_thing_twice_counts_twice() {
    let mut fleet = two_at_one_site();
    let mut feed = fleet.feed(1);
    fleet.hear(&mut feed, &[sighting(PUMP, 5), sighting(PUMP, 5)]);
    assert_eq!(fleet.device(PUMP).events, 2);
}

#[test]
fn other_sites_are_not_merged() {
    let mut fleet = Fleet::at(&["east", "west"]);
    for number in [1, 2] {
        let mut feed = fleet.feed(number);
        fleet.hear(&mut feed, &[sighting(PUMP, 5)]);
    }
    assert_eq!((fleet.device(PUMP).events, fleet.device(PUMP).merged), (2, 0));
}

/// A backlog that comes an hour late still finds what was seen at its time.
#[test]
fn late_batches_merge() {
    let mut fleet = two_at_one_site();
    let (mut one, mut two) = (fleet.feed(1), fleet.feed(2));
    let day: Vec<_> = (0..100).map(|n| sighting(PUMP, 30 * n)).collect();
    fleet.hear(&mut one, &day);
    fleet.hear(&mut two, &day);
    assert_eq!((fleet.device(PUMP).events, fleet.device(PUMP).merged), (100, 100));
}
