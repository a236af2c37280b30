//! Under a flood every table keeps its limit.

use wardmesh_common::event::{Counter, Event, EventKind};

use super::super::devices::{IPS_MAX, SERVICES_MAX, VLANS_MAX};
use super::super::evidence::{EVIDENCE_MAX, VALUE_LENGTH_MAX, VALUES_PER_SOURCE_MAX};
use super::super::presence::VISITS_MAX;
use super::super::sensors::{HEALTH_COUNTERS_MAX, INTERFACES_MAX};
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";

#[test]
fn a_device_that_says_everything_stays_small() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    fleet.now = at(1_000_000);
    let sources = super::super::source::READINGS;
    for n in 0..200_u64 {
        let said: Vec<String> =
            sources.iter().map(|r| format!("{}=v{n}{}", r.key, "é".repeat(200))).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        let mut event = from_ip(says(PUMP, n * 1_000, &said), [10, 0, 0, n as u8]);
        event.device.vlan = Some(1 + n as u16);
        event.service.as_mut().unwrap().port = Some(n as u16);
        fleet.hear(&mut feed, &[event]);
    }
    let device = fleet.device(PUMP);
    assert_eq!(device.evidence.len(), EVIDENCE_MAX);
    assert!(device.evidence.iter().all(|e| e.value.len() <= VALUE_LENGTH_MAX));
    for known in &device.evidence {
        let same = |e: &&super::super::evidence::Evidence| {
            (e.field, e.source) == (known.field, known.source)
        };
        assert!(device.evidence.iter().filter(same).count() <= VALUES_PER_SOURCE_MAX);
    }
    assert_eq!((device.ips.len(), device.vlans.len()), (IPS_MAX, VLANS_MAX));
    assert_eq!((device.services.len(), device.sites[0].visits.len()), (SERVICES_MAX, VISITS_MAX));
}

#[test]
fn values_make_room_for_newer_ones() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    for n in 0..20 {
        fleet.hear(&mut feed, &[says(PUMP, n, &[&format!("dhcp.hostname=h{n}")])]);
    }
    fleet.hear(&mut feed, &[says(PUMP, 3, &["dhcp.hostname=late"])]);
    let names = fleet.device(PUMP).hostnames().join(" ");
    assert_eq!(names, "h16 h17 h18 h19 h12 h13 h14 h15");
}

#[test]
fn a_sensors_counters_and_interfaces_are_bounded() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    for n in 0..2_u64 {
        let counters = (0..400)
            .map(|k| Counter { key: format!("malformed.p.{n}.{k}").into(), value: 1 })
            .collect();
        let health = Event { kind: EventKind::Health, counters, ..sighting(PUMP, 1) };
        fleet.hear(&mut feed, &[health]);
    }
    let known = fleet.state.sensor(sensor(1)).unwrap();
    assert_eq!(known.health.len(), HEALTH_COUNTERS_MAX + 1);
    assert_eq!(known.health.values().sum::<u64>(), 800, "nothing is lost from the sum");
    let mut known = known.clone();
    for n in 0..100 {
        known.interface(&format!("file-{n}"));
    }
    assert_eq!((known.interfaces.len(), known.interface("one more")), (INTERFACES_MAX, u16::MAX));
}
